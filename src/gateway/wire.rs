//! Serialises HTTP/1.x responses for clients that are not in a session.

use super::reply::Reply;
use crate::fanout::Framing;
use crate::sse::Frame;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;

/// The framing of a stream's body for a client of this version.
pub(super) fn framing(version: Version) -> Framing {
    if version == Version::HTTP_11 { Framing::Chunked } else { Framing::UntilClose }
}

/// The head of a stream and the first lines of its body. `is_kept`: the connection serves another request after an
/// orderly end.
pub(super) fn opening(headers: &HeaderMap, greeting: &[u8], framing: Framing, is_kept: bool) -> pingora::Result<Bytes> {
    let mut head = response_head(StatusCode::OK, headers)?;
    if framing == Framing::Chunked {
        head.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
    }
    let mut opening = head_of(head, is_kept)?;
    opening.extend_from_slice(framing.wire(&Frame::of_text(greeting)));
    Ok(opening.freeze())
}

/// A complete response. `without_body`: it answers a HEAD.
pub(super) fn whole(reply: &Reply, without_body: bool, is_kept: bool) -> pingora::Result<Bytes> {
    let mut response = head_of(response_head(reply.status, &reply.headers)?, is_kept)?;
    if !without_body {
        response.extend_from_slice(&reply.body);
    }
    Ok(response.freeze())
}

/// A response head with these fields.
pub(super) fn response_head(status: StatusCode, headers: &HeaderMap) -> pingora::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(headers.len() + 4))?;
    for (name, value) in headers {
        head.append_header(name, value)?;
    }
    Ok(head)
}

fn head_of(mut head: ResponseHeader, is_kept: bool) -> pingora::Result<BytesMut> {
    head.insert_header(DATE, get_cached_date())?;
    head.insert_header(CONNECTION, HeaderValue::from_static(if is_kept { "keep-alive" } else { "close" }))?;
    let status = head.status;
    let line = format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    let mut bytes = BytesMut::from(line.as_bytes());
    head.header_to_h1_wire(&mut bytes);
    bytes.extend_from_slice(b"\r\n");
    Ok(bytes)
}
