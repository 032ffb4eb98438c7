//! Answers of the gateway to requests, or to bytes that are none, outside of a session.

use super::after::After;
use super::connection::Connection;
use super::reply::Reply;
use super::sessions::close;
use super::times::ANSWER_TIME;
use super::transport::Transport;
use super::{socket, wire};
use crate::counters::{Refused, process};
use crate::fanout::h2::{Code, StreamId, encode};
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
    say(&mut connection, &response, reply.status)
        .await
        .then_some((connection, if is_kept { After::Next } else { After::Close }))
}

/// Sends what says this status to the client. Returns whether the client took it.
async fn say(connection: &mut Connection, bytes: &[u8], status: StatusCode) -> bool {
    match timeout(ANSWER_TIME, connection.write_all(bytes)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            log::debug!("client gone before its {status}: {error}");
            false
        }
        Err(_) => {
            // After an ordinary close, the kernel would keep the answer for this client for a quarter of an hour.
            socket::reset_on_close(connection);
            false
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
    if transport.begins_http2() {
        return transport.say_and_end(&by_http2(status));
    }
    let Ok(response) = wire::whole(&Reply::come_again(status), false, false) else { return };
    transport.say_and_end(&response);
}

/// What a client of HTTP/2 is told whose requests nobody has read: none is served. There is no status without a request.
fn by_http2(status: StatusCode) -> Vec<u8> {
    let code = match status {
        StatusCode::TOO_MANY_REQUESTS => Code::ENHANCE_YOUR_CALM,
        StatusCode::REQUEST_TIMEOUT => Code::NO_ERROR,
        status if status.is_client_error() => Code::PROTOCOL_ERROR,
        _ => Code::NO_ERROR,
    };
    let mut bytes = Vec::new();
    encode::settings(&mut bytes);
    encode::goaway(&mut bytes, StreamId::CONNECTION, code);
    bytes
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

/// Tells a client that none of its requests is served, and closes the connection. The reply is what one who speaks HTTP/1.1
/// is told.
pub(super) async fn say_and_close(mut connection: Connection, reply: &Reply) {
    if connection.speaks_http2() {
        if say(&mut connection, &by_http2(reply.status), reply.status).await {
            close(connection).await;
        }
    } else if let Some((connection, _)) = answer(connection, reply, false, false).await {
        close(connection).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::h2::PREFACE;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    /// What a client reads to the end that has sent these bytes and is turned away.
    fn told(sent: &[u8], status: StatusCode) -> Vec<u8> {
        let (mut client, socket) = UnixStream::pair().unwrap();
        client.write_all(sent).unwrap();
        socket.set_nonblocking(true).unwrap();
        turn_away(&Transport::new(socket.into(), None), status);
        let mut told = Vec::new();
        client.read_to_end(&mut told).unwrap();
        told
    }

    #[test]
    fn who_is_turned_away_is_told_in_the_protocol_that_it_speaks() {
        for sent in
            [&b""[..], b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"P", b"PROPFIND / HTTP/1.1\r\n", b"PRINT / HTTP/1.1"]
        {
            let told = told(sent, StatusCode::SERVICE_UNAVAILABLE);
            assert!(told.starts_with(b"HTTP/1.1 503 "), "{}", sent.escape_ascii());
        }
        let begun = PREFACE.get(..6).unwrap();
        for (status, code) in [(503, 0), (408, 0), (429, 0xb), (400, 1)] {
            for sent in [&PREFACE[..], begun, &[&PREFACE[..], b"\0\0\0\x04\0\0\0\0\0"].concat()] {
                let told = told(sent, StatusCode::from_u16(status).unwrap());
                let [0, 0, length, 4, 0, 0, 0, 0, 0, rest @ ..] = &told[..] else { panic!("{}", told.escape_ascii()) };
                let goaway = rest.get(usize::from(*length)..).unwrap();
                assert_eq!(goaway, [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, code], "{status}");
            }
        }
    }
}
