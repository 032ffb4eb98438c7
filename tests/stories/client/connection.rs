//! A client's connection. A story may send any bytes on it.

use super::Socket;
use super::response::Response;
use crate::guard::guarded;
use crate::http1::{Io, Reader};
use crate::mode::Mode;
use crate::origin::{Authority, Origin, Port, Version};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tokio::io::AsyncWriteExt;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, UnixStream};

/// The authority of the gateways in the modes over TLS.
pub static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// The address that a client connects to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The TCP address of a gateway, and what a client speaks there if its story chooses no other protocol.
    Gateway(SocketAddr, Mode),
    /// A Unix socket.
    Unix(PathBuf),
    /// No address, for a connection that is open already.
    None,
}

impl Target {
    /// The value of the `Host` header.
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(addr) | Self::Gateway(addr, _) => addr.to_string(),
            Self::Unix(_) | Self::None => "localhost".to_owned(),
        }
    }

    /// What a client speaks there if its story chooses no other protocol.
    fn mode(&self) -> Mode {
        match self {
            Self::Gateway(_, mode) => *mode,
            Self::Tcp(_) | Self::Unix(_) | Self::None => Mode::Http1,
        }
    }

    /// Whether that is HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.mode().is_http2()
    }

    /// The TLS of that.
    pub(super) fn tls(&self) -> Option<(&'static Authority, Version)> {
        self.mode().tls().map(|version| (&*AUTHORITY, version))
    }
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl From<&Path> for Target {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl From<&Origin> for Target {
    fn from(origin: &Origin) -> Self {
        Self::Tcp(origin.addr())
    }
}

impl From<&Port> for Target {
    fn from(port: &Port) -> Self {
        Self::Tcp(port.addr())
    }
}

/// What a client wants of a connection.
#[derive(Clone, Copy, Default)]
pub struct Wants<'a> {
    /// The size of the socket's receive buffer.
    pub receive_buffer: Option<u32>,
    /// Whom it trusts, and the version of TLS. `None`: as the target says.
    pub tls: Option<(&'a Authority, Version)>,
    /// Whether it will speak HTTP/2.
    pub http2: bool,
}

/// Connects to a target. TLS is for the name `localhost`.
pub async fn open(target: &Target, wants: Wants<'_>) -> io::Result<(Box<dyn Io>, Socket)> {
    let addr = match target {
        Target::Tcp(addr) | Target::Gateway(addr, _) => *addr,
        Target::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            let socket = Some(stream.as_fd().try_clone_to_owned()?);
            return Ok((Box::new(stream), socket));
        }
        Target::None => panic!("nothing to connect to"),
    };
    let socket = TcpSocket::new_v4()?;
    if let Some(size) = wants.receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    let stream = socket.connect(addr).await?;
    stream.set_nodelay(true)?;
    let socket = Some(stream.as_fd().try_clone_to_owned()?);
    let Some((authority, version)) = wants.tls.or_else(|| target.tls()) else { return Ok((Box::new(stream), socket)) };
    let name = ServerName::try_from("localhost").unwrap();
    let protocols = if wants.http2 { &["h2"] } else { &["http/1.1"] };
    Ok((Box::new(authority.connector_of(protocols, version).connect(name, stream).await?), socket))
}

/// An HTTP/1.x connection to the gateway.
pub struct Connection {
    pub(super) reader: Reader<ReadHalf<Box<dyn Io>>>,
    pub(super) writer: WriteHalf<Box<dyn Io>>,
    pub(super) socket: Socket,
}

impl Connection {
    /// A new connection, on which nothing has been sent.
    pub async fn open(target: impl Into<Target>) -> Self {
        let target = target.into();
        let opened = guarded("a connection", open(&target, Wants::default())).await;
        let (io, socket) = opened.unwrap_or_else(|error| panic!("cannot connect to {target:?}: {error}"));
        Self::new(io, socket)
    }

    pub(super) fn new(io: Box<dyn Io>, socket: Socket) -> Self {
        let (read, writer) = tokio::io::split(io);
        Self { reader: Reader::new(read), writer, socket }
    }

    /// Sends bytes as they are. It is not a failure if the gateway has closed the connection, because its answer says
    /// why.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _sent = guarded("room to send", self.writer.write_all(bytes.as_ref())).await;
    }

    /// Ends the client's side: nothing more will be sent.
    pub async fn half_close(&mut self) {
        self.writer.shutdown().await.unwrap();
    }

    /// The same, although the gateway may have closed the connection.
    pub async fn try_half_close(&mut self) {
        let _closed = self.writer.shutdown().await;
    }

    /// The next answer on this connection. `head_only`: the request was a HEAD.
    pub async fn response(self, head_only: bool) -> Response {
        let response = guarded("the head of an answer", self.try_response(head_only)).await;
        response.unwrap_or_else(|error| panic!("no head of an answer: {error}"))
    }

    /// The next answer on this connection, or why there is none.
    pub(super) async fn try_response(mut self, head_only: bool) -> io::Result<Response> {
        match self.reader.head().await? {
            Some(head) => Ok(Response::of_http1(head, self, head_only)),
            None => Err(io::Error::other(format!("the connection ended after {:?}", self.reader.take()))),
        }
    }

    /// Everything that comes until the gateway closes the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let rest = async { while self.reader.fill().await.unwrap_or(false) {} };
        guarded("the other side to close", rest).await;
        self.reader.take().to_vec()
    }

    /// Waits until at least this many bytes have come, and takes everything that has come.
    pub async fn receive(&mut self, atleast: usize) -> Vec<u8> {
        let mut all = self.reader.take().to_vec();
        while all.len() < atleast {
            assert!(guarded("more bytes", self.reader.fill()).await.unwrap(), "the connection ended after {all:?}");
            all.extend_from_slice(&self.reader.take());
        }
        all
    }

    /// Resets the connection.
    pub fn reset(self) {
        rustix::net::connect_unspec(self.socket.as_ref().expect("a client that is not slim")).unwrap();
    }
}
