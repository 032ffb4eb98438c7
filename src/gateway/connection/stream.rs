//! What pingora asks of a stream.

use super::{Connection, Gate, MOST_AHEAD};
use crate::fanout::LINGER;
use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora::protocols::l4::socket::SocketAddr as PeerAddr;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// The largest buffer that a connection keeps after all in it was read.
const MOST_KEPT: usize = 16 << 10;

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.gate == Gate::Bytes(0) {
            // The reader has the whole request. It may still learn that the client has closed its side.
            while self.unread.len() < MOST_AHEAD {
                if ready!(self.poll_fill(cx))? == 0 {
                    return Poll::Ready(Ok(()));
                }
            }
            return Poll::Pending;
        }
        if self.unread.is_empty() && ready!(self.poll_fill(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let Self { unread, gate, .. } = &mut *self;
        let room = buf.remaining().min(unread.len());
        let given = gate.pass(unread.get(..room).unwrap_or_default());
        buf.put_slice(unread.get(..given).unwrap_or_default());
        unread.advance(given);
        if unread.is_empty() && unread.try_reclaim(MOST_KEPT + 1) {
            // A large head was in it, which the connection would keep as long as the client stays.
            *unread = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            None => self.transport.poll_write(cx, bytes),
            Some(tls) => tls.poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tls.as_mut().map_or(Poll::Ready(Ok(())), |tls| tls.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            None => Poll::Ready(self.transport.end()),
            Some(tls) => tls.poll_shutdown(cx),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }
}

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        // A TLS client that takes nothing is not told of the end.
        match timeout(LINGER, AsyncWriteExt::shutdown(self)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::trace!("client gone before its end: {error}"),
            Err(_) => log::trace!("client took nothing before its end"),
        }
    }
}

impl UniqueID for Connection {
    fn id(&self) -> UniqueIDType {
        self.transport.as_fd().as_raw_fd()
    }
}

impl Ssl for Connection {}

impl Peek for Connection {}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        let digest = SocketDigest::from_raw_fd(self.id());
        // The cell is new, so this sets its value.
        let _peer = digest.peer_addr.get_or_init(|| self.peer.told.or(self.peer.socket).map(PeerAddr::Inet));
        Some(Arc::new(digest))
    }
}
