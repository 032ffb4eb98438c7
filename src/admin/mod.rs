//! The admin address: what orchestrators and operators ask of a running process, over HTTP.
//!
//! ```text
//!   GET /healthz   200 "ok": the process is alive
//!   GET /readyz    200 "ready", or 503 and why not: it does not accept clients, or it drains
//! ```
//!
//! [`Question`] is the other side: `manifold healthcheck` asks a running process whether it is well.

mod ask;
mod readiness;
#[cfg(test)]
mod tests;

pub use ask::{Question, Unhealthy};

use crate::gateway::Lifecycle;
use crate::web::{Answer, Reply, Server, not_allowed, reply};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use readiness::Readiness;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Facts of the process that the admin address tells.
#[derive(Debug)]
pub struct Facts {
    /// Whether the process serves or drains.
    pub lifecycle: watch::Receiver<Lifecycle>,
    /// The task that accepts clients.
    pub accepting: AbortHandle,
}

/// The admin address, served. Its drop closes the listener and every connection.
#[derive(Debug)]
pub struct Admin(Server);

impl Admin {
    /// Serves on `listener`, on the runtime that this is called in.
    ///
    /// # Errors
    /// When the listener cannot be used by the runtime.
    pub fn start(listener: TcpListener, facts: Facts) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(Self(Server::start(listener, Arc::new(facts))))
    }

    /// Leaves the address to another process: answers what was accepted, and accepts nothing more.
    pub async fn finish(self) {
        self.0.finish().await;
    }
}

impl Facts {
    fn readiness(&self) -> Readiness {
        Readiness::of(*self.lifecycle.borrow(), !self.accepting.is_finished())
    }
}

impl Answer for Facts {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (status, text) = match request.uri().path() {
            "/healthz" => (StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness().answer(),
            _ => (StatusCode::NOT_FOUND, "nothing here; there are /healthz and /readyz\n"),
        };
        if status != StatusCode::NOT_FOUND && request.method() != Method::GET && request.method() != Method::HEAD {
            return not_allowed("GET, HEAD");
        }
        reply(status, "text/plain", Bytes::from_static(text.as_bytes()))
    }
}
