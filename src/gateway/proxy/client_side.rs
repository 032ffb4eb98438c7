//! The client's side of a proxied exchange.

use super::attempt::Attempt;
use super::fields::{self, Client};
use crate::gateway::connection::Connection;
use crate::gateway::socket;
use crate::route::ProxyPolicy;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use std::time::Duration;
use tokio::time::timeout;

/// A client that is told its fault while it sends a body is read on for this long, and so many bytes: closing with bytes unread
/// would send a reset, which may overtake the answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// What the client's own request says of its connection.
pub(super) fn asked(session: &Session) -> Client<'_> {
    let request = session.req_header();
    Client { version: request.version, headers: &request.headers }
}

/// Judges a request that is to be proxied, and makes its session ready.
pub(super) fn prepare(session: &mut Session, policy: &ProxyPolicy) -> Result<()> {
    let request = session.req_header();
    if let Some(fault) = fields::fault_of_request(&request.headers) {
        return Err(Error::explain(ErrorType::HTTPStatus(400), fault.text()).into_down());
    }
    let length = request.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if policy.max_body.zip(length).is_some_and(|(most, length)| length > most) {
        return Err(Error::new(ErrorType::HTTPStatus(413)).into_down());
    }
    let is_http10 = request.version == Version::HTTP_10;
    let session = session.as_downstream_mut();
    if is_http10 {
        // RFC 9110 section 15.2: it knows no 1xx, so there is nothing that it could expect.
        session.req_header_mut().remove_header(&EXPECT);
        session.set_ignore_info_resp(true);
    }
    session.set_write_timeout(policy.write_timeout);
    Ok(())
}

/// Frames a response as the client knows it.
pub(super) fn frame(session: &mut Session, response: &mut ResponseHeader, attempt: &mut Attempt) {
    let version = session.req_header().version;
    let session = session.as_downstream_mut();
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        // The client may be quiet too.
        session.set_read_timeout(None);
    } else if version == Version::HTTP_10
        && !response.status.is_informational()
        && response.remove_header(&TRANSFER_ENCODING).is_some()
    {
        // RFC 9112 section 6.1: HTTP/1.0 has no chunks, and knows the end of such a response by the end of the connection.
        session.set_keepalive(None);
        if let Some(connection) = session.stream().and_then(Connection::within) {
            socket::reset_on_close(connection);
            attempt.is_marked = true;
        }
    }
}

/// Reads on for a while what a client sends that has its answer.
pub(super) async fn linger(session: &mut Session) {
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

/// Makes the end of the connection an orderly one.
pub(super) fn end_on_close(session: &mut Session) {
    if let Some(connection) = session.as_downstream_mut().stream().and_then(Connection::within) {
        socket::end_on_close(connection);
    }
}
