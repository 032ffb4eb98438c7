//! The client's side of a proxied exchange.

use super::attempt::Attempt;
use super::fields::{self, Client};
use crate::fanout::LINGER;
use crate::fields::content_length;
use crate::gateway::connection::Connection;
use crate::gateway::http2::{Link, StallLimit, await_empty};
use crate::gateway::socket;
use crate::route::ProxyPolicy;
use http::header::{EXPECT, TRANSFER_ENCODING};
use http::{StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};
use tokio::time::timeout;

/// The most bytes that are read and dropped after the answer to a client that still sends a body. A socket that is
/// closed with unread bytes sends a reset, which may destroy the answer on its way.
const LINGER_BYTES: usize = 1 << 20;

/// The client's request as it was received, with its connection fields.
pub(super) fn asked(session: &Session) -> Client<'_> {
    let request = session.req_header();
    Client { version: request.version, headers: &request.headers }
}

/// Checks a request that is to be proxied, and prepares its session. Returns the stall limit that the request sets on
/// the connection of an HTTP/2 client.
pub(super) async fn prepare(session: &mut Session, policy: &ProxyPolicy) -> Result<Option<StallLimit>> {
    let request = session.req_header();
    if let Some(fault) = fields::fault_of_request(&request.headers) {
        return Err(Error::explain(ErrorType::HTTPStatus(400), fault.text()).into_down());
    }
    let length = content_length(&request.headers);
    if policy.max_body.zip(length).is_some_and(|(most, length)| length > most) {
        return Err(Error::new(ErrorType::HTTPStatus(413)).into_down());
    }
    let is_http10 = request.version == Version::HTTP_10;
    let session = session.as_downstream_mut();
    if is_http10 {
        // HTTP/1.0 has no 1xx responses, so there is nothing to expect (RFC 9110, section 15.2).
        session.req_header_mut().remove_header(&EXPECT);
        session.set_ignore_info_resp(true);
    }
    session.set_write_timeout(policy.write_timeout);
    await_empty(session).await?;
    let limit = Link::of(session).zip(policy.write_timeout);
    Ok(limit.map(|(link, write_timeout)| link.limit_stall(write_timeout)))
}

/// Notes that an HTTP/2 client did not take its response in time.
pub(super) fn note_stall(session: &mut Session, error: &Error) {
    let is_of_client = *error.etype() == ErrorType::WriteTimedout && *error.esource() != ErrorSource::Upstream;
    if let Some(link) = Link::of(session.as_downstream()).filter(|_| is_of_client) {
        link.stalled();
    }
}

/// Sets the framing of a response for the client.
pub(super) fn frame(session: &mut Session, response: &mut ResponseHeader, attempt: &mut Attempt) {
    let version = session.req_header().version;
    if version != Version::HTTP_2 {
        // A gateway sends its own version, not that of the origin (RFC 9110, section 6.2).
        response.set_version(Version::HTTP_11);
    }
    let session = session.as_downstream_mut();
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        // After an upgrade, client and origin may both be silent for any time.
        session.set_read_timeout(None);
    } else if version == Version::HTTP_10
        && !response.status.is_informational()
        && response.remove_header(&TRANSFER_ENCODING).is_some()
    {
        // HTTP/1.0 has no chunked coding (RFC 9112, section 6.1). So the end of the connection is the end of the
        // response, and the connection closes by a reset unless the response is complete.
        session.set_keepalive(None);
        if let Some(connection) = session.stream().and_then(Connection::within) {
            socket::reset_on_close(connection);
            attempt.is_marked = true;
        }
    }
}

/// Reads and drops the rest of a request body after the answer, for a limited time. HTTP/2 does not need this.
pub(super) async fn linger(session: &mut Session) {
    if session.req_header().version == Version::HTTP_2 {
        // The end of the session resets the stream after the answer with NO_ERROR (RFC 9113, section 8.1). The
        // connection goes on.
        return;
    }
    let session = session.as_downstream_mut();
    let read = async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(bytes)) = session.read_request_body().await {
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                return;
            }
        }
    };
    if timeout(LINGER, read).await.is_err() {
        log::trace!("client still sends what was refused");
    }
}

/// Makes the close of the connection an orderly one.
pub(super) fn end_on_close(session: &mut Session) {
    if let Some(connection) = session.as_downstream_mut().stream().and_then(Connection::within) {
        socket::end_on_close(connection);
    }
}
