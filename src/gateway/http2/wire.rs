//! The transport that the `h2` crate reads and writes: the client's connection, whose bytes are observed.

use super::link::Link;
use super::traffic::Traffic;
use crate::gateway::connection::Connection;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// A connection that is observed.
#[derive(Debug)]
pub(super) struct Wire {
    connection: Connection,
    traffic: Arc<Mutex<Traffic>>,
    link: Arc<Link>,
}

impl Wire {
    pub(super) fn new(connection: Connection, traffic: Arc<Mutex<Traffic>>, link: Arc<Link>) -> Self {
        Self { connection, traffic, link }
    }

    /// Notes that the kernel gave the client up. This must be noted before the streams break, because they ask for the
    /// reason.
    fn heed<T>(&self, polled: &Poll<io::Result<T>>) {
        if let Poll::Ready(Err(error)) = polled
            && error.kind() == io::ErrorKind::TimedOut
        {
            self.link.give_up();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.connection).poll_read(cx, buf);
        self.heed(&polled);
        let mut traffic = self.traffic.lock();
        if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            traffic.frames.read(bytes, Instant::now());
        }
        if traffic.frames.is_malformed() || traffic.frames.budget.is_spent() {
            // The bytes are withheld, so that a malformed request never looks complete. The task of the connection sees the
            // fault next, and ends the connection.
            buf.set_filled(before);
            return Poll::Pending;
        }
        drop(traffic);
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.connection).poll_write(cx, bytes);
        let mut traffic = self.traffic.lock();
        traffic.is_blocked = polled.is_pending();
        if let Poll::Ready(Ok(sent)) = polled {
            traffic.frames.budget.sent(sent);
        }
        drop(traffic);
        self.heed(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        self.connection.shutdown().await;
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        self.connection.id()
    }
}

impl Ssl for Wire {}

impl Peek for Wire {}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.connection.get_timing_digest()
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.connection.get_proxy_digest()
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.connection.get_socket_digest()
    }
}
