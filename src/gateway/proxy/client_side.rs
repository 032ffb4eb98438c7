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

/// How many bytes the gateway reads on when it has answered a client that still sends a body. Closing with unread bytes
/// would send a reset, which may overtake the answer.
const LINGER_BYTES: usize = 1 << 20;

/// The client's own request, with its connection fields.
pub(super) fn asked(session: &Session) -> Client<'_> {
    let request = session.req_header();
    Client { version: request.version, headers: &request.headers }
}

/// Checks a request that is to be proxied, and prepares its session. Returns the limit of an HTTP/2 client's connection.
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
        // The version is the gateway's own, whatever the origin's is (RFC 9110, section 6.2).
        response.set_version(Version::HTTP_11);
    }
    let session = session.as_downstream_mut();
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        // After an upgrade the client may be silent, too.
        session.set_read_timeout(None);
    } else if version == Version::HTTP_10
        && !response.status.is_informational()
        && response.remove_header(&TRANSFER_ENCODING).is_some()
    {
        // HTTP/1.0 has no chunks, so the response ends with the connection (RFC 9112, section 6.1).
        session.set_keepalive(None);
        if let Some(connection) = session.stream().and_then(Connection::within) {
            socket::reset_on_close(connection);
            attempt.is_marked = true;
        }
    }
}

/// Reads on for a while from a client of HTTP/1 that has been answered.
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
