//! The times that connections of every protocol have.

use std::time::Duration;

/// The time for the first request on a connection without a place. Silent connections must not use up the descriptors.
pub(super) const WITHOUT_A_PLACE: Duration = Duration::from_secs(1);

/// The time that a client has to accept an answer of the gateway. Such an answer fits into any socket's buffer.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(10);

/// The time for bytes that may be on their way when a drain begins, or when the gateway has said that it leaves.
pub(super) const LAST_CALL: Duration = Duration::from_secs(1);

/// How long the gateway reads the rest of a request body that no handler reads, before it closes the connection.
pub(super) const UNWANTED_BODY: Duration = Duration::from_secs(5);
