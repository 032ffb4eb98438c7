//! The beginning of a connection that is to use TLS.

use super::super::answers::{bad_head, say_and_close};
use super::super::connection::Connection;
use super::{Front, Wait};
use http::StatusCode;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

/// The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// What a connection that is to use TLS begins with.
#[derive(Debug, PartialEq, Eq)]
enum Hello {
    /// A handshake, or bytes that the handshake refuses.
    Tls,
    /// A request of plain HTTP.
    Plain,
    /// Anything or nothing: the connection must go, because its place is needed.
    Full,
    /// Nothing: the client left or sent no byte.
    Nothing,
}

impl Hello {
    fn of(bytes: &[u8]) -> Self {
        match bytes.first() {
            None => Self::Nothing,
            Some(&HANDSHAKE) => Self::Tls,
            Some(byte) if byte.is_ascii_graphic() => Self::Plain,
            Some(_) => Self::Tls,
        }
    }
}

impl Front {
    /// Begins to serve a connection that begins with a TLS handshake, and that was accepted on the threads of the handshakes.
    /// It stays there until the first request has come. Returns the task of that time, or `None` if no client is to use TLS.
    pub(super) fn begin_secured(self: Arc<Self>, connection: Connection, wait: Wait) -> Option<JoinHandle<()>> {
        Some(self.handshake_threads()?.spawn(self.serve_secured(connection, wait)))
    }

    /// The threads on which handshakes are done. `None`: no client is to use TLS.
    #[must_use]
    pub fn handshake_threads(&self) -> Option<Handle> {
        self.handshakes.as_ref()?.runtime().cloned()
    }

    pub(super) async fn serve_secured(self: Arc<Self>, mut connection: Connection, wait: Wait) {
        match self.hello(&mut connection, wait).await {
            Hello::Nothing => return,
            Hello::Full => return self.gateway.turn_away(None, connection.why_no_place()),
            Hello::Plain => {
                let reply = bad_head(StatusCode::BAD_REQUEST, "this address speaks TLS: use https://");
                return Box::pin(say_and_close(connection, &reply)).await;
            }
            Hello::Tls => {}
        }
        let Some(handshakes) = &self.handshakes else { return };
        let (needed, mut stopping) = (connection.place_is_needed(), self.stopping.clone());
        let other_news = async move {
            tokio::select! {
                () = needed => {}
                () = sleep_until(wait.until) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        };
        // Its state is large, and a client that is only waited for has none of it.
        let secured = Box::pin(connection.secured(handshakes, wait.until, other_news)).await;
        let Some(connection) = secured else { return };
        self.runtime.clone().spawn(self.serve_from(connection, wait));
    }

    /// Waits for the first byte of a connection that is to begin with a TLS handshake. A client that sends none costs no
    /// more than one that does not use TLS.
    async fn hello(&self, connection: &mut Connection, wait: Wait) -> Hello {
        let needed = connection.place_is_needed();
        if connection.unread().is_empty() {
            tokio::select! {
                biased;
                read = connection.fill() => if !read.is_ok_and(|bytes| bytes > 0) {
                    return Hello::Nothing;
                },
                () = needed => return Hello::Full,
                () = sleep_until(wait.until) => return Hello::Nothing,
                () = self.last_call() => return Hello::Nothing,
            }
        }
        Hello::of(connection.unread())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_plain_http_is_told_from_a_handshake_by_its_first_byte() {
        for (bytes, expected) in [
            (&b"\x16\x03\x01"[..], Hello::Tls),
            (b"\x80\x2e\x01", Hello::Tls),
            (b"GET / HTTP/1.1", Hello::Plain),
            (b"PRI * HTTP/2.0", Hello::Plain),
            (b"", Hello::Nothing),
        ] {
            assert_eq!(Hello::of(bytes), expected, "{bytes:?}");
        }
    }
}
