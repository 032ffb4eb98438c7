//! Which paths a route serves.

use super::target::{BadTarget, check_path};
use std::fmt;

/// Which paths a route serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// This raw path exactly.
    Exact(String),
    /// Paths that begin with this, which ends in `/` (`/ticks/*` is `/ticks/` here).
    Prefix(String),
}

/// Why a text is not a [`PathPattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// A `*` elsewhere than in a final `/*`.
    #[error("must not hold \"*\" except in a final \"/*\"")]
    Asterisk,
    /// A `?`.
    #[error("must not hold a query (\"?\"): see share.query")]
    Query,
    /// No request with such a path is ever routed.
    #[error(transparent)]
    Path(#[from] BadTarget),
}

impl PathPattern {
    /// Reads `/path`, or `/prefix/*`.
    ///
    /// # Errors
    /// When the text is no such pattern, or one that no good request could match.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let (path, is_prefix) = match text.strip_suffix('*') {
            Some(path) if path.ends_with('/') => (path, true),
            _ => (text, false),
        };
        if path.contains('*') {
            return Err(InvalidPattern::Asterisk);
        }
        if path.contains('?') {
            return Err(InvalidPattern::Query);
        }
        check_path(path)?;
        let path = path.to_owned();
        Ok(if is_prefix { Self::Prefix(path) } else { Self::Exact(path) })
    }

    /// Whether this pattern serves `path`. `/ticks/*` serves `/ticks/` and `/ticks/a`, but not `/ticks`.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }

    /// Whether every path served begins with the segments of `prefix` (`/ticks`, without a final slash).
    #[must_use]
    pub fn is_under(&self, prefix: &str) -> bool {
        let (Self::Exact(path) | Self::Prefix(path)) = self;
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(path) => write!(f, "{path}*"),
        }
    }
}
