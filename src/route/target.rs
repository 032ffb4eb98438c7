//! The target of a request, checked before a route is looked up.
//!
//! A target that no route may serve is refused here. It is not repaired. Different servers read some paths in different
//! ways. Whether such a path may pass depends on the route, so the table decides that
//! ([`RouteTable::find`](super::RouteTable::find)). Encoded slashes are allowed as data. A dot segment between encoded
//! slashes is refused like any other dot segment.

use http::Method;

/// The parts of a request target (RFC 9112, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The authority of an absolute-form target. It replaces the `Host` header (RFC 9112, section 3.2.2).
    pub authority: Option<&'a str>,
    /// The raw path, which begins with `/`. It is `*` in the asterisk form.
    pub path: &'a str,
    /// The text after the first `?`.
    pub query: Option<&'a str>,
}

/// The most bytes of a target. The library that makes requests refuses a URL of 64 KiB, which has a scheme and a host
/// besides.
pub const MOST_TARGET_BYTES: usize = 65_000;

/// Why a request target is refused (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// More bytes than [`MOST_TARGET_BYTES`].
    #[error("must not be longer than {MOST_TARGET_BYTES} bytes")]
    TooLong,
    /// The target is neither a path nor an absolute URL.
    #[error("must begin with \"/\"")]
    NoSlash,
    /// `*` with a method that is not OPTIONS.
    #[error("must not be \"*\" except with OPTIONS")]
    Asterisk,
    /// An absolute URL whose scheme is neither http nor https.
    #[error("must have the scheme http or https")]
    Scheme,
    /// An absolute URL without a host, with credentials, or with a bad port.
    #[error("must have a host, may have a port, and must not have a user name or a password")]
    Authority,
    /// A `#`.
    #[error("must not contain a fragment (\"#\")")]
    Fragment,
    /// A space, a control character or a character beyond ASCII.
    #[error("must not contain spaces, control characters or non-ASCII characters: percent-encode them")]
    Character,
    /// A character that a URI must encode, and with which no request to an origin can be made.
    #[error("must not contain {0:?}: percent-encode it")]
    Unencoded(char),
    /// A `\`, which some servers read as `/`.
    #[error("must not contain a backslash")]
    Backslash,
    /// A `%` without two hexadecimal digits, or an encoded NUL.
    #[error("must not contain \"%00\", or a \"%\" that is not a percent-encoding")]
    Encoding,
    /// A path that some servers read as a path of another route.
    #[error("must not be a path that servers interpret differently, because it could belong to different routes")]
    Ambiguous,
    /// `//`.
    #[error("must not contain \"//\"")]
    DoubleSlash,
    /// A segment `.` or `..`, plain or encoded.
    #[error("must not contain a segment \".\" or \"..\", encoded or not")]
    DotSegment,
}

/// The characters, besides those that no target may contain, that a path and a query must encode. Browsers encode them,
/// and the library that makes requests refuses them.
const OF_NO_PATH: &[char] = &['<', '>', '`'];
const OF_NO_QUERY: &[char] = &['<', '>', '"'];

/// Splits a request target into its parts and checks them.
///
/// # Errors
/// When the target is malformed, or when its path could mean another path to the origin.
pub fn check_target<'a>(method: &Method, text: &'a str) -> Result<Target<'a>, BadTarget> {
    if text.len() > MOST_TARGET_BYTES {
        return Err(BadTarget::TooLong);
    }
    if text == "*" {
        let asterisk = Target { authority: None, path: "*", query: None };
        return if method == Method::OPTIONS { Ok(asterisk) } else { Err(BadTarget::Asterisk) };
    }
    let (authority, rest) = if text.starts_with('/') { (None, text) } else { split_absolute(text)? };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    check_path(path)?;
    check_characters(query.unwrap_or_default(), OF_NO_QUERY)?;
    Ok(Target { authority, path, query })
}

/// Splits `http://host:port/path?query` before the path. Returns the authority and the rest.
fn split_absolute(text: &str) -> Result<(Option<&str>, &str), BadTarget> {
    let (scheme, rest) = text.split_once("://").ok_or(BadTarget::NoSlash)?;
    if !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) {
        return Err(BadTarget::Scheme);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).ok_or(BadTarget::Authority)?;
    check_authority(authority)?;
    Ok((Some(authority), rest))
}

