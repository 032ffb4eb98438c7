//! Clients that the demo opens itself. They are real clients, each with its own socket to the gateway.

use super::origin::Kind;
use crate::web::within_reach;
use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, HOST};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The number of clients that one press of the button opens.
pub(super) const STEP: usize = 50;

/// The largest number of open clients.
pub(super) const LIMIT: usize = 500;

/// How long a client waits before it reconnects.
const PAUSE: Duration = Duration::from_secs(1);

/// The open clients.
#[derive(Debug)]
pub(super) struct Crowd {
    gateway: SocketAddr,
    clients: Mutex<JoinSet<()>>,
}

impl Crowd {
    /// A crowd without clients. Its clients will connect to `gateway`.
    pub(super) fn new(gateway: SocketAddr) -> Self {
        Self { gateway: within_reach(gateway), clients: Mutex::default() }
    }

    /// The number of clients.
    pub(super) fn len(&self) -> usize {
        self.clients.lock().len()
    }

    /// Opens [`STEP`] more clients, spread over the streams, up to [`LIMIT`].
    pub(super) fn open(&self) {
        let mut clients = self.clients.lock();
        let after = clients.len().saturating_add(STEP).min(LIMIT);
        for kind in Kind::SHOWN.into_iter().cycle().take(after.saturating_sub(clients.len())) {
            clients.spawn(stay(self.gateway, kind.path()));
        }
    }

    /// Closes all clients.
    pub(super) fn close(&self) {
        *self.clients.lock() = JoinSet::new();
    }
}

/// Reads a stream forever, and reconnects when it ends.
async fn stay(gateway: SocketAddr, path: &'static str) {
    loop {
        if let Err(error) = read(gateway, path).await {
            log::debug!("client of the demo lost its stream: {error}");
        }
        sleep(PAUSE).await;
    }
}

async fn read(gateway: SocketAddr, path: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let socket = TcpStream::connect(gateway).await?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let request = Request::get(path)
        .header(HOST, gateway.to_string())
        .header(ACCEPT, "text/event-stream")
        .body(Empty::<Bytes>::new())?;
    let stream = async {
        let mut body = requests.send_request(request).await?.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(())
    };
    tokio::select! {
        ended = stream => ended,
        ended = connection => Ok(ended?),
    }
}
