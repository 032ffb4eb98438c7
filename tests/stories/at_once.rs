//! A socket that sends what was written to it in one piece, when it is next read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The socket.
pub struct AtOnce {
    stream: TcpStream,
    held: Vec<u8>,
}

impl AtOnce {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, held: Vec::new() }
    }
}

impl AsyncRead for AtOnce {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, held } = &mut *self;
        while !held.is_empty() {
            let sent = ready!(Pin::new(&mut *stream).poll_write(cx, held))?;
            held.drain(..sent);
        }
        Pin::new(stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for AtOnce {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
