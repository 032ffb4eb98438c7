//! A second handle of an origin's connection, for code that observes the connection while pingora uses it.

use super::places::Held;
use pingora::http::ResponseHeader;
use pingora::protocols::Digest;
use pingora::protocols::GetProxyDigest;
use pingora::protocols::l4::ext::get_tcp_info;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// A second descriptor of the connection to an origin. With it the gateway limits how long the origin may be silent.
/// pingora's own time limit is set before the response comes, so it cannot depend on the kind of the response.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
    /// The places of the connection, which the line outlives.
    _held: Held,
}

impl Line {
    /// The line of a new connection, which keeps the places of the connection and of its own descriptor.
    ///
    /// # Errors
    /// When the process has no free descriptor.
    pub(super) fn of(stream: &TcpStream, held: Held) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { socket: stream.as_fd().try_clone_to_owned()?, _held: held }))
    }

    /// Attaches the line to the connection, so that [`Self::carried_by`] finds it.
    pub(super) fn attach(self: Arc<Self>, stream: &mut L4Stream) {
        // pingora lets a connection carry data of ours only together with the answer of a CONNECT proxy. There is no
        // such proxy here, so the answer is made up.
        if let Ok(none) = ResponseHeader::build(200, Some(0)) {
            stream.set_proxy_digest(ProxyDigest::new(Box::new(none), Some(Box::new(self))));
        }
    }

    /// The line that is attached to a request's connection.
    #[must_use]
    pub fn carried_by(connection: &Digest) -> Option<Arc<Self>> {
        let data = connection.proxy_digest.as_ref()?.user_data.as_ref()?;
        data.downcast_ref::<Arc<Self>>().cloned()
    }

    /// How long nothing was sent and nothing was received.
    ///
    /// # Errors
    /// Fails when the kernel does not report it.
    pub fn silent_for(&self) -> io::Result<Duration> {
        let told = get_tcp_info(self.socket.as_raw_fd())?;
        Ok(Duration::from_millis(u64::from(told.tcpi_last_data_recv.min(told.tcpi_last_data_sent))))
    }

    /// Whether received bytes wait to be read. The task that reads them then waits for its client to accept earlier
    /// ones.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(&self.socket).is_ok_and(|bytes| bytes > 0)
    }

    /// Whether the origin has closed an idle connection. The kernel knows this before anything reads from the
    /// connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let looked = recv(&self.socket, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        match looked {
            Ok((_, read)) => read == 0,
            Err(error) => error != rustix::io::Errno::AGAIN,
        }
    }

    /// Whether the socket accepts no more bytes at present.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let mut polled = [PollFd::new(&self.socket, PollFlags::OUT)];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready == 0)
    }

    /// The first bytes that wait to be read. They stay unread.
    #[must_use]
    pub fn peek<'a>(&self, room: &'a mut [u8]) -> &'a [u8] {
        let read = recv(&self.socket, &mut *room, RecvFlags::PEEK | RecvFlags::DONTWAIT).map_or(0, |(read, _)| read);
        room.get(..read).unwrap_or_default()
    }

    /// Closes our side of the connection. A task that waits to send more is woken and gets an error. Bytes that the
    /// origin sends can still be read.
    pub fn end_sending(&self) {
        if let Err(error) = shutdown(&self.socket, Shutdown::Write) {
            log::debug!("cannot end the sending to an origin: {error}");
        }
    }

    /// Closes the connection. A task that waits for it is woken, and gets an end or an error.
    pub fn cut(&self) {
        if let Err(error) = shutdown(&self.socket, Shutdown::Both) {
            log::debug!("cannot close a silent connection to an origin: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::places::held;
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_line_knows_of_an_end_that_nobody_has_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let line = Line::of(&stream, held()).unwrap();
        let (other, _) = listener.accept().await.unwrap();
        assert!(!line.is_closed());
        drop(other);
        stream.readable().await.unwrap();
        assert!(line.is_closed());
    }

    #[tokio::test]
    async fn a_line_knows_what_is_unread_and_ends_the_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        let line = Line::of(&stream, held()).unwrap();
        assert!(!line.has_unread() && !line.is_closed());
        other.write_all(b"x").await.unwrap();
        stream.readable().await.unwrap();
        assert!(line.has_unread());
        assert!(line.silent_for().unwrap() < Duration::from_secs(60));
        assert_eq!(line.peek(&mut [0; 12]), b"x");
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        assert!(!line.has_unread() && line.peek(&mut [0; 12]).is_empty());
        line.cut();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_line_ends_a_send_that_is_stuck_and_the_answer_can_be_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        let line = Line::of(&stream, held()).unwrap();
        assert!(!line.is_full());
        let (mut reader, mut writer) = stream.into_split();
        let stuck = tokio::spawn(async move { while writer.write_all(&[0; 1 << 16]).await.is_ok() {} });
        while !line.is_full() {
            tokio::task::yield_now().await;
        }
        other.write_all(b"no").await.unwrap();
        while !line.has_unread() {
            tokio::task::yield_now().await;
        }
        line.end_sending();
        stuck.await.unwrap();
        let mut answer = [0; 2];
        reader.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"no");
    }
}
