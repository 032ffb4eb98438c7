//! Requests over each protocol of the gateway.

use super::Failure;
use super::identity::{HOST, Identity};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinHandle};

/// The addresses of the gateway, and how to speak to them.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) clear: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) identity: Identity,
}

/// How a client speaks.
#[derive(Clone)]
pub(crate) enum Transport {
    /// HTTP/1.1.
    Clear,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 over TLS 1.3. Several clients share a connection.
    Http2(Shared),
}

impl Transport {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Clear => "HTTP/1.1",
            Self::Tls => "HTTP/1.1 over TLS",
            Self::Http2(_) => "HTTP/2",
        }
    }

    /// Whether the server has not processed the request. A request may cross a GOAWAY: RFC 9113, section 6.8.
    pub(crate) fn may_send_again(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        matches!(self, Self::Http2(_)) && error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
    }
}

/// A connection of HTTP/2 that is opened when it is needed.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Option<http2::SendRequest<Empty<Bytes>>>>>);

/// A response, and what keeps its connection open.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    _connection: Option<Held>,
}

/// Closes the connection when it is dropped.
struct Held(AbortHandle);

impl Held {
    fn of<T>(task: &JoinHandle<T>) -> Self {
        Self(task.abort_handle())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Doors {
    /// Sends a request. `receive_buffer`: the bytes that the kernel receives for this client and that it has not read.
    pub(crate) async fn ask(
        &self,
        transport: &Transport,
        mut request: Request<Empty<Bytes>>,
        receive_buffer: Option<u32>,
    ) -> Result<Answer, Failure> {
        match transport {
            Transport::Clear => {
                request.headers_mut().insert("host", HOST.parse()?);
                over_http1(dial(self.clear, receive_buffer).await?, request).await
            }
            Transport::Tls => {
                request.headers_mut().insert("host", HOST.parse()?);
                let socket = dial(self.tls, receive_buffer).await?;
                over_http1(self.identity.http1.connect(HOST.try_into()?, socket).await?, request).await
            }
            Transport::Http2(shared) => {
                let target = format!("https://{HOST}{}", request.uri());
                *request.uri_mut() = target.parse()?;
                let mut sender = self.shared(shared).await?;
                Ok(Answer { response: sender.send_request(request).await?, _connection: None })
            }
        }
    }

    async fn shared(&self, shared: &Shared) -> Result<http2::SendRequest<Empty<Bytes>>, Failure> {
        let mut open = shared.0.lock().await;
        if let Some(sender) = open.as_mut().filter(|sender| !sender.is_closed())
            && sender.ready().await.is_ok()
        {
            return Ok(sender.clone());
        }
        let socket = dial(self.tls, None).await?;
        let stream = self.identity.http2.connect(HOST.try_into()?, socket).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with the last of its streams and senders.
        tokio::spawn(connection);
        *open = Some(sender.clone());
        Ok(sender)
    }
}

impl Shared {
    /// Asks for nothing any more.
    pub(crate) async fn close(&self) {
        *self.0.lock().await = None;
    }
}

async fn dial(address: SocketAddr, receive_buffer: Option<u32>) -> Result<TcpStream, Failure> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket.connect(address).await?)
}

async fn over_http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<Answer, Failure> {
    let (mut sender, connection) = http1::Builder::new().max_buf_size(8_192).handshake(TokioIo::new(stream)).await?;
    let connection = Some(Held::of(&tokio::spawn(connection)));
    Ok(Answer { response: sender.send_request(request).await?, _connection: connection })
}