fn check_authority(authority: &str) -> Result<(), BadTarget> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    // This also refuses the `@` of credentials (RFC 9110, section 4.2.4).
    let in_host = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%".contains(c);
    let host_is_good = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.chars().all(in_host),
    };
    let port_is_good = port.is_empty() || port.parse::<u16>().is_ok_and(|_| port.bytes().all(|b| b.is_ascii_digit()));
    if host_is_good && port_is_good { Ok(()) } else { Err(BadTarget::Authority) }
}

/// Checks a raw path by the rules that hold for all routes.
fn check_path(path: &str) -> Result<(), BadTarget> {
    if !path.starts_with('/') {
        return Err(BadTarget::NoSlash);
    }
    check_characters(path, OF_NO_PATH)?;
    let lax = decode_separators(path)?;
    // Some servers take the text after a `;` for a parameter. They read `..;a` as `..`.
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    if lax.split('/').any(is_dots) {
        return Err(BadTarget::DotSegment);
    }
    Ok(())
}

/// Checks a raw path by the stricter rules for patterns and streams: it must hold nothing that a server may repair.
pub(super) fn check_strictly(path: &str) -> Result<(), BadTarget> {
    check_path(path)?;
    if path.contains('\\') {
        return Err(BadTarget::Backslash);
    }
    if path.contains("//") {
        return Err(BadTarget::DoubleSlash);
    }
    let is_encoding =
        |part: &str| part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if path.split('%').skip(1).all(is_encoding) { Ok(()) } else { Err(BadTarget::Encoding) }
}

/// Checks the characters of a path or a query. `others` are those that it must encode, besides the ones that neither may
/// contain.
fn check_characters(text: &str, others: &[char]) -> Result<(), BadTarget> {
    if text.contains('#') {
        return Err(BadTarget::Fragment);
    }
    if let Some(other) = text.chars().find(|c| others.contains(c)) {
        return Err(BadTarget::Unencoded(other));
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(BadTarget::Character) }
}

