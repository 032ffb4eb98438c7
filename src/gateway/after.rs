//! What happens to a connection after a request, and how it comes back from a pingora session.
//!
//! pingora ends a session in one of two ways. After an answer that leaves the connection usable, it asks
//! `persist_connection_context` for a value, and gives the stream back together with that value. In every other case
//! it drops the stream, and the connection with it. So a connection comes back only under these conditions:
//!
//! - If a response was begun, it was written to its end, and the request's body was read.
//! - The keep-alive of the session is on when the request ends. What the client asked for does not matter.
//! - The session has read nothing beyond the request. A [`Connection`] gives a session no more than the request.
//!
//! The session writes nothing for a client that goes to the engine. `request_filter` tells pingora that a response was
//! sent, and the engine sends the response later.

use super::connection::Connection;
use super::handover::HandOver;
use pingora::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use std::any::Any;

/// The keep-alive, in seconds, of a session whose connection is to come back. pingora never waits for it: the front
/// reads the next head and has its own time limits.
const COMES_BACK: Option<u64> = Some(60);

/// What happens to a connection after a request.
#[derive(Debug)]
pub(super) enum After {
    /// It is handed over to the engine, which writes the whole response.
    HandOver(Box<HandOver>),
    /// It serves another request.
    Next,
    /// It is closed in an orderly way.
    Close,
}

impl After {
    /// Wraps this for `persist_connection_context`.
    pub(super) fn persisted(self) -> Box<dyn Any + Send + Sync> {
        Box::new(parking_lot::Mutex::new(Some(self)))
    }

    /// Unwraps what pingora gives back: the connection, and what happens to it.
    pub(super) fn of(reused: ReusedHttpStream) -> Option<(Connection, Self)> {
        let (stream, mut settings) = reused.consume();
        let context = settings.as_mut().and_then(HttpPersistentSettings::take_user_context);
        let after = context.and_then(|context| context.downcast::<parking_lot::Mutex<Option<Self>>>().ok());
        let after = after.and_then(|after| after.into_inner());
        Some((Connection::of(stream)?, after.unwrap_or(Self::Next)))
    }
}

/// Makes pingora give the connection back when the request ends.
pub(super) fn come_back(session: &mut ServerSession) {
    session.set_keepalive(COMES_BACK);
}
