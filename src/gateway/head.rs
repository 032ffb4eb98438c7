//! Parses the head of an HTTP/1.x request strictly (RFC 9112).
//!
//! Every head of HTTP/1.x is checked here before anything else reads it. A head that two parsers could read as two
//! requests, or with two lengths, is refused. pingora is more lenient, so it gets only heads that can be read in one
//! way.

use crate::fields;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use std::mem::MaybeUninit;

/// The most fields of a head. pingora has the same limit.
const MAX_FIELDS: usize = 256;

/// The head of an HTTP/1.x request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    /// The request target, as the client sent it.
    pub(super) target: String,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Whether the client allows further requests on its connection.
    pub(super) is_kept: bool,
    /// Whether the request can be served without a session. It is a GET without a body, `Expect` or `Upgrade`, and
    /// `Connection` has no option other than `keep-alive` and `close`.
    pub(super) is_plain: bool,
}

/// The framing of the body that follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    /// A body of this many bytes.
    Length(u64),
    /// A body in the chunked coding. Its reader finds the end.
    Chunked,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    #[error("the request line is malformed")]
    RequestLine,
    #[error("the HTTP version is not supported")]
    Version,
    #[error("a header field is malformed")]
    Field,
    #[error("there are too many header fields")]
    TooManyFields,
    #[error("the Host header is malformed")]
    Host,
    #[error("the Content-Length is malformed or there are several")]
    ContentLength,
    #[error("the Transfer-Encoding is not \"chunked\" alone")]
    TransferEncoding,
    #[error("there are both Content-Length and Transfer-Encoding")]
    TwoLengths,
}

impl BadHead {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TransferEncoding => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl Head {
    /// Parses a whole head, including the empty line at its end.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadHead> {
        // Room for the most fields is larger than most heads. It is not filled before it is used.
        let mut fields = [MaybeUninit::uninit(); MAX_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut fields) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(BadHead::Field),
            Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooManyFields),
            Err(httparse::Error::Version) if has_version(bytes) => return Err(BadHead::Version),
            Err(httparse::Error::Version | httparse::Error::Token) => return Err(BadHead::RequestLine),
            Err(_) => return Err(BadHead::Field),
        }
        let method = Method::from_bytes(request.method.unwrap_or_default().as_bytes());
        let method = method.map_err(|_| BadHead::RequestLine)?;
        let target = request.path.unwrap_or_default().to_owned();
        let version = if request.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
        let mut headers = HeaderMap::with_capacity(request.headers.len());
        for field in request.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BadHead::Field)?;
            let value = HeaderValue::from_bytes(field.value).map_err(|_| BadHead::Field)?;
            headers.append(name, value);
        }
        if headers.get_all(HOST).iter().any(|host| !is_host(host.as_bytes())) {
            return Err(BadHead::Host);
        }
        let body = body_of(version, &headers)?;
        let options = Options::of(&headers);
        let is_kept = if version == Version::HTTP_11 { !options.close } else { options.keep_alive && !options.close };
        let is_plain = method == Method::GET
            && body == Body::None
            && !options.others
            && ![CONTENT_LENGTH, EXPECT, UPGRADE].iter().any(|name| headers.contains_key(name));
        Ok(Self { method, target, version, headers, body, is_kept, is_plain })
    }

    /// Whether the head has an `Upgrade` field. pingora then takes the bytes after the head for another protocol, even
    /// if `Connection` does not name the field.
    pub(super) fn upgrades(&self) -> bool {
        self.headers.contains_key(UPGRADE)
    }
}

/// Rewrites a head whose target is an absolute URL. The new target is the path and query of the URL, and the new `Host`
/// is the host of the URL, which replaces the client's field (RFC 9112, section 3.2.2). So pingora and the origin
/// cannot take another host than the one that the route was found by. `None`: the target is not an absolute URL.
pub(super) fn in_origin_form(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(bytes).ok()?;
    let (_, rest) = request.path?.split_once("://")?;
    let (authority, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut head =
        format!("{} {slash}{path} HTTP/1.{}\r\nHost: {authority}\r\n", request.method?, request.version?).into_bytes();
    for field in request.headers.iter().filter(|field| !field.name.eq_ignore_ascii_case(HOST.as_str())) {
        head.extend_from_slice(&[field.name.as_bytes(), b": ", field.value, b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    Some(head)
}

/// The options of a head's `Connection` field (RFC 9110, section 7.6.1).
#[derive(Debug, Default)]
struct Options {
    close: bool,
    keep_alive: bool,
    /// Any other option.
    others: bool,
}

impl Options {
    fn of(headers: &HeaderMap) -> Self {
        let mut options = Self::default();
        let values = headers.get_all(CONNECTION).iter();
        for option in values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
            match option.trim_ascii() {
                b"" => {}
                option if option.eq_ignore_ascii_case(b"close") => options.close = true,
                option if option.eq_ignore_ascii_case(b"keep-alive") => options.keep_alive = true,
                _ => options.others = true,
            }
        }
        options
    }
}

/// The framing of the body (RFC 9112, section 6.3). It is an error if the head allows another framing.
fn body_of(version: Version, headers: &HeaderMap) -> Result<Body, BadHead> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let (coding, second_coding) = (codings.next(), codings.next());
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (length, second_length) = (lengths.next(), lengths.next());
    match (coding, length) {
        (None, None) => Ok(Body::None),
        (Some(_), Some(_)) => Err(BadHead::TwoLengths),
        (None, Some(length)) => match fields::length(length.as_bytes()) {
            Some(bytes) if second_length.is_none() => Ok(Body::Length(bytes)),
            _ => Err(BadHead::ContentLength),
        },
        (Some(coding), None) => {
            let is_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && second_coding.is_none();
            // HTTP/1.0 has no transfer codings, so the framing of such a message is faulty (RFC 9112, section 6.1).
            if is_chunked && version == Version::HTTP_11 { Ok(Body::Chunked) } else { Err(BadHead::TransferEncoding) }
        }
    }
}

/// Whether a text can be the value of `Host` (RFC 9112 section 3.2). It may be empty. It has neither credentials nor a
/// path.
pub(super) fn is_host(text: &[u8]) -> bool {
    let is_port = |port: &[u8]| port.is_empty() || fields::length(port).is_some_and(|port| port <= u64::from(u16::MAX));
    let of_address = |byte: &u8| byte.is_ascii_alphanumeric() || b".:%-_~".contains(byte);
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(byte);
    let (is_named, rest) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b']').unwrap_or(0);
            (end > 0 && rest[..end].iter().all(of_address), rest.get(end + 1..).unwrap_or_default())
        }
        None => {
            let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            (text[..end].iter().all(of_name), &text[end..])
        }
    };
    is_named && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

/// Whether a request line has three parts, of which the last is a version that manifold does not support.
fn has_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let mut parts = line.trim_ascii().split(|byte| *byte == b' ');
    let version = parts.nth(2).and_then(|version| version.strip_prefix(b"HTTP/"));
    parts.next().is_none()
        && version.is_some_and(|v| matches!(v, [a, b'.', b] if a.is_ascii_digit() && b.is_ascii_digit()))
}
