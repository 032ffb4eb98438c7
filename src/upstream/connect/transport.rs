//! The connection of a stream to its origin: TCP, or TLS over TCP. It is made here and not by pingora, which would read
//! the certificates of a `ca_file` for each connection, and would not resume TLS sessions of such a route.

use super::head_end::HeadEnd;
use super::places::Held;
use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use rustls::ClientConnection;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection to an origin, with its places. pingora and the `h2` crate read and write it.
#[derive(Debug)]
pub(super) struct Transport {
    layer: Layer,
    /// Set while a head of HTTP/1 is read. A read then gives no more than the rest of the head.
    head: Option<HeadEnd>,
    /// What came behind a head and was not given.
    ahead: Vec<u8>,
    /// The address of the origin.
    pub(super) address: SocketAddr,
    /// It is free when the socket, which is above, is closed.
    _held: Held,
}

#[derive(Debug)]
enum Layer {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    pub(super) fn tcp(stream: TcpStream, address: SocketAddr, held: Held) -> Self {
        Self::over(Layer::Tcp(stream), address, held)
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, address: SocketAddr, held: Held) -> Self {
        Self::over(Layer::Tls(Box::new(stream)), address, held)
    }

    fn over(layer: Layer, address: SocketAddr, held: Held) -> Self {
        Self { layer, head: None, ahead: Vec::new(), address, _held: held }
    }

    /// The connection in a stream that pingora gives back. `None`: the stream is not a `Transport`.
    pub(super) fn of(stream: Stream) -> Option<Self> {
        stream.into_any().downcast::<Self>().ok().map(|transport| *transport)
    }

    /// From now on a head of HTTP/1 is read, and no byte behind it. More heads may follow.
    pub(super) fn begin_head(&mut self) {
        self.head = Some(HeadEnd::default());
    }

    /// The last head was read. Returns what came behind it.
    pub(super) fn end_head(&mut self) -> Vec<u8> {
        self.head = None;
        std::mem::take(&mut self.ahead)
    }

    fn poll_layer(&mut self, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Tcp(stream) => Pin::new(stream).poll_read(context, to),
            Layer::Tls(stream) => Pin::new(stream).poll_read(context, to),
        }
    }

    /// The state of TLS. `None`: the connection is in the clear.
    pub(super) fn session(&self) -> Option<&ClientConnection> {
        match &self.layer {
            Layer::Tcp(_) => None,
            Layer::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    /// Whether TLS has agreed on HTTP/2 (RFC 7301).
    pub(super) fn speaks_http2(&self) -> bool {
        self.session().is_some_and(|session| session.alpn_protocol() == Some(b"h2"))
    }
}

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(mut head) = self.head else { return self.poll_layer(context, to) };
        if self.ahead.is_empty() {
            let before = to.filled().len();
            ready!(self.poll_layer(context, to))?;
            let came = to.filled().get(before..).unwrap_or_default();
            let of_head = head.scan(came);
            self.ahead.extend_from_slice(came.get(of_head..).unwrap_or_default());
            to.set_filled(before + of_head);
        } else {
            let most = self.ahead.len().min(to.remaining());
            let of_head = head.scan(self.ahead.get(..most).unwrap_or_default());
            to.put_slice(self.ahead.drain(..of_head).as_slice());
        }
        self.head = Some(head);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Layer::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Layer::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Layer::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[async_trait]
impl Shutdown for Transport {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(self).await {
            log::debug!("cannot end a connection to an origin: {error}");
        }
    }
}

impl UniqueID for Transport {
    fn id(&self) -> UniqueIDType {
        match &self.layer {
            Layer::Tcp(stream) => stream.as_raw_fd(),
            Layer::Tls(stream) => stream.get_ref().0.as_raw_fd(),
        }
    }
}

impl Ssl for Transport {}

impl GetTimingDigest for Transport {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Transport {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Transport {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Transport {}
