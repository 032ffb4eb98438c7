//! Answers of the gateway to requests, or to bytes that are none, outside of a session.

use super::after::After;
use super::connection::Connection;
use super::reply::Reply;
use super::sessions::close;
use super::times::ANSWER_TIME;
use super::transport::Transport;
use super::{socket, wire};
use crate::counters::{Refused, process};
use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// Sends a whole answer outside of a session. Returns `None` if the client did not take it.
pub(super) async fn answer(
    mut connection: Connection,
    reply: &Reply,
    without_body: bool,
    is_kept: bool,
) -> Option<(Connection, After)> {
    let response = wire::whole(reply, without_body, is_kept).ok()?;
    match timeout(ANSWER_TIME, connection.write_all(&response)).await {
        Ok(Ok(())) => Some((connection, if is_kept { After::Next } else { After::Close })),
        Ok(Err(error)) => {
            log::debug!("client gone before its {}: {error}", reply.status);
            None
        }
        Err(_) => {
            // After an ordinary close, the kernel would keep the answer for this client for a quarter of an hour.
            socket::reset_on_close(&connection);
            None
        }
    }
}

/// The answer to a request whose head cannot be read, which is counted.
pub(super) fn bad_head(status: StatusCode, why: &str) -> Reply {
    process().refused(None, Refused::Head);
    Reply::text(status, why)
}

/// Tells a client that it is refused with this status, and waits for nothing. The client may not have sent its request
/// yet.
pub(super) fn turn_away(transport: &Transport, status: StatusCode) {
    let Ok(response) = wire::whole(&Reply::come_again(status), false, false) else { return };
    transport.say_and_end(&response);
}

/// Answers bytes that are not a request, and closes the connection.
pub(super) async fn refuse(connection: Connection, status: StatusCode) {
    let why = match status {
        StatusCode::REQUEST_TIMEOUT => "the head of the request took too long",
        StatusCode::URI_TOO_LONG => "the request line is too long",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the head of the request is too large",
        _ => "HTTP/2 must begin with the first bytes of a connection",
    };
    say_and_close(connection, &bad_head(status, why)).await;
}

/// Sends an answer outside of a session, and closes the connection.
pub(super) async fn say_and_close(connection: Connection, reply: &Reply) {
    if let Some((connection, _)) = answer(connection, reply, false, false).await {
        close(connection).await;
    }
}
