//! Why a request is denied.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// Why a request is denied. What a stranger is told tells nothing about a credential that is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// There is no credential (401).
    Missing,
    /// The credential is not good (401). The reason is for the log alone.
    Invalid(&'static str),
    /// The credential is good, and does not permit this (403).
    Forbidden,
    /// The authorisation service's own answer: 401 or 403.
    Answered(Arc<Answered>),
    /// It cannot be found out now (503). The reason is for the log alone.
    Unavailable(Arc<str>),
}

/// The answer of an authorisation service that denies a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// 401 or 403.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body, cut at a limit.
    pub body: Bytes,
}

impl Denial {
    /// The reason, for a log.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Missing => "no credential",
            Self::Invalid(why) => why,
            Self::Forbidden => "not permitted",
            Self::Answered(_) => "the authorisation service denies it",
            Self::Unavailable(why) => why,
        }
    }
}
