//! The header fields of proxied messages: which fields pass, and which are for one connection only.
//!
//! pingora removes the connection fields of an HTTP/1 request before this module sees the request.

use crate::fields::{becomes_another, is_hop_by_hop, joined_cookies, members};
use crate::replay::VIA as GATEWAY;
use crate::upstream::{appended, request_via};
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

/// Why a message is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `Content-Length` is repeated or not a number (RFC 9110, section 8.6).
    Length,
    /// The body has a transfer coding other than `chunked`, has it twice, or has one in HTTP/1.0.
    Coding,
    /// The origin changes the protocol although the request did not ask for that.
    Upgrade,
}

impl Fault {
    /// The text for the log.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Length => "the Content-Length is repeated or not a number",
            Self::Coding => "the response has a Transfer-Encoding that is not chunked alone, or has one in HTTP/1.0",
            Self::Upgrade => "the response changes the protocol although the request did not ask for that",
        }
    }
}

/// The fault of a request, if it has one. It is checked here, because pingora would read a length of `5, 5` as 5.
pub(super) fn fault_of_request(request: &HeaderMap) -> Option<Fault> {
    let mut lengths = request.get_all(CONTENT_LENGTH).iter();
    let (first, second) = (lengths.next(), lengths.next());
    (second.is_some() || first.is_some_and(|first| !is_number(first.as_bytes()))).then_some(Fault::Length)
}

/// Whether a text can be a length. A length that is too large for this program is one too.
fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// The fault of an origin's response, if it has one. `may_upgrade`: the request asked for an upgrade.
pub(super) fn fault_of_response(head: &ResponseHeader, may_upgrade: bool) -> Option<Fault> {
    let (response, is_http10) = (&head.headers, head.version == Version::HTTP_10);
    let is_odd = response.contains_key(UPGRADE) && passing_protocols(response).is_none();
    if head.status == StatusCode::SWITCHING_PROTOCOLS && (!may_upgrade || is_odd || is_http10) {
        return Some(Fault::Upgrade);
    }
    // A response may repeat one length. The client gets it once.
    let mut lengths = members(response, &CONTENT_LENGTH);
    let first = lengths.next();
    if lengths.any(|other| Some(other) != first)
        || first.is_some_and(|first| !is_number(first))
        || first.is_none() && response.contains_key(CONTENT_LENGTH)
    {
        return Some(Fault::Length);
    }
    let mut codings = members(response, &TRANSFER_ENCODING);
    let is_chunked = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    // HTTP/1.0 has no chunks, and chunks within chunks are not allowed (RFC 9112, section 6.1).
    let is_one = is_chunked && codings.next().is_none() && !is_http10;
    let is_understood = is_one || !response.contains_key(TRANSFER_ENCODING);
    (!is_understood).then_some(Fault::Coding)
}

/// The protocols of `Upgrade` that may pass. Other versions of HTTP do not pass, because their requests would reach the
/// origin unchecked.
fn passing_protocols(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_own = |protocol: &[u8]| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
        [&b"h2c"[..], b"h2", b"http", b"tls"].iter().any(|own| name.eq_ignore_ascii_case(own))
    };
    let passing: Vec<&[u8]> = members(headers, &UPGRADE).filter(|protocol| !is_own(protocol)).collect();
    if passing.is_empty() { None } else { HeaderValue::from_bytes(&passing.join(&b", "[..])).ok() }
}

/// The version and fields of a client's request, as they were before pingora removed the connection fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client<'a> {
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
}

impl Client<'_> {
    /// The protocols that the client asks for and that may pass. `Upgrade` counts only if `Connection` names it (RFC
    /// 9110, section 7.8).
    pub(super) fn upgrade(self) -> Option<HeaderValue> {
        let is_asked = self.version == Version::HTTP_11
            && members(self.headers, &CONNECTION).any(|name| name.eq_ignore_ascii_case(b"upgrade"));
        if is_asked { passing_protocols(self.headers) } else { None }
    }

    /// Whether the client accepts trailers (RFC 9110, section 10.1.4).
    fn takes_trailers(self) -> bool {
        members(self.headers, &TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    }
}

