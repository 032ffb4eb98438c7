//! What was sent to a client and has not arrived there, and one of the two `unsafe` of the crate.
#![allow(unsafe_code, reason = "rustix has no name for this ioctl")]

use rustix::ioctl::{Getter, Opcode, ioctl};
use std::ffi::c_int;
use std::os::fd::AsFd;

/// `SIOCOUTQ`, of x86, Arm and RISC-V. Where it is another number, this one is unknown, and fails.
const SIOCOUTQ: Opcode = 0x5411;

/// Bytes that were sent and have not arrived: the other side did not acknowledge them, or, of a Unix socket, did not read the
/// piece that they are in. As long as nothing more is sent, it falls with what the other side takes. 0 where the kernel does
/// not say.
#[must_use]
pub fn on_the_way(socket: impl AsFd) -> u32 {
    // SAFETY: `SIOCOUTQ` writes an `int`, and does nothing else, whatever the descriptor is of.
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
