//! Heads of HTTP/2: the request for the gateway, and responses as blocks of fields.

use super::session::Handed;
use crate::fanout::h2;
use crate::gateway::reply::Reply;
use crate::gateway::wire::response_head;
use http::header::{CONNECTION, DATE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::date::get_cached_date;

/// The fields that concern a connection of HTTP/1.x (RFC 9113, section 8.2.2).
static CONNECTION_FIELDS: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A request as the gateway knows it. `None`: it is malformed.
pub(super) fn request(request: &h2::Request) -> Option<RequestHeader> {
    let mut parts = http::Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(request.method()).ok()?;
    parts.version = Version::HTTP_2;
    parts.extensions.insert(Handed::default());
    parts.uri = uri(request)?;
    for (name, value) in request.fields() {
        parts.headers.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    Some(RequestHeader::from(parts))
}

fn uri(request: &h2::Request) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.authority = Some(Authority::try_from(request.authority()).ok()?);
    if !request.path().is_empty() {
        parts.scheme = Some(Scheme::try_from(request.scheme()).ok()?);
        parts.path_and_query = Some(PathAndQuery::try_from(request.path()).ok()?);
    }
    Uri::from_parts(parts).ok()
}

/// The head of an answer without fields of its own.
pub(super) fn bare(status: StatusCode) -> pingora::Result<Vec<u8>> {
    Ok(block(&response_head(status, &HeaderMap::new())?))
}

/// The head of a whole answer.
pub(super) fn reply(reply: &Reply) -> pingora::Result<Vec<u8>> {
    Ok(block(&response_head(reply.status, &reply.headers)?))
}

/// The head of a response.
pub(super) fn block(head: &ResponseHeader) -> Vec<u8> {
    let mut block = Vec::with_capacity(256);
    h2::encode::status(&mut block, head.status.as_u16());
    if !head.status.is_informational() {
        h2::encode::field(&mut block, DATE.as_str().as_bytes(), get_cached_date().as_bytes());
    }
    for (name, value) in head.headers.iter().filter(|(name, _)| **name != DATE && !CONNECTION_FIELDS.contains(name)) {
        h2::encode::field(&mut block, name.as_str().as_bytes(), value.as_bytes());
    }
    block
}

/// The head of a stream of events.
pub(in crate::gateway) fn stream(headers: &HeaderMap) -> pingora::Result<Vec<u8>> {
    Ok(block(&response_head(StatusCode::OK, headers)?))
}

/// The fields after a response.
pub(super) fn trailers(fields: &HeaderMap) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| !CONNECTION_FIELDS.contains(name)) {
        h2::encode::field(&mut block, name.as_str().as_bytes(), value.as_bytes());
    }
    block
}
