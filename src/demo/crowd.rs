//! Clients that the demo opens itself: real ones, each on a socket of its own through the gateway.

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

/// Clients opened by one press of the button.
pub(super) const STEP: usize = 50;

/// The most that may be open.
pub(super) const LIMIT: usize = 500;

/// How long a client waits before it comes back.
const PAUSE: Duration = Duration::from_secs(1);

/// The clients that are open.
#[derive(Debug)]
pub(super) struct Crowd {
    gateway: SocketAddr,
    clients: Mutex<JoinSet<()>>,
}

impl Crowd {
    /// Nobody yet; they will go to `gateway`.
    pub(super) fn new(gateway: SocketAddr) -> Self {
        Self { gateway: within_reach(gateway), clients: Mutex::default() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.clients.lock().len()
    }

    /// Opens [`STEP`] more, spread over the streams, but no more than [`LIMIT`] in all.
    pub(super) fn open(&self) {
        let mut clients = self.clients.lock();
        let after = clients.len().saturating_add(STEP).min(LIMIT);
        for kind in Kind::ALL.into_iter().cycle().take(after.saturating_sub(clients.len())) {
            clients.spawn(stay(self.gateway, kind.path()));
        }
    }

    /// Closes all.
    pub(super) fn close(&self) {
        *self.clients.lock() = JoinSet::new();
    }
}

/// Reads a stream for good, and comes back when it ends.
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
