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
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The most bytes of a head that are waited for. pingora refuses a larger one.
const MOST_HEAD_BYTES: usize = 1 << 20;

/// The most bytes that are read at once while a head is read.
const READ_BYTES: usize = 8 << 10;

/// Where in [`Transport::ahead`] a head ends.
#[derive(Debug, Clone, Copy, Default)]
struct Scan {
    end: HeadEnd,
    /// The bytes that were scanned and belong to the head.
    scanned: usize,
    /// The bytes that may be given.
    whole: usize,
}

/// A connection to an origin, with its places. pingora and the `h2` crate read and write it.
#[derive(Debug)]
pub(super) struct Transport {
    layer: Layer,
    /// Set while a head of HTTP/1 is read. A read then gives nothing before the head is whole, and nothing of what is
    /// behind it. pingora parses all that it has after each read. So a head that comes in a million small pieces, or after
    /// a million empty lines, would be parsed a million times.
    head: Option<Scan>,
    /// What came and was not given.
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
        self.head = Some(Scan::default());
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

    /// Scans what came, or else reads more. Returns 0 when the connection has ended.
    fn poll_head(&mut self, scan: &mut Scan, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let unscanned = self.ahead.get(scan.scanned..).unwrap_or_default();
        if unscanned.is_empty() {
            let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut bytes);
            ready!(self.poll_layer(context, &mut read))?;
            self.ahead.extend_from_slice(read.filled());
            return Poll::Ready(Ok(read.filled().len()));
        }
        let bytes = unscanned.len();
        match scan.end.scan(unscanned) {
            Some(of_head) => *scan = Scan { whole: scan.scanned + of_head, ..Scan::default() },
            None if scan.scanned + bytes > MOST_HEAD_BYTES => {
                *scan = Scan { whole: scan.scanned + bytes, scanned: 0, ..*scan };
            }
            None => scan.scanned += bytes,
        }
        self.head = Some(*scan);
        Poll::Ready(Ok(bytes))
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
        let Some(mut scan) = self.head else { return self.poll_layer(context, to) };
        while scan.whole == 0 {
            if ready!(self.poll_head(&mut scan, context))? == 0 {
                // The connection has ended, so the rest is all that there will be.
                scan = Scan { whole: self.ahead.len(), ..Scan::default() };
                break;
            }
        }
        let given = scan.whole.min(to.remaining());
        to.put_slice(self.ahead.drain(..given).as_slice());
        scan.whole -= given;
        self.head = Some(scan);
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

#[cfg(test)]
mod tests {
    use super::super::places::held;
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    /// What each read gives of bytes that come in pieces of this size.
    async fn reads(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let mut transport = Transport::tcp(stream, address, held());
        let (mut origin, _) = listener.accept().await.unwrap();
        origin.set_nodelay(true).unwrap();
        transport.begin_head();
        let send = async move {
            for piece in bytes.chunks(size) {
                origin.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let read = async {
            let mut reads = Vec::new();
            loop {
                let mut read = Vec::with_capacity(4 << 20);
                if transport.read_buf(&mut read).await.unwrap() == 0 {
                    return reads;
                }
                reads.push(read);
            }
        };
        tokio::join!(send, read).1
    }

    #[tokio::test]
    async fn a_head_is_given_when_it_is_whole_in_whatever_pieces_it_comes() {
        let head = format!("{}HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "\r\n".repeat(3000)).into_bytes();
        let final_head = b"HTTP/1.1 404 No\r\n\r\n".to_vec();
        for size in [1, 2, 5, 10_000] {
            let given = reads(&[head.as_slice(), &final_head].concat(), size).await;
            assert!(given == [head.clone(), final_head.clone()], "{} reads in pieces of {size}", given.len());
        }
        assert_eq!(reads(b"220 mail", 100).await, [b"220 mail"]);
        assert_eq!(reads(b"HTTP/1.1 200", 3).await, [b"HTTP/1.1 200"], "the end of the connection");
    }

    #[tokio::test]
    async fn a_head_without_end_is_given_at_its_limit() {
        for endless in ["\r\n".repeat(MOST_HEAD_BYTES), "HTTP/1.1 200".to_owned() + &"x".repeat(2 * MOST_HEAD_BYTES)] {
            let given = reads(endless.as_bytes(), 1 << 20).await;
            assert_eq!(given.concat().len(), endless.len());
            let first = given[0].len();
            assert!(first > MOST_HEAD_BYTES && first <= MOST_HEAD_BYTES + READ_BYTES, "{first}");
        }
    }
}
