//! The admin address: answers the questions of orchestrators and operators about this process, over HTTP.
//!
//! ```text
//!   GET /healthz   200 "ok": the process is alive
//!   GET /readyz    200 "ready", or 503 and why not: it does not accept clients, or it drains
//!   /api/          what there is and what happens, as JSON
//!   GET /          the live page, and the files that it is made of
//!   GET /metrics   the figures for Prometheus, in the format that `Accept` asks for
//! ```
//!
//! Requests that name a foreign host are refused, and so are those without the token, if there is one. Who asks for
//! health needs no token, and neither do the files of the page, which hold no data.
//!
//! [`Question`] is the client's side: `manifold healthcheck` asks a running process whether it is healthy.
//! [`Upgrade`] is `manifold upgrade`, which asks it to start a new process in its place.

mod api;
mod ask;
mod call;
mod guard;
mod page;
mod readiness;
#[cfg(test)]
mod tests;
mod unverified;
mod upgrade;
mod upgrades;

pub use api::Api;
pub use ask::{Question, Unhealthy};
pub use upgrade::{NotUpgraded, STARTS_WITHIN, Upgrade};
pub use upgrades::{UpgradeRequest, UpgradeRequests, Upgrades};

use crate::config::{AdminAccess, Settings};
use crate::counters::process;
use crate::gateway::{Lifecycle, Permissions};
use crate::metrics::{Format, Metrics};
use crate::quoted::reason;
pub use crate::web::Listener;
use crate::web::{Answer, Reply, Server, not_allowed, reply};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use readiness::Readiness;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What a request without the token is told (RFC 6750, section 3).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"manifold admin\"");

/// The facts of the process that the admin address reports.
#[derive(Debug)]
pub struct Facts {
    /// Whether the process is running or draining.
    pub lifecycle: watch::Receiver<Lifecycle>,
    /// The task that accepts clients.
    pub accepting: AbortHandle,
    /// Who may ask.
    pub access: Arc<ArcSwap<AdminAccess>>,
    /// The figures of the process.
    pub metrics: Metrics,
    /// The configuration, for those who look at it.
    pub settings: Arc<ArcSwap<Settings>>,
    /// The permissions of all clients.
    pub permissions: Permissions,
    /// Answers below `/api/`.
    pub api: Api,
    /// Lets one request for the figures be answered at a time. A crowd of them must not take the threads from others.
    pub scraping: tokio::sync::Mutex<()>,
}

/// The server of the admin address. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Admin(Server);

impl Admin {
    /// Serves on `listener`, on the current runtime.
    #[must_use]
    pub fn start(listener: impl Into<Listener>, facts: Facts) -> Self {
        Self(Server::start(listener, Arc::new(facts)))
    }

    /// Leaves the address to another process: accepts no more connections, and answers the requests that were
    /// accepted. `left` is called in between, when the other process alone accepts connections.
    pub async fn finish(self, left: impl FnOnce()) {
        self.0.finish(left).await;
    }
}

impl Facts {
    /// The figures in the format that the request asks for.
    async fn figures(&self, request: &Request<Incoming>) -> Reply {
        // Several fields are one list (RFC 9110, section 5.3).
        let accept: Vec<_> = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let format = Format::asked_for(Some(&accept.join(",")));
        let _turn = self.scraping.lock().await;
        let metrics = self.metrics.clone();
        let written = tokio::task::spawn_blocking(move || metrics.encode(format)).await;
        let why = match written {
            Ok(Ok(figures)) => {
                let mut reply = reply(StatusCode::OK, "text/plain", figures);
                reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
                return reply;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        log::error!("no metrics: {}", reason(&why));
        reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::from_static(b"the metrics cannot be written\n"))
    }

    fn readiness(&self) -> Readiness {
        Readiness::of(*self.lifecycle.borrow(), !self.accepting.is_finished())
    }
}

impl Answer for Facts {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let file = page::file(request.uri().path());
        let is_open = file.is_some() || matches!(request.uri().path(), "/healthz" | "/readyz");
        if let Err(unanswered) = guard::admit(&self.access.load(), request.uri(), request.headers(), is_open) {
            let (status, text) = unanswered.answer();
            let is_api = request.uri().path().starts_with("/api/");
            let plain = || reply(status, "text/plain", Bytes::from_static(text.as_bytes()));
            let mut reply = if is_api { api::refused(status, text) } else { plain() };
            if status == StatusCode::UNAUTHORIZED {
                reply.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
            }
            return reply;
        }
        if request.uri().path() == "/api/revoke" {
            let (parts, body) = request.into_parts();
            return Api::revoke(&parts, body, &self.permissions).await;
        }
        if let Some(path) = request.uri().path().strip_prefix("/api/") {
            return self.api.answer(path, &request, self).await;
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if let Some(file) = file {
            return if is_read { file.reply(request.headers()) } else { not_allowed("GET, HEAD") };
        }
        let (status, text) = match request.uri().path() {
            "/metrics" if is_read => return self.figures(&request).await,
            "/metrics" => return not_allowed("GET, HEAD"),
            "/healthz" => (StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness().answer(process().reloads.has_failed()),
            _ => {
                (StatusCode::NOT_FOUND, "there is nothing at this path: see /, /healthz, /readyz, /metrics and /api/\n")
            }
        };
        if status != StatusCode::NOT_FOUND && !is_read {
            return not_allowed("GET, HEAD");
        }
        reply(status, "text/plain", Bytes::from_static(text.as_bytes()))
    }
}
