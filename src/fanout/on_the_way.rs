//! The number of bytes that were sent to a client and have not arrived there.
#![allow(unsafe_code, reason = "rustix has no name for this ioctl")]

use rustix::ioctl::{Getter, Opcode, ioctl};
use std::ffi::c_int;
use std::os::fd::AsFd;

/// The number of the ioctl `SIOCOUTQ` on x86, Arm and RISC-V. On a machine where it has another number, the call fails.
const SIOCOUTQ: Opcode = 0x5411;

/// The number of bytes that were sent and have not arrived. On TCP these are the bytes that the peer did not
/// acknowledge. On a Unix socket they are the bytes of those writes that the peer did not read completely. While
/// nothing more is sent, the number falls as the peer reads. If the kernel does not know the number, it is 0.
#[must_use]
pub fn on_the_way(socket: impl AsFd) -> u32 {
    // SAFETY: `SIOCOUTQ` writes one `int` and does nothing else, whatever the descriptor refers to.
    let bytes = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) };
    bytes.ok().and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_on_the_way_falls_as_it_is_taken() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(on_the_way(&ours), 0);
        for _ in 0..2 {
            ours.write_all(&[0; 1000]).unwrap();
        }
        let both = on_the_way(&ours);
        assert!(both >= 2000, "{both}");
        theirs.read_exact(&mut [0; 1000]).unwrap();
        assert!((1000..both).contains(&on_the_way(&ours)));
        theirs.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(on_the_way(&ours), 0);
    }

    #[test]
    fn of_tcp_it_is_what_was_not_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut ours, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        while ours.write_all(&[0; 1000]).is_ok() {}
        assert!(on_the_way(&ours) > 0);
    }

    #[test]
    fn what_is_no_socket_has_nothing_on_the_way() {
        assert_eq!(on_the_way(File::open("/dev/null").unwrap()), 0);
    }
}
