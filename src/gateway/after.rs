//! What comes after a request in a session of pingora's, and the contract that stands behind it.
//!
//! pingora ends a session in one of two ways. After an answer that leaves the connection usable it asks
//! `persist_connection_context` for a value, and gives back the stream together with it. In every other case it drops the
//! stream, and the connection with it. So whoever is to have a connection back sees to these:
//!
//! - The response, if one was begun, was written to its end, and the request's body was read.
//! - The keep-alive of the session is on when the request is over, whatever the client asked for.
//! - Nothing was read beyond the request. A [`Connection`] gives a session no more than the request. Only the end of a
//!   chunked body is found by pingora itself; where it has read further by then, the connection is closed.
//!
//! Where nothing was written, `request_filter` says that a response was sent, and the client is the engine's to answer.

use super::connection::Connection;
use super::handover::HandOver;
use pingora::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use std::any::Any;

/// The keep-alive, in seconds, of a session whose connection is to come back. Nobody waits for so long: the next head is
/// read by the front, which has its own times.
const COMES_BACK: Option<u64> = Some(60);

/// What a connection is for that comes back from a session.
#[derive(Debug)]
pub(super) enum After {
    /// A client of the engine's: nothing was written to it.
    HandOver(Box<HandOver>),
    /// Another request.
    Next,
    /// An orderly close.
    Close,
}

impl After {
    /// The value for `persist_connection_context`.
    pub(super) fn persisted(self) -> Box<dyn Any + Send + Sync> {
        Box::new(parking_lot::Mutex::new(Some(self)))
    }

    /// What pingora gave back, as a connection and what it is for.
    pub(super) fn of(reused: ReusedHttpStream) -> Option<(Connection, Self)> {
        let (stream, mut settings) = reused.consume();
        let context = settings.as_mut().and_then(HttpPersistentSettings::take_user_context);
        let after = context.and_then(|context| context.downcast::<parking_lot::Mutex<Option<Self>>>().ok());
        let after = after.and_then(|after| after.into_inner());
        Some((Connection::of(stream)?, after.unwrap_or(Self::Next)))
    }
}

/// Sees to it that the connection of a session comes back when the request is over.
pub(super) fn come_back(session: &mut ServerSession) {
    session.set_keepalive(COMES_BACK);
}