/// Turns a request's fields into those for the origin. Returns whether fields were dropped because of their names.
///
/// # Errors
/// Never, because all names and values come from valid fields.
pub(super) fn for_origin(request: &mut RequestHeader, client: Client<'_>) -> Result<bool> {
    let has_odd_names = request.headers.keys().any(becomes_another);
    let is_of_hop = |name: &HeaderName| is_hop_by_hop(name) && *name != TRANSFER_ENCODING;
    let gone = request.headers.keys().filter(|name| becomes_another(name) || is_of_hop(name));
    for name in &gone.cloned().collect::<Vec<_>>() {
        request.remove_header(name);
    }
    if client.version == Version::HTTP_10 {
        // An HTTP/1.0 client cannot wait for a 100 (RFC 9110, section 10.1.1).
        request.remove_header(&EXPECT);
    }
    if let Some(cookie) = joined_cookies(&request.headers).filter(|_| client.version == Version::HTTP_2) {
        request.insert_header(COOKIE, cookie)?;
    }
    let is_http1 = request.version != Version::HTTP_2;
    let upgrade = client.upgrade().filter(|_| is_http1);
    let takes_trailers = client.takes_trailers();
    if takes_trailers {
        request.insert_header(TE, "trailers")?;
    }
    let connection = match (&upgrade, takes_trailers && is_http1) {
        (Some(_), true) => Some("Upgrade, TE"),
        (Some(_), false) => Some("Upgrade"),
        (None, true) => Some("TE"),
        (None, false) => None,
    };
    if let Some(connection) = connection {
        request.insert_header(CONNECTION, connection)?;
    }
    if let Some(upgrade) = upgrade {
        request.insert_header(UPGRADE, upgrade)?;
    }
    let via = request_via(&request.headers);
    request.insert_header(VIA, via)?;
    Ok(has_odd_names)
}

/// Whether the field describes a body that a response of this status cannot have (RFC 9110, section 8.6 and RFC 9112,
/// section 6.1). A 304 may have a length: the length of the response to an unconditional request.
fn frames_nothing(status: StatusCode, name: &HeaderName) -> bool {
    let is_bare = status.is_informational() || status == StatusCode::NO_CONTENT;
    match *name {
        CONTENT_LENGTH => is_bare,
        TRANSFER_ENCODING => is_bare || status == StatusCode::NOT_MODIFIED,
        _ => false,
    }
}

/// Turns a response's fields into those for the client.
///
/// # Errors
/// Never, because all names and values come from valid fields.
pub(super) fn for_client(response: &mut ResponseHeader, client: Version) -> Result<()> {
    let is_upgrade = response.status == StatusCode::SWITCHING_PROTOCOLS;
    let named: Vec<HeaderName> =
        members(&response.headers, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    // With 426, `Upgrade` says what a client must ask for (RFC 9110, section 15.5.22). Only HTTP/1.1 has that field.
    let names_protocols = is_upgrade || response.status == StatusCode::UPGRADE_REQUIRED;
    let protocols = passing_protocols(&response.headers).filter(|_| names_protocols && client == Version::HTTP_11);
    let stays = |name: &HeaderName| match *name {
        // pingora needs these fields, and frames the body anew for the client.
        TRANSFER_ENCODING | CONTENT_LENGTH => true,
        // Trailers are not forwarded to clients of HTTP/1.
        TRAILER => client == Version::HTTP_2,
        _ => false,
    };
    let is_gone = |name: &HeaderName| {
        (is_hop_by_hop(name) || named.contains(name)) && !stays(name) || frames_nothing(response.status, name)
    };
    let gone = response.headers.keys().filter(|name| is_gone(name));
    for name in &gone.cloned().collect::<Vec<_>>() {
        response.remove_header(name);
    }
    if let Some(protocols) = protocols {
        response.insert_header(UPGRADE, protocols)?;
    }
    if is_upgrade {
        response.insert_header(CONNECTION, "Upgrade")?;
    }
    let length = members(&response.headers, &CONTENT_LENGTH).next().and_then(|one| HeaderValue::from_bytes(one).ok());
    if let Some(length) = length {
        response.insert_header(CONTENT_LENGTH, length)?;
    }
    if !response.status.is_informational() || is_upgrade {
        let via = appended(&response.headers, GATEWAY);
        response.insert_header(VIA, via)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
