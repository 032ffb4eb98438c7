//! The address of an origin.

use std::cell::Cell;
use std::fmt;
use url::SyntaxViolation::{Backslash, C0SpaceIgnored, ExpectedDoubleSlash, TabOrNewlineIgnored};
use url::Url;

/// The scheme, host, port and base path of an origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    tls: bool,
    host: String,
    port: u16,
    base_path: String,
}

/// Why a text is not an [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// Not a URL at all.
    #[error("must be a URL such as http://127.0.0.1:9000")]
    NotAUrl,
    /// A port that there cannot be.
    #[error("must have a port from 1 to 65535")]
    Port,
    /// Another scheme, or none.
    #[error("must begin with http:// or https://, as in http://127.0.0.1:9000")]
    Scheme,
    /// Credentials in the URL.
    #[error("must not contain a user name or a password: use [routes.upstream] headers")]
    UserInfo,
    /// A query or a fragment.
    #[error("must not contain a query or a fragment")]
    QueryOrFragment,
}

impl InvalidOrigin {
    /// Why a text is not a URL.
    fn of(text: &str, error: Option<url::ParseError>) -> Self {
        match error {
            Some(url::ParseError::InvalidPort) => Self::Port,
            _ if !text.is_empty() && !text.contains("://") => Self::Scheme,
            _ => Self::NotAUrl,
        }
    }
}

/// Reads a URL that somebody wrote down. The URL standard lets a reader repair wrong slashes and drop spaces, as
/// browsers do. Here these are errors, because what was meant is not certain.
///
/// # Errors
/// Fails when the text is not a URL.
pub fn read_url(text: &str) -> Result<Url, InvalidOrigin> {
    let is_repaired = Cell::new(false);
    let note = |violation| {
        let repairs = [Backslash, C0SpaceIgnored, ExpectedDoubleSlash, TabOrNewlineIgnored];
        is_repaired.set(is_repaired.get() || repairs.contains(&violation));
    };
    let read = Url::options().syntax_violation_callback(Some(&note)).parse(text);
    match read {
        Ok(url) if !is_repaired.get() => Ok(url),
        read => Err(InvalidOrigin::of(text, read.err())),
    }
}

impl Origin {
    /// Reads `http://host[:port][/base/path]` or its https form. A trailing slash of the base path is dropped.
    ///
    /// # Errors
    /// Fails when the text is not such a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let url = read_url(text)?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(InvalidOrigin::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidOrigin::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidOrigin::QueryOrFragment);
        }
        let host = url.host_str().ok_or(InvalidOrigin::NotAUrl)?.to_owned();
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(InvalidOrigin::Port)?;
        Ok(Self { tls, host, port, base_path: url.path().trim_end_matches('/').to_owned() })
    }

    /// Whether the origin is reached over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host as it is in the URL, with brackets around an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host without the brackets of an IPv6 address, for name resolution and SNI.
    #[must_use]
    pub fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port. If the URL names none, the scheme's default.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path that comes before the path of every request. It has no trailing slash.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// The URL without the base path and without a trailing slash.
    #[must_use]
    pub fn root_url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// The value of the `Host` field (RFC 9110 section 7.2). It names the port only if that is not the scheme's
    /// default.
    #[must_use]
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_and_shown() {
        let origin = Origin::parse("http://127.0.0.1:9000/base/").unwrap();
        assert_eq!((origin.is_tls(), origin.host(), origin.port()), (false, "127.0.0.1", 9000));
        assert_eq!(origin.base_path(), "/base");
        assert_eq!(origin.to_string(), "http://127.0.0.1:9000/base");
        let origin = Origin::parse("https://[::1]").unwrap();
        assert_eq!((origin.bare_host(), origin.port(), origin.authority().as_str()), ("::1", 443, "[::1]"));
    }

    #[test]
    fn what_is_no_origin_says_why() {
        for (text, why) in [
            ("127.0.0.1:9000", InvalidOrigin::Scheme),
            ("ftp://h", InvalidOrigin::Scheme),
            ("http://h:99999", InvalidOrigin::Port),
            ("http://h:0", InvalidOrigin::Port),
            ("", InvalidOrigin::NotAUrl),
            ("http://", InvalidOrigin::NotAUrl),
            ("http:/h", InvalidOrigin::Scheme),
            ("http:h", InvalidOrigin::Scheme),
            ("http:///h", InvalidOrigin::NotAUrl),
            ("http:\\\\h", InvalidOrigin::Scheme),
            ("http://h\\api", InvalidOrigin::NotAUrl),
            (" http://h", InvalidOrigin::NotAUrl),
            ("http://h\n", InvalidOrigin::NotAUrl),
            ("http://h/a\tb", InvalidOrigin::NotAUrl),
            ("http://u:p@h", InvalidOrigin::UserInfo),
            ("http://h/?a=1", InvalidOrigin::QueryOrFragment),
        ] {
            assert_eq!(Origin::parse(text), Err(why), "{text}");
        }
    }
}
