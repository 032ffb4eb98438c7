//! The admin address: answers the questions of orchestrators and operators about this process, over HTTP.
//!
//! ```text
//!   GET /healthz   200 "ok": the process is alive
//!   GET /readyz    200 "ready", or 503 and why not: it does not accept clients, or it drains
//! ```
//!
//! [`Question`] is the client's side: `manifold healthcheck` asks a running process whether it is healthy.

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

/// The facts of the process that the admin address reports.
#[derive(Debug)]
pub struct Facts {
    /// Whether the process is running or draining.
    pub lifecycle: watch::Receiver<Lifecycle>,
    /// The task that accepts clients.
    pub accepting: AbortHandle,
}

/// The server of the admin address. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Admin(Server);

impl Admin {
    /// Serves on `listener`, on the current runtime.
    ///
    /// # Errors
    /// Fails when the runtime cannot use the listener.
    pub fn start(listener: TcpListener, facts: Facts) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(Self(Server::start(listener, Arc::new(facts))))
    }

    /// Leaves the address to another process: answers the requests that were accepted, and accepts no more
    /// connections.
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
