//! What a probe says: findings, each with a verdict.

use std::fmt;

/// How good a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and there is something to know.
    Note,
    /// It breaks streams.
    Wrong,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Wrong => "wrong",
        })
    }
}

/// What a finding is about. docs/troubleshooting.md has a section for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Name look-up, TCP, and why TLS failed.
    Connection,
    /// The version of TLS, and the protocol that the server chose.
    Tls,
    /// Whom the certificate is for, who issued it, and when it expires.
    Certificate,
    /// Answers that lead to another URL.
    Redirect,
    /// The version of HTTP.
    Protocol,
    /// The status of the answer.
    Status,
    /// `Content-Type`.
    Type,
    /// `Cache-Control` and `Age`.
    Cache,
    /// `Content-Length`.
    Length,
    /// `Content-Encoding`.
    Compression,
    /// `X-Accel-Buffering`.
    Accel,
    /// The proxies that name themselves.
    Proxy,
    /// When the head came.
    HeadTime,
    /// Whether events came.
    Events,
    /// Whether events are late or in lumps.
    Buffering,
    /// Comments in the silence.
    Heartbeat,
    /// The ids of events.
    Ids,
    /// What follows `Last-Event-ID`.
    Resume,
    /// The reconnection time.
    Retry,
    /// Lines and blocks that break clients.
    Blocks,
    /// Whether a page of another origin may read the stream.
    Cors,
    /// The request that a browser sends before one with special fields.
    Preflight,
    /// Whether the connection serves another request.
    KeepAlive,
    /// The answer to HEAD.
    HeadMethod,
    /// How the stream ended.
    End,
}

impl Key {
    /// Every key, in the order of a report.
    pub const ALL: [Self; 25] = [
        Self::Connection,
        Self::Tls,
        Self::Certificate,
        Self::Redirect,
        Self::Protocol,
        Self::Status,
        Self::Type,
        Self::Cache,
        Self::Length,
        Self::Compression,
        Self::Accel,
        Self::Proxy,
        Self::HeadTime,
        Self::Events,
        Self::Buffering,
        Self::Heartbeat,
        Self::Ids,
        Self::Resume,
        Self::Retry,
        Self::Blocks,
        Self::Cors,
        Self::Preflight,
        Self::KeepAlive,
        Self::HeadMethod,
        Self::End,
    ];

    /// The name in reports and in the document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Redirect => "redirect",
            Self::Protocol => "protocol",
            Self::Status => "status",
            Self::Type => "type",
            Self::Cache => "cache",
            Self::Length => "length",
            Self::Compression => "compression",
            Self::Accel => "accel",
            Self::Proxy => "proxy",
            Self::HeadTime => "head-time",
            Self::Events => "events",
            Self::Buffering => "buffering",
            Self::Heartbeat => "heartbeat",
            Self::Ids => "ids",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Blocks => "blocks",
            Self::Cors => "cors",
            Self::Preflight => "preflight",
            Self::KeepAlive => "keep-alive",
            Self::HeadMethod => "head-method",
            Self::End => "end",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub key: Key,
    /// How good it is.
    pub verdict: Verdict,
    /// What was seen, in a sentence.
    pub seen: String,
    /// Why it matters and what to do. Empty: nothing is to be done.
    pub advice: String,
}

impl Finding {
    /// A thing that is as it should be.
    pub(super) fn good(key: Key, seen: impl Into<String>) -> Self {
        Self { key, verdict: Verdict::Good, seen: seen.into(), advice: String::new() }
    }

    /// A thing to know.
    pub(super) fn note(key: Key, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { key, verdict: Verdict::Note, seen: seen.into(), advice: advice.into() }
    }

    /// A thing that breaks streams.
    pub(super) fn wrong(key: Key, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { key, verdict: Verdict::Wrong, seen: seen.into(), advice: advice.into() }
    }
}
