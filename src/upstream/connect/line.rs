//! A second handle of an origin's connection, for the code that watches how long the connection is silent.

use pingora::http::ResponseHeader;
use pingora::protocols::Digest;
use pingora::protocols::GetProxyDigest;
use pingora::protocols::l4::ext::get_tcp_info;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// A second descriptor of the connection to an origin. pingora's own time limit is set before the response comes, so it
/// cannot depend on the kind of the response.
#[derive(Debug)]
pub struct Line(OwnedFd);

impl Line {
    /// The line of a new connection. `None` if no descriptor is left.
    pub(super) fn of(stream: &TcpStream) -> Option<Arc<Self>> {
        match stream.as_fd().try_clone_to_owned() {
            Ok(descriptor) => Some(Arc::new(Self(descriptor))),
            Err(error) => {
                log::debug!("cannot watch the silence of a connection to an origin: {error}");
                None
            }
        }
    }

    /// Attaches the line to the connection, which carries it from then on.
    pub(super) fn attach(self: Arc<Self>, stream: &mut L4Stream) {
        // pingora lets a connection carry a user's data only beside the answer of a CONNECT proxy. There is no such
        // proxy here, so the answer is made up.
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
    /// Fails when the kernel does not tell.
    pub fn silent_for(&self) -> io::Result<Duration> {
        let told = get_tcp_info(self.0.as_raw_fd())?;
        Ok(Duration::from_millis(u64::from(told.tcpi_last_data_recv.min(told.tcpi_last_data_sent))))
    }

    /// Whether received bytes wait to be read. The task that reads them is then waiting for its client.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(&self.0).is_ok_and(|bytes| bytes > 0)
    }

    /// Whether the origin closed the connection while it was idle. The kernel knows this before the end is read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let looked = recv(&self.0, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        match looked {
            Ok((_, read)) => read == 0,
            Err(error) => error != rustix::io::Errno::AGAIN,
        }
    }

    /// Closes the connection. A task that waits for it goes on.
    pub fn cut(&self) {
        if let Err(error) = shutdown(&self.0, Shutdown::Both) {
            log::debug!("cannot close a silent connection to an origin: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_line_knows_of_an_end_that_nobody_has_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let line = Line::of(&stream).unwrap();
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
        let line = Line::of(&stream).unwrap();
        assert!(!line.has_unread() && !line.is_closed());
        other.write_all(b"x").await.unwrap();
        stream.readable().await.unwrap();
        assert!(line.has_unread());
        assert!(line.silent_for().unwrap() < Duration::from_secs(60));
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        assert!(!line.has_unread());
        line.cut();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
}
