//! A client of a stream, as an operator is shown it.

use super::shown::{self, Now, secs};
use crate::caller::Caller;
use crate::fanout::{ClientView, Framing, Sent};
use crate::gateway::Present;
use crate::replay::Seq;
use http::Version;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A client at one moment.
#[derive(Debug)]
pub(super) struct Shown {
    id: String,
    caller: Caller,
    protocol: &'static str,
    age: Duration,
    /// The position of the next frame for it.
    pub(super) cursor: Seq,
    sent: Sent,
    /// When it was last seen to take a byte, if it takes none now.
    slow_since: Option<Instant>,
}

impl Shown {
    /// A client that a shard serves.
    pub(super) fn of_shard(client: ClientView) -> Self {
        Self {
            id: format!("{}-{}-{}", client.shard, client.place, client.asked),
            caller: client.caller,
            protocol: match client.framing {
                Framing::UntilClose => "HTTP/1.0",
                Framing::Chunked => "HTTP/1.1",
                Framing::Data => "HTTP/2",
            },
            age: client.age,
            cursor: client.cursor,
            sent: client.sent,
            slow_since: client.slow_since,
        }
    }

    /// A client that a session serves.
    pub(super) fn of_session(number: u64, present: &Present) -> Self {
        Self {
            id: format!("s-{number}"),
            caller: present.caller.clone(),
            protocol: match present.version {
                Version::HTTP_2 => "HTTP/2",
                Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            },
            age: present.asked.elapsed(),
            cursor: present.cursor(),
            sent: present.sent(),
            slow_since: present.slow_for().and_then(|slow| Instant::now().checked_sub(slow)),
        }
    }

    /// Where it comes: the furthest behind first, and of those that are equally far the ones that take nothing.
    pub(super) fn rank(&self) -> (Seq, bool) {
        (self.cursor, self.slow_since.is_none())
    }

    /// `lag`, `lag_bytes` and `lag_time`: how far it is behind.
    pub(super) fn json(&self, lag: u64, lag_bytes: Option<u64>, lag_time: Option<Duration>, now: &Now) -> Value {
        let Self { id, caller, protocol, age, sent, slow_since, .. } = self;
        let text = |text: Option<&str>| text.map(|text| shown::text(text.as_bytes()));
        json!({
            "id": id,
            "address": caller.address(),
            "user_agent": text(caller.user_agent()),
            "page_origin": text(caller.page_origin()),
            "request_id": caller.request_id().map(|id| id.to_string()),
            "protocol": protocol,
            "age_secs": secs(*age),
            "lag_events": lag,
            "lag_bytes": lag_bytes,
            "lag_secs": lag_time.map(secs),
            "bytes": sent.bytes,
            "events": sent.events,
            "slow_since": slow_since.map(|at| now.time(at.into())),
            "resumed_from": text(caller.last_event_id()),
        })
    }
}
