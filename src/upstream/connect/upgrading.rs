//! The connection for a request that asks for an upgrade.

use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use socket2::SockRef;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that delays the first read after a write until the next poll of its task.
///
/// This works around cloudflare/pingora#946. pingora sends a request's head and then waits for two things at once: the
/// end of the request's body, and the response. If it sees a response first that is an upgrade, it takes the end of the
/// request for the end of the upgraded connection, and closes that. A request that asks for an upgrade has no body, so
/// its end can be seen at once. It is seen first if the response comes one poll later.
#[derive(Debug)]
pub(super) struct Upgrading<S> {
    stream: S,
    wrote: bool,
}

impl Upgrading<TcpStream> {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, wrote: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Upgrading<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.wrote) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, to)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Upgrading<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.wrote = true;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl VirtualSocket for Upgrading<TcpStream> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => SockRef::from(&self.stream).set_tcp_nodelay(true),
            // The other options were set when the connection was made.
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_else_the_task_looks_at_comes_before_the_answer_to_what_was_written() {
        let (stream, mut other) = tokio::io::duplex(64);
        let mut stream = Upgrading { stream, wrote: false };
        for _ in 0..3 {
            other.write_all(b"answer").await.unwrap();
            stream.write_all(b"ask").await.unwrap();
            let mut answer = [0; 6];
            // Both are ready.
            let first = tokio::select! {
                biased;
                _ = stream.read_exact(&mut answer) => "the answer",
                () = std::future::ready(()) => "what else there is",
            };
            assert_eq!(first, "what else there is");
            assert_eq!((stream.read_exact(&mut answer).await.unwrap(), &answer), (6, b"answer"));
        }
    }
}
