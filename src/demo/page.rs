//! The page, and the small API behind its buttons and figures.

use super::crowd::{self, Crowd};
use super::curl;
use super::origin::{Kind, Switch};
use super::pair::Pair;
use super::ticker::Ticker;
use crate::counters::{CountersByRoute, RouteCounters};
use crate::web::{self, Answer, Reply, not_allowed, within_reach};
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

const HTML: &str = include_str!("assets/index.html");
const CSS: &str = include_str!("assets/demo.css");
const JS: &str = include_str!("assets/demo.js");
const ICON: &str = include_str!("assets/icon.svg");

/// What explains every setting. The page links to it.
const REFERENCE: &str = include_str!("../../conf/manifold.toml");

/// The path of the demo's state.
const STATE: &str = "/api/state";

/// The path of the id of a few events ago, which is plain text for the use in a shell.
pub(super) const RECENT_ID: &str = "/api/id";

/// The page may load nothing but what this server sends, and no other page may frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// The header of a button's request. The page of another site cannot send it, because that needs a CORS preflight,
/// which this server does not answer.
static BUTTON: HeaderName = HeaderName::from_static("x-demo");

/// The server of the page and its API.
#[derive(Debug)]
pub(super) struct Page {
    html: String,
    address: SocketAddr,
    ticker: Arc<Ticker>,
    origin: Switch,
    crowd: Arc<Crowd>,
    pair: Arc<Pair>,
    counters: CountersByRoute,
}

impl Page {
    pub(super) fn new(
        address: SocketAddr,
        config: &str,
        ticker: Arc<Ticker>,
        origin: Switch,
        crowd: Arc<Crowd>,
        pair: Arc<Pair>,
        counters: CountersByRoute,
    ) -> Self {
        let address = within_reach(address);
        let html = HTML.replace("{{first}}", &curl(address, Kind::Ticker, None)).replace("{{config}}", config.trim());
        Self { html, address, ticker, origin, crowd, pair, counters }
    }

    /// The page, with the id of a few events ago. Its script keeps that id fresh.
    fn html(&self) -> Bytes {
        let recent = format!("'Last-Event-ID: {}'", self.ticker.recent_id());
        Bytes::from(self.html.replace("{{second}}", &curl(self.address, Kind::Numbered, Some(&recent))))
    }

    /// The state of the demo, as JSON.
    async fn state(&self) -> Value {
        let routes: Vec<Value> = Kind::ALL.into_iter().filter_map(|kind| self.route(kind)).collect();
        json!({
            "run": self.ticker.run(),
            "newest": *self.ticker.newest().borrow(),
            "recent_id": self.ticker.recent_id(),
            "origin": { "on": self.origin.is_on().await },
            "crowd": { "open": self.crowd.len(), "step": crowd::STEP, "limit": crowd::LIMIT },
            "slow": self.pair.state(),
            "routes": routes,
        })
    }

    fn route(&self, kind: Kind) -> Option<Value> {
        let (_, counters) = self.counters.iter().find(|(name, _)| name.as_ref() == kind.name())?;
        let RouteCounters { subscribers, streams, upstream_failures, events_in, events_out, resumes, gaps, .. } =
            counters.as_ref();
        Some(json!({
            "name": kind.name(),
            "clients": subscribers.value(),
            "streams": streams.value(),
            "connections": self.origin.origin().open(kind),
            "failures": upstream_failures.value(),
            "events_in": events_in.value(),
            "events_out": events_out.value(),
            "resumes": resumes.value(),
            "gaps": gaps.total(),
        }))
    }

    /// Handles a pressed button. Returns the new state.
    async fn press(&self, button: &str) -> Option<Reply> {
        match button {
            "origin/stop" => self.origin.turn_off().await,
            "origin/start" => {
                if let Err(error) = self.origin.turn_on().await {
                    let why = format!("the origin cannot listen on {}: {error}", self.origin.address());
                    return Some(reply_json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": why })));
                }
            }
            "clients/open" => self.crowd.open(),
            "clients/close" => self.crowd.close(),
            "slow/open" => self.pair.open(),
            "slow/close" => self.pair.close(),
            "gap" => self.origin.origin().miss(),
            _ => return None,
        }
        Some(reply_json(StatusCode::OK, &self.state().await))
    }
}

impl Answer for Page {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path();
        if let Some(button) = path.strip_prefix("/api/").filter(|_| path != STATE && path != RECENT_ID) {
            if request.method() != Method::POST {
                return not_allowed("POST");
            }
            if !request.headers().contains_key(&BUTTON) {
                return reply(StatusCode::FORBIDDEN, "text/plain", "the header X-Demo is missing\n".into());
            }
            return self.press(button).await.unwrap_or_else(not_found);
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return not_allowed("GET, HEAD");
        }
        match path {
            "/" => reply(StatusCode::OK, "text/html", self.html()),
            "/demo.css" => reply(StatusCode::OK, "text/css", CSS.into()),
            "/demo.js" => reply(StatusCode::OK, "text/javascript", JS.into()),
            "/icon.svg" => reply(StatusCode::OK, "image/svg+xml", ICON.into()),
            "/manifold.toml" => reply(StatusCode::OK, "text/plain", REFERENCE.into()),
            STATE => reply_json(StatusCode::OK, &self.state().await),
            RECENT_ID => reply(StatusCode::OK, "text/plain", self.ticker.recent_id().into()),
            _ => not_found(),
        }
    }
}

fn not_found() -> Reply {
    reply(StatusCode::NOT_FOUND, "text/plain", "nothing here; the page is at /\n".into())
}

fn reply_json(status: StatusCode, value: &Value) -> Reply {
    reply(status, "application/json", value.to_string().into())
}

fn reply(status: StatusCode, content_type: &str, body: Bytes) -> Reply {
    let mut reply = web::reply(status, content_type, body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    reply
}
