//! One connection at the origin: reads requests and returns exchanges.

use super::exchange::{Exchange, Wire};
use super::state::{Open, Request, Watched};
use super::{Authority, Speech};
use crate::http1::{Framing, Headers, Io, Reader};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::ReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;

/// An answer that is being sent.
pub type Answer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The reading half of a connection that has changed its protocol.
pub type Tunnel = Reader<ReadHalf<Box<dyn Io>>>;

/// Everything a connection needs to be served.
#[derive(Clone)]
pub struct Serving {
    pub state: Watched,
    pub speech: Speech,
    pub authority: Option<Arc<Authority>>,
    /// One for all connections, because it holds the sessions that they resume.
    pub acceptor: Option<TlsAcceptor>,
    pub answer: Arc<dyn Fn(Exchange) -> Answer + Send + Sync>,
}

impl Serving {
    /// Accepts connections until it is dropped.
    pub async fn listen(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let open = self.state.opened(&stream);
            let serving = self.clone();
            // An error means that the peer is gone. The story sees that in other ways.
            tokio::spawn(async move { serving.serve(stream, open).await.ok() });
        }
    }

    async fn serve(self, stream: TcpStream, open: Arc<Open>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        match self.speech {
            Speech::Http1 => self.http1(Box::new(stream), open).await,
            Speech::H2c | Speech::H2cAtMost(_) => self.h2(Box::new(stream), open).await,
            Speech::Tls(_) => {
                let acceptor = self.acceptor.as_ref().unwrap();
                let stream = acceptor.accept(stream).await?;
                self.state.handshaken(stream.get_ref().1.handshake_kind().unwrap());
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    self.h2(Box::new(stream), open).await
                } else {
                    self.http1(Box::new(stream), open).await
                }
            }
        }
    }

    async fn http1(self, io: Box<dyn Io>, open: Arc<Open>) -> io::Result<()> {
        let (read, mut writer) = tokio::io::split(io);
        let mut reader = Reader::new(read);
        // Dropped when the connection ends, in any way.
        let (_gone, watch_gone) = watch::channel(());
        while let Some(head) = reader.head().await? {
            let body = reader.body(Framing::of(&head.headers, Framing::Length(0))).await?;
            let mut words = head.first.split(' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (method, target, version) = (word(), word(), word());
            let upgrade = head.headers.one("upgrade").is_some();
            let request = Request { method, target, version, headers: head.headers, body, connection: open.number };
            let (back, returned) = oneshot::channel();
            let mut exchange = Exchange {
                request: self.state.record(request),
                wire: Wire::Http1(writer, back),
                gone: watch_gone.clone(),
                open: open.clone(),
                tunnel: None,
            };
            if upgrade {
                exchange.tunnel = Some(reader);
                tokio::spawn((self.answer)(exchange));
                return Ok(());
            }
            tokio::spawn((self.answer)(exchange));
            match Self::answered(&mut reader, returned).await {
                Some(half) => writer = half,
                None => break,
            }
        }
        Ok(())
    }

    /// Waits for the end of the answer, and reads on meanwhile. `None`: the connection has ended.
    async fn answered<W>(reader: &mut Tunnel, mut returned: oneshot::Receiver<W>) -> Option<W> {
        loop {
            tokio::select! {
                half = &mut returned => return half.ok(),
                read = reader.fill() => if !read.unwrap_or(false) { return None },
            }
        }
    }

    async fn h2(self, io: Box<dyn Io>, open: Arc<Open>) -> io::Result<()> {
        let mut builder = h2::server::Builder::new();
        if let Speech::H2cAtMost(streams) = self.speech {
            builder.max_concurrent_streams(streams);
        }
        let mut connection = builder.handshake(io).await.map_err(io::Error::other)?;
        // Dropped when the connection ends, in any way.
        let (_gone, watch_gone) = watch::channel(());
        loop {
            let next = tokio::select! {
                next = connection.accept() => next,
                () = open.going_away.notified() => {
                    connection.graceful_shutdown();
                    continue;
                }
            };
            let Some(next) = next else { break };
            let (request, respond) = next.map_err(io::Error::other)?;
            let (serving, open, gone) = (self.clone(), open.clone(), watch_gone.clone());
            tokio::spawn(async move {
                let request = serving.state.record(h2_request(request, open.number).await);
                let exchange = Exchange { request, wire: Wire::H2(respond), gone, open, tunnel: None };
                (serving.answer)(exchange).await;
            });
        }
        Ok(())
    }
}

async fn h2_request(request: http::Request<h2::RecvStream>, connection: usize) -> Request {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(data)) = stream.data().await {
        body.extend_from_slice(&data);
        stream.flow_control().release_capacity(data.len()).unwrap();
    }
    let mut headers = Headers::from(&head.headers);
    if let Some(authority) = head.uri.authority() {
        headers.0.push(("host".to_owned(), authority.to_string()));
    }
    let target = head.uri.path_and_query().map_or("*", |path| path.as_str()).to_owned();
    Request { method: head.method.to_string(), target, version: "HTTP/2".to_owned(), headers, body, connection }
}