/// The path as the most lax server decodes it: encoded dots, slashes, backslashes and semicolons are decoded, and
/// each backslash is a slash.
fn decode_separators(path: &str) -> Result<String, BadTarget> {
    let mut parts = path.split('%');
    let mut lax = parts.next().unwrap_or_default().replace('\\', "/");
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or_default();
        let (decoded, rest) = match digits.to_ascii_lowercase().as_str() {
            "00" => return Err(BadTarget::Encoding),
            "2e" => (".", rest),
            "2f" | "5c" => ("/", rest),
            "3b" => (";", rest),
            _ => ("%", part),
        };
        lax.push_str(decoded);
        lax.push_str(&rest.replace('\\', "/"));
    }
    Ok(lax)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_target_is_taken_apart() {
        for (text, authority, path, query) in [
            ("/", None, "/", None),
            ("/a/b.c/..d/...", None, "/a/b.c/..d/...", None),
            ("/a?b=/../c\\?d", None, "/a", Some("b=/../c\\?d")),
            ("/a?", None, "/a", Some("")),
            ("/a%2Fb/%252e%252e/c", None, "/a%2Fb/%252e%252e/c", None),
            ("/|[]^{}\"'", None, "/|[]^{}\"'", None),
            // Whether these pass depends on the route, so the table decides.
            ("//a//b", None, "//a//b", None),
            ("/a\\b;c", None, "/a\\b;c", None),
            ("/100%", None, "/100%", None),
            ("/%zz%4%", None, "/%zz%4%", None),
            ("http://Host:80/a?b", Some("Host:80"), "/a", Some("b")),
            ("HTTPS://h", Some("h"), "/", None),
            ("http://h?b", Some("h"), "/", Some("b")),
            ("http://[::1]:8080/a", Some("[::1]:8080"), "/a", None),
            ("http://[::1]/", Some("[::1]"), "/", None),
            ("http://h:/", Some("h:"), "/", None),
        ] {
            assert_eq!(check_target(&Method::GET, text), Ok(Target { authority, path, query }), "{text}");
        }
        assert_eq!(check_target(&Method::OPTIONS, "*").map(|target| target.path), Ok("*"));
    }

    #[test]
    fn a_bad_target_says_why() {
        use BadTarget as Bad;
        let long = "/".to_owned() + &"a".repeat(MOST_TARGET_BYTES);
        for (text, why) in [
            (&*long, Bad::TooLong),
            ("", Bad::NoSlash),
            ("a", Bad::NoSlash),
            ("h:443", Bad::NoSlash),
            ("*", Bad::Asterisk),
            ("/a#b", Bad::Fragment),
            ("/a?b#c", Bad::Fragment),
            ("/a b", Bad::Character),
            ("/a\u{7f}", Bad::Character),
            ("/a\0", Bad::Character),
            ("/a?b\r\n", Bad::Character),
            ("/\u{e9}", Bad::Character),
            ("/a<b", Bad::Unencoded('<')),
            ("/a>b", Bad::Unencoded('>')),
            ("/a`b", Bad::Unencoded('`')),
            ("/a?<b", Bad::Unencoded('<')),
            ("/a?b=\"c\"", Bad::Unencoded('"')),
            ("/a%00", Bad::Encoding),
            ("/%%00", Bad::Encoding),
            ("/a\\..\\b", Bad::DotSegment),
            ("/%zz/../b", Bad::DotSegment),
            ("/%2/%2e%2e/b", Bad::DotSegment),
            ("//..", Bad::DotSegment),
            ("/.", Bad::DotSegment),
            ("/..", Bad::DotSegment),
            ("/a/./b", Bad::DotSegment),
            ("/a/../b", Bad::DotSegment),
            ("/a/%2e%2E/b", Bad::DotSegment),
            ("/a/.%2e", Bad::DotSegment),
            ("/a/%2e", Bad::DotSegment),
            ("/a%2f..%2Fb", Bad::DotSegment),
            ("/a%5c%2e%2e%5Cb", Bad::DotSegment),
            ("/a/..%2fb", Bad::DotSegment),
            ("/a/..;x/b", Bad::DotSegment),
            ("/a/..%3bx/b", Bad::DotSegment),
            ("ftp://h/a", Bad::Scheme),
            ("http:///a", Bad::Authority),
            ("http://u@h/a", Bad::Authority),
            ("http://u:p@h/a", Bad::Authority),
            ("http://h:x/a", Bad::Authority),
            ("http://h:+1/a", Bad::Authority),
            ("http://h:70000/a", Bad::Authority),
            ("http://[::1/a", Bad::Authority),
            ("http://[x]/a", Bad::Authority),
            ("http://h\\x/a", Bad::Authority),
            ("http://h/../a", Bad::DotSegment),
        ] {
            assert_eq!(check_target(&Method::GET, text), Err(why), "{text}");
        }
    }

    /// Whatever passes makes a request to an origin. So no client can make an origin look as if it were down.
    #[test]
    fn whatever_is_good_makes_a_request() {
        let longest = "/?".to_owned() + &"a".repeat(MOST_TARGET_BYTES - 2);
        assert!(check_target(&Method::GET, &longest).is_ok());
        assert!(format!("https://{}.example:65535{longest}", "a".repeat(240)).parse::<http::Uri>().is_ok());
        for byte in 0x21..0x7f_u8 {
            for text in [format!("/a{}b", char::from(byte)), format!("/a?b{}c", char::from(byte))] {
                let is_good = check_target(&Method::GET, &text).is_ok();
                let makes_a_request = text.parse::<http::uri::PathAndQuery>().is_ok();
                assert!(makes_a_request || !is_good, "{text}");
                assert!(is_good || !makes_a_request || byte == b'#', "{text}");
            }
        }
    }

    #[test]
    fn a_pattern_and_a_stream_need_a_path_without_oddities() {
        use BadTarget as Bad;
        for (path, expected) in [
            ("/a%2Fb", Ok(())),
            ("/a;b", Ok(())),
            ("/a\\b", Err(Bad::Backslash)),
            ("/a%", Err(Bad::Encoding)),
            ("/a%2", Err(Bad::Encoding)),
            ("/a%zz", Err(Bad::Encoding)),
            ("/a%+1", Err(Bad::Encoding)),
            ("/a%%41", Err(Bad::Encoding)),
            ("//a", Err(Bad::DoubleSlash)),
            ("/a//", Err(Bad::DoubleSlash)),
            ("/a/..", Err(Bad::DotSegment)),
        ] {
            assert_eq!(check_strictly(path), expected, "{path}");
        }
    }
}
