//! A client's connection. A story may send any bytes on it.

use super::Socket;
use super::response::Response;
use crate::guard::guarded;
use crate::http1::{Io, Reader};
use crate::origin::{Authority, Origin, Port, Version};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tokio::io::AsyncWriteExt;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, UnixStream};

/// The authority of the gateways in the TLS mode.
pub static MODE: LazyLock<Authority> = LazyLock::new(Authority::new);

/// The address that a client connects to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A TCP address at which the gateway of the stories in their TLS mode speaks TLS.
    Tls(SocketAddr, Version),
    /// A Unix socket.
    Unix(PathBuf),
    /// No address, for a connection that is open already.
    None,
}

impl Target {
    /// The value of the `Host` header.
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(addr) | Self::Tls(addr, _) => addr.to_string(),
            Self::Unix(_) | Self::None => "localhost".to_owned(),
        }
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

/// Connects to a target. TLS is for the name `localhost`.
pub async fn open(
    target: &Target,
    receive_buffer: Option<u32>,
    tls: Option<(&Authority, Version)>,
    protocols: &[&str],
) -> (Box<dyn Io>, Socket) {
    let (addr, tls) = match target {
        Target::Tcp(addr) => (*addr, tls),
        Target::Tls(addr, version) => (*addr, Some(tls.unwrap_or((&MODE, *version)))),
        Target::Unix(path) => {
            let stream = UnixStream::connect(path).await.unwrap();
            let socket = stream.as_fd().try_clone_to_owned().unwrap();
            return (Box::new(stream), socket);
        }
        Target::None => panic!("nothing to connect to"),
    };
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size).unwrap();
    }
    let stream = socket.connect(addr).await.unwrap_or_else(|error| panic!("cannot connect to {addr}: {error}"));
    stream.set_nodelay(true).unwrap();
    let socket = stream.as_fd().try_clone_to_owned().unwrap();
    let Some((authority, version)) = tls else { return (Box::new(stream), socket) };
    let name = ServerName::try_from("localhost").unwrap();
    (Box::new(authority.connector_of(protocols, version).connect(name, stream).await.unwrap()), socket)
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
        let (io, socket) = guarded("a connection", open(&target.into(), None, None, &["http/1.1"])).await;
        Self::new(io, socket)
    }

    /// A new connection, or `None` if nothing listens there.
    pub(super) async fn try_open(addr: SocketAddr) -> Option<Self> {
        let stream = TcpSocket::new_v4().unwrap().connect(addr).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let socket = stream.as_fd().try_clone_to_owned().unwrap();
        Some(Self::new(Box::new(stream), socket))
    }

    /// The next answer on this connection, or `None` if the connection breaks first.
    pub(super) async fn try_response(mut self) -> Option<Response> {
        let head = self.reader.head().await.ok()??;
        Some(Response::of_http1(head, self, false))
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

    /// The next answer on this connection. `head_only`: the request was a HEAD.
    pub async fn response(mut self, head_only: bool) -> Response {
        let head = guarded("the head of an answer", self.reader.head()).await.expect("a head and no error");
        let head =
            head.unwrap_or_else(|| panic!("the connection ended without a head, after {:?}", self.reader.take()));
        Response::of_http1(head, self, head_only)
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
        rustix::net::connect_unspec(&self.socket).unwrap();
    }
}
