//! Why nothing more can be sent to a client.

use super::http2::Link;
use pingora::ErrorType;
use std::io;

/// Why nothing more can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client closed or reset the connection or the HTTP/2 stream.
    Left,
    /// The client accepted nothing for `stall_secs`, or the kernel gave up the client.
    Stalled,
    /// The client fell off the log while a write waited.
    Lagged,
    /// An operator ended the client while a write waited.
    Dismissed,
    /// The client's permission was taken back while a write waited.
    Revoked,
    /// The client's permission ended while a write waited.
    Expired,
}

/// Why a write or a read of a session failed. `link`: the connection of an HTTP/2 stream.
pub(super) fn broken(error: &pingora::Error, link: Option<&Link>) -> Broken {
    // The kernel reports this error after `TCP_USER_TIMEOUT`. On a quiet stream it comes before any write times out,
    // because what is written fits into the send buffer.
    let given_up = error.root_cause().downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut);
    match error.etype() {
        ErrorType::WriteTimedout => Broken::Stalled,
        _ if given_up || link.is_some_and(Link::is_given_up) => Broken::Stalled,
        _ => Broken::Left,
    }
}
