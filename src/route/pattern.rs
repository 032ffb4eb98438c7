//! Path patterns: the paths that a route serves.

use super::reading::{behind, plain};
use super::target::{BadTarget, check_strictly};
use std::fmt;

/// The paths that a route serves. Both texts are in the form of the plain reading of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(String),
    /// The paths that begin with this text, which ends in `/`. `/ticks/*` is `/ticks/` here.
    Prefix(String),
}

/// Why a text is not a [`PathPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// A placeholder or a regular expression, as in the patterns of other programs.
    #[error(
        "must be an exact path or a prefix that ends in \"/*\", without placeholders and regular expressions: \
         for all paths below, write \"{0}\""
    )]
    Placeholder(String),
    /// A `*` that is not part of a final `/*`.
    #[error("must not contain \"*\" except in a final \"/*\"")]
    Asterisk,
    /// A `?`.
    #[error("must not contain a query (\"?\"): see share.query")]
    Query,
    /// An octet that ends a segment or the path for some servers but not for others.
    #[error("must not contain \"{0}\", which servers interpret differently: write a shorter path that ends in \"/*\"")]
    Separator(String),
    /// A path that no request may have.
    #[error(transparent)]
    Path(#[from] BadTarget),
}

/// Octets that some servers take for a separator, raw or encoded. `%25` is an encoded `%`, which servers may decode
/// twice.
const SEPARATORS: [&str; 7] = [";", "%2F", "%5C", "%3B", "%3F", "%23", "%25"];

impl PathPattern {
    /// Reads `/path`, or `/prefix/*`.
    ///
    /// # Errors
    /// When the text is not such a pattern, or when no valid request could match it.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if let Some(meant) = meant_by_placeholder(text) {
            return Err(InvalidPattern::Placeholder(meant));
        }
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
        check_strictly(path)?;
        let path = plain(path).into_owned();
        if let Some(separator) = SEPARATORS.iter().find(|separator| path.contains(**separator)) {
            return Err(InvalidPattern::Separator((*separator).to_owned()));
        }
        Ok(if is_prefix { Self::Prefix(path) } else { Self::Exact(path) })
    }

    /// Whether this pattern serves `path`, which must be a plain reading. `/ticks/*` serves `/ticks/` and `/ticks/a`,
    /// but not `/ticks`.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }

    /// Whether every path of this pattern begins with the segments of `prefix` (`/ticks`, without a final slash).
    #[must_use]
    pub fn is_under(&self, prefix: &str) -> bool {
        let (Self::Exact(path) | Self::Prefix(path)) = self;
        behind(path, prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The prefix that the author of a pattern in another program's form probably meant. It has the segments before the
/// first one with a placeholder or a regular expression. `None`: the pattern is not in such a form.
fn meant_by_placeholder(text: &str) -> Option<String> {
    const EXPRESSIONS: [&str; 9] = ["(?", ".*", ".+", "[^", "[0-9", "[a-z", "\\d", "\\w", "**"];
    let path = text.strip_prefix('^').unwrap_or(text);
    let is_odd = |segment: &str| {
        let names = segment.strip_prefix(':').is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        let is_enclosed = [('{', '}'), ('<', '>')]
            .iter()
            .any(|(open, close)| segment.split_once(*open).is_some_and(|(_, rest)| rest.contains(*close)));
        names || is_enclosed || EXPRESSIONS.iter().any(|expression| segment.contains(expression))
    };
    // A `/` inside a set of a regular expression (`[^/]`) is not a separator. That does not matter, because only what
    // comes before the set is kept.
    let kept: Vec<_> = path.split('/').take_while(|segment| !is_odd(segment)).collect();
    let is_anchored = path != text || path.ends_with('$') && !path.ends_with("/$");
    if kept.len() == path.split('/').count() && !is_anchored {
        return None;
    }
    let kept = kept.join("/");
    let kept = kept.trim_end_matches(['$', '/']);
    let kept = kept.trim_start_matches('/');
    Some(if kept.is_empty() { "/*".to_owned() } else { format!("/{kept}/*") })
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(path) => write!(f, "{path}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_no_request_could_match_is_none() {
        use InvalidPattern as Bad;
        for (text, why) in [
            ("", Bad::Path(BadTarget::NoSlash)),
            ("ticks", Bad::Path(BadTarget::NoSlash)),
            ("*", Bad::Asterisk),
            ("/a*", Bad::Asterisk),
            ("/*/a", Bad::Asterisk),
            ("/a?b", Bad::Query),
            ("/a#b", Bad::Path(BadTarget::Fragment)),
            ("//a", Bad::Path(BadTarget::DoubleSlash)),
            ("/a//*", Bad::Path(BadTarget::DoubleSlash)),
            ("/a/%2E./b", Bad::Path(BadTarget::DotSegment)),
            ("/a%2fb", Bad::Separator("%2F".to_owned())),
            ("/a;b/*", Bad::Separator(";".to_owned())),
            ("/a%3bb", Bad::Separator("%3B".to_owned())),
            ("/a%252fb", Bad::Separator("%25".to_owned())),
        ] {
            assert_eq!(PathPattern::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_pattern_is_held_in_its_plain_reading() {
        for (text, shown) in [
            ("/*", "/*"),
            ("/m%65/*", "/me/*"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a[1]|b", "/a%5B1%5D%7Cb"),
            ("/v1/jobs:watch", "/v1/jobs:watch"),
            ("/:8080/x", "/:8080/x"),
            ("/a(b)+c$d", "/a(b)+c$d"),
            ("/$", "/$"),
        ] {
            assert_eq!(PathPattern::parse(text).map(|pattern| pattern.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn patterns_of_other_programs_are_told_what_is_meant() {
        for (text, meant) in [
            ("/events/:id", "/events/*"),
            ("/jobs/:id/events", "/jobs/*"),
            ("/events/{id}", "/events/*"),
            ("/events/{id...}", "/events/*"),
            ("/events/<id>", "/events/*"),
            ("/events/<int:id>", "/events/*"),
            ("/user-{name}/x", "/*"),
            ("/{any}", "/*"),
            ("/:id", "/*"),
            ("/events/.*", "/events/*"),
            ("/events/(.+)", "/events/*"),
            ("/events/[^/]+", "/events/*"),
            ("/events/[0-9]+/x", "/events/*"),
            ("/events/\\d+", "/events/*"),
            ("^/events/.*$", "/events/*"),
            ("^/events", "/events/*"),
            ("/events$", "/events/*"),
            ("/events/(?<id>x)", "/events/*"),
            ("/events/**", "/events/*"),
        ] {
            assert_eq!(PathPattern::parse(text), Err(InvalidPattern::Placeholder(meant.to_owned())), "{text}");
        }
    }
}
