//! A stream that goes from this process to another one while it is open.
//!
//! ```text
//!   this process:   frozen ── its clients are given up, and it is taken ──▶ moved: who is left is asked back
//!                      └─ the other process does not take it ─▶ thawed, as before
//!   the other one:  adopted ──▶ its clients are on it again ──▶ the origin is asked to resume
//! ```
//!
//! While a stream is frozen, nothing more is read from its origin, and its log stands still.

use super::key::Forwarded;
use super::restoring::Restored;
use super::sharing::Audience;
use super::stream::{Phase, Stream};
use super::{Course, Hub, Opening, Publisher, StreamKey, StreamRequest, StreamSettings, Subscription};
use crate::caller::Caller;
use crate::replay::{LogSnapshot, ReplayLog, Seq};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use tokio::time::Instant;

/// A field as bytes: its name, its value, and whether the value is secret.
type Field = (String, Vec<u8>, bool);

/// A stream on its way to another process. It holds the credentials of the stream's request, so it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovingStream {
    /// The path and query that the origin sees.
    target: String,
    /// The fields of the client's request that the origin sees.
    fields: Vec<Field>,
    has_credentials: bool,
    log: LogSnapshot,
    /// The head of the newest response.
    head: Vec<Field>,
    /// The reconnection time that the origin last asked for, in milliseconds.
    retry: Option<u64>,
}

impl fmt::Debug for MovingStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MovingStream").finish_non_exhaustive()
    }
}

impl Hub {
    /// The numbers and keys of the streams that can move: those that everyone may have, and that had a response.
    #[must_use]
    pub fn movable(&self) -> Vec<(usize, StreamKey)> {
        let streams: Vec<_> = self.streams.open.lock().by_number.values().cloned().collect();
        let can_move = |stream: &Arc<Stream>| {
            let is_open = |phase: &Phase| !matches!(phase, Phase::Closed { .. });
            let is_for_all = stream
                .locked(|state| is_open(&state.phase) && state.audience == Audience::Everyone && state.head.is_some());
            is_for_all && !stream.membership.alone
        };
        streams.iter().filter(|stream| can_move(stream)).map(|stream| (stream.number, stream.key.clone())).collect()
    }

    /// Nothing more is read from the origin of a stream, and nothing goes into its log, until it is thawed. Returns whether the
    /// stream is open.
    #[must_use]
    pub fn freeze(&self, number: usize) -> bool {
        self.numbered(number).is_some_and(|stream| stream.freeze())
    }

    /// A frozen stream goes on.
    pub fn thaw(&self, number: usize) {
        if let Some(stream) = self.numbered(number) {
            stream.thaw();
        }
    }

    /// What another process needs to go on with a stream. `None`: it is over.
    #[must_use]
    pub fn taken_down(&self, number: usize) -> Option<MovingStream> {
        let stream = self.numbered(number)?;
        let now = Instant::now().into_std();
        stream.locked(|state| {
            let head = state.head.as_ref().filter(|_| !state.is_closed())?;
            Some(MovingStream {
                target: stream.key.target().to_string(),
                fields: stream.forwarded.headers.iter().map(field).collect(),
                has_credentials: stream.forwarded.has_credentials,
                log: state.log.snapshot(now),
                head: head.iter().map(|(name, value)| field(&(name.clone(), value.clone()))).collect(),
                retry: state.retry,
            })
        })
    }

    /// Another process has the stream. The clients that are left here are asked to come back, and find it there.
    pub fn moved(&self, number: usize) {
        let stream = self.numbered(number);
        let _was_open = self.end(number);
        // Only now, because nothing goes into the log of a closed stream.
        if let Some(stream) = stream {
            stream.forget_late();
        }
    }

    /// Goes on with a stream of another process, which was taken down at `taken`. Returns its number. `None`: there is
    /// such a stream already, or its log is of another origin.
    pub fn adopt(
        &self,
        route: super::RouteId,
        moving: &MovingStream,
        settings: &StreamSettings,
        taken: Instant,
    ) -> Option<usize> {
        let headers = moving.fields.iter().map(named).collect::<Option<Vec<_>>>()?;
        let forwarded = Forwarded { headers, has_credentials: moving.has_credentials };
        let request = StreamRequest::adopted(route, &moving.target, forwarded);
        let head: HeaderMap = moving.head.iter().map(named).collect::<Option<_>>()?;
        let now = Instant::now();
        let log = ReplayLog::restored(Arc::clone(&settings.replay), &moving.log, taken.into_std(), now.into_std())?;
        let restored = Restored { is_open: true, ..Restored::of(&log) };
        let mut open = self.streams.open.lock();
        if open.by_key.contains_key(request.key()) {
            return None;
        }
        let number = open.next_number();
        let membership = self.membership(false);
        let stream = Arc::new(Stream::new(&request, Arc::clone(&settings.counters), log, membership, number));
        stream.locked(|state| {
            (state.is_restored, state.audience) = (true, Audience::Everyone);
            (state.head, state.retry) = (Some(Arc::new(head)), moving.retry);
            stream.account(state)
        });
        open.hold(&stream, true);
        drop(open);
        let publisher = Publisher::new(stream, settings.linger);
        self.opener.open(Opening { request, last_event_id: None, restored: Some(restored) }, publisher);
        Some(number)
    }

    /// Puts a client back on a stream of this number, at a position of its log. `None`: there is no such stream.
    #[must_use]
    pub fn again(&self, stream: usize, cursor: Seq, caller: Caller, course: Course) -> Option<Subscription> {
        let mut open = self.streams.open.lock();
        let stream = open.by_number.get(&stream).cloned()?;
        let subscription = Subscription::again(&stream, cursor, caller, course);
        open.taken(&stream);
        Some(subscription)
    }
}

fn field((name, value): &(HeaderName, HeaderValue)) -> Field {
    (name.as_str().to_owned(), value.as_bytes().to_vec(), value.is_sensitive())
}

fn named((name, value, is_secret): &Field) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(*is_secret);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
}
