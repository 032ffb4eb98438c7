//! What went wrong between here and an origin, in words.

use crate::upstream::Origin;
use pingora::ErrorType;

/// What went wrong between here and an origin, for one log line, and what to do about it where that is known.
#[must_use]
pub fn advised(error: &pingora::Error, origin: &Origin) -> String {
    let reason = reason(error);
    match advice(error.etype(), &reason, origin) {
        Some(advice) => format!("{reason}: {advice}"),
        None => reason,
    }
}

/// What went wrong, in a few words.
pub(super) fn reason(error: &pingora::Error) -> String {
    let what = match error.etype() {
        ErrorType::ConnectRefused => return "connection refused".to_owned(),
        ErrorType::ConnectTimedout => return "connect timed out".to_owned(),
        ErrorType::TLSHandshakeTimedout => return "TLS handshake timed out".to_owned(),
        ErrorType::ConnectionClosed => return "closed by the origin".to_owned(),
        ErrorType::TLSHandshakeFailure => "TLS handshake failed",
        other => other.as_str(),
    };
    let root = root(error);
    if *root.etype() == ErrorType::InvalidHTTPHeader {
        return head_fault(root).to_owned();
    }
    let context = root.context.as_ref().map(ToString::to_string);
    let cause = root.cause.as_ref().map(ToString::to_string);
    let parts = [Some(what), context.as_deref(), cause.as_deref()];
    let said = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Said of a head that does not begin as one of HTTP does.
const NO_HTTP: &str = "no HTTP came back";

/// What is wrong with a response's head, without a word of it: it holds cookies.
fn head_fault(error: &pingora::Error) -> &'static str {
    let context = error.context.as_ref().map(|context| context.as_str()).unwrap_or_default();
    let cause = error.cause.as_ref().map(ToString::to_string).unwrap_or_default();
    // pingora's own limits and the parser's own words.
    match cause.as_str() {
        "too many headers" => "the response head has more than 256 fields, which is the limit",
        "invalid HTTP version" | "invalid token" | "invalid response status" => NO_HTTP,
        // It quotes the head.
        _ if context.starts_with("buf:") => "a field of the response head is malformed",
        _ if context.starts_with("Response header larger") => {
            "the response head is larger than 1 MiB, which is the limit"
        }
        _ if context.contains("Content-Length") => "the response head has no valid Content-Length",
        _ if context.contains("Transfer-Encoding") => "the response head has no valid Transfer-Encoding",
        _ => "a field of the response head is malformed",
    }
}

/// The error that all others in the chain tell of.
fn root(error: &pingora::Error) -> &pingora::Error {
    let mut root = error;
    while let Some(cause) = root.cause.as_ref().and_then(|cause| cause.downcast_ref::<Box<pingora::Error>>()) {
        root = cause;
    }
    root
}

/// What the one who wrote the configuration may do. Of a failed handshake, pingora keeps no more than rustls's words.
fn advice(kind: &ErrorType, said: &str, origin: &Origin) -> Option<String> {
    match kind {
        ErrorType::ConnectRefused => Some("start the origin, or correct the route's origin".to_owned()),
        ErrorType::InvalidHTTPHeader if said == NO_HTTP && !origin.is_tls() => {
            Some("if the origin speaks TLS, its URL must begin with https://".to_owned())
        }
        ErrorType::TLSHandshakeFailure if said.contains("InvalidContentType") => {
            Some("no TLS came back: if the origin speaks plain HTTP, its URL must begin with http://".to_owned())
        }
        ErrorType::TLSHandshakeFailure if said.contains("UnknownIssuer") => {
            Some("its certificate is not trusted: name the file of its authority in upstream.ca_file".to_owned())
        }
        ErrorType::TLSHandshakeFailure if said.contains("not valid for name") => Some(format!(
            "its certificate is not for {}: the route's origin must name a host of it",
            origin.bare_host()
        )),
        _ => None,
    }
}
