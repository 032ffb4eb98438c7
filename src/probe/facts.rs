//! What a probe has learned, before it is judged.

use super::ask::NoConnection;
use super::flow::Flow;
use super::lines::Lines;
use super::reading::Ending;
use super::resumed::Resumed;
use crate::upstream::Secured;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, Version};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// Everything that a probe has learned of one URL.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// How long the stream was to be listened to.
    pub patience: Duration,
    /// Redirects that were followed, and one that was not.
    pub hops: Vec<Hop>,
    /// The host that was asked last.
    pub host: String,
    /// The connection, or why there is none.
    pub connection: Option<Result<Connection, NoConnection>>,
    /// The head of the answer, or why there is none.
    pub head: Option<Result<Head, NoHead>>,
    /// The answer that is compressed, if one is.
    pub compressed: Option<Compressed>,
    /// The stream, if there is one.
    pub stream: Option<Stream>,
    /// What followed an id.
    pub resume: Option<Resume>,
    /// The page's origin that CORS is asked for.
    pub page: Option<Page>,
    /// What became of requests with HEAD.
    pub head_method: Option<HeadMethod>,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    /// The status.
    pub status: StatusCode,
    /// Where it leads, as it may be shown.
    pub to: String,
    /// Why it was not followed.
    pub refused: Option<&'static str>,
}

/// A connection that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connection {
    /// The address that was reached.
    pub address: SocketAddr,
    /// The time for name look-up, TCP and TLS.
    pub took: Duration,
    /// What TLS has agreed on. `None`: the connection is in the clear.
    pub tls: Option<Secured>,
    /// When it was made.
    pub at: SystemTime,
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// The status.
    pub status: StatusCode,
    /// The version of HTTP.
    pub version: Version,
    /// The fields.
    pub fields: HeaderMap,
    /// When it came, since the request was sent.
    pub took: Duration,
}

impl Default for Head {
    fn default() -> Self {
        let (status, version) = (StatusCode::OK, Version::HTTP_11);
        Self { status, version, fields: HeaderMap::new(), took: Duration::ZERO }
    }
}

/// Why there is no head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoHead {
    /// None came in time.
    Late,
    /// The connection failed, in the words of the log.
    Failed(String),
}

/// An answer with a `Content-Encoding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compressed {
    /// The coding.
    pub coding: String,
    /// The number of moments at which bytes of it came.
    pub moments: usize,
    /// What became of the request for an answer that is not compressed.
    pub plain: Plain,
}

/// An answer to `Accept-Encoding: identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// It is not compressed.
    Came,
    /// It is compressed all the same.
    Compressed,
    /// There is none.
    Failed,
}

/// What was heard of a stream.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    /// How long it was listened to, since the request.
    pub listened: Duration,
    /// All bytes of it.
    pub bytes: usize,
    /// Its events.
    pub events: usize,
    /// Those without an id.
    pub without_id: usize,
    /// Its ids, the same in a row once.
    pub ids: usize,
    /// The number of different ids.
    pub different: usize,
    /// The values of `retry`.
    pub retries: Vec<u64>,
    /// Events that are too large.
    pub refused: usize,
    /// How the events came.
    pub flow: Flow,
    /// The number of moments at which bytes came.
    pub moments: usize,
    /// When the first byte came.
    pub first: Option<Duration>,
    /// The longest time without a byte.
    pub silence: Duration,
    /// What was seen in its lines.
    pub lines: Lines,
    /// How it ended.
    pub end: Option<Ending>,
}

/// What became of the attempt to resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resume {
    /// The id that was asked for.
    pub id: Bytes,
    /// The answer.
    pub answer: Resumption,
}

/// An answer to a request with `Last-Event-ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resumption {
    /// There was no connection or no head.
    NoAnswer,
    /// An answer that is no stream.
    Status(StatusCode),
    /// A stream.
    Stream(Resumed),
}

/// A page of another origin.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// The page's origin.
    pub origin: String,
    /// Whether it sends credentials.
    pub credentials: bool,
    /// The fields that need a preflight.
    pub asks: Vec<HeaderName>,
    /// The answer to the preflight. `None`: there is none, or none is needed.
    pub preflight: Option<(StatusCode, HeaderMap)>,
}

/// What became of requests with HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeadMethod {
    /// No answer came.
    NoAnswer,
    /// An answer.
    Answered {
        /// Its status.
        status: StatusCode,
        /// Its version.
        version: Version,
        /// Its fields.
        fields: HeaderMap,
        /// What became of a second request on the same connection. `None`: the head says that the connection is closed.
        again: Option<Again>,
    },
}

/// What became of a second request on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It was answered.
    Answered,
    /// There was no answer.
    Lost,
    /// The answer to the first request had a body, although it must not have one.
    Garbled,
}
