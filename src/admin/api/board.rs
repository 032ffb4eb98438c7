//! What happened, as Server-Sent Events: one ring, and a cursor for each reader. A reader that takes too long is cut.

use super::Api;
use super::problem::Problem;
use super::query::Query;
use super::shown::Now;
use crate::web::{Live, Reply, reply};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Either;
use http_body_util::channel::{Channel, Sender};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// The messages that are kept.
const KEPT: usize = 1000;

/// The most readers.
const READERS: usize = 16;

const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The messages, and those who read them.
#[derive(Debug)]
pub(super) struct Board {
    /// Tells the ids of this process from those of another.
    boot: u32,
    ring: Mutex<Ring>,
    /// Changes with each message and each tick.
    changed: watch::Sender<()>,
    readers: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Ring {
    /// The number of the next message.
    next: u64,
    messages: VecDeque<Bytes>,
    /// The newest tick and its number.
    tick: (u64, Bytes),
}

impl Default for Board {
    fn default() -> Self {
        Self {
            boot: fastrand::u32(..),
            ring: Mutex::default(),
            changed: watch::channel(()).0,
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }
}

impl Board {
    /// Something happened.
    pub(super) fn add(&self, event: &str, value: &Value) {
        {
            let mut ring = self.ring.lock();
            let text = format!("id: {:08x}-{}\nevent: {event}\ndata: {value}\n\n", self.boot, ring.next);
            ring.next += 1;
            ring.messages.push_back(text.into());
            if ring.messages.len() > KEPT {
                ring.messages.pop_front();
            }
        }
        self.changed.send_replace(());
    }

    /// The present figures.
    pub(super) fn tick(&self, value: &Value) {
        {
            let mut ring = self.ring.lock();
            ring.tick = (ring.tick.0 + 1, format!("event: tick\ndata: {value}\n\n").into());
        }
        self.changed.send_replace(());
    }

    /// Where a reader begins that comes with this id, and how many messages it missed. `None`: it is not known.
    fn begin(&self, last: Option<&str>) -> (u64, Option<Option<u64>>) {
        let ring = self.ring.lock();
        let oldest = ring.next - ring.messages.len() as u64;
        let Some(last) = last else { return (ring.next, None) };
        let number = last.split_once('-').filter(|(boot, _)| *boot == format!("{:08x}", self.boot));
        match number.and_then(|(_, number)| number.parse::<u64>().ok()).filter(|number| *number < ring.next) {
            Some(number) if number + 1 >= oldest => (number + 1, None),
            Some(number) => (oldest, Some(Some(oldest - number - 1))),
            None => (oldest, Some(None)),
        }
    }

    /// The messages from a number on, and where the next begin.
    fn from(&self, at: u64) -> (Vec<Bytes>, u64) {
        let ring = self.ring.lock();
        let oldest = ring.next - ring.messages.len() as u64;
        let skipped = usize::try_from(at.saturating_sub(oldest)).unwrap_or(usize::MAX);
        (ring.messages.iter().skip(skipped).cloned().collect(), ring.next)
    }
}

/// Ends a reader's task when its connection is gone.
struct Gone(tokio::task::AbortHandle);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Api {
    pub(super) fn events(&self, query: Option<&str>, headers: &HeaderMap, is_head: bool) -> Result<Reply, Problem> {
        let query = Query::read(query, &["ticks"])?;
        let ticks = query.word("ticks", &[("0", false), ("1", true)])?.unwrap_or(false);
        if is_head {
            return Ok(event_stream(reply(StatusCode::OK, "text/event-stream", Bytes::new())));
        }
        let readers = Arc::clone(&self.board.readers);
        let Ok(place) = readers.try_acquire_owned() else {
            let detail = format!("there are already {READERS} readers");
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        };
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let (sender, body) = Channel::new(1);
        let board = Arc::clone(&self.board);
        let wants = ticks.then(|| self.watch.wants_ticks());
        let reading = read_on(board, sender, last, ticks);
        let task = tokio::spawn(async move {
            let _held = (place, wants);
            reading.await;
        });
        let live = Live::new(body, Gone(task.abort_handle()));
        let empty = reply(StatusCode::OK, "text/event-stream", Bytes::new());
        let (parts, _) = event_stream(empty).into_parts();
        Ok(Response::from_parts(parts, Either::Right(live)))
    }
}

/// Sends what happens, until the reader is gone or too slow. `last`: the id of the last message that it got.
async fn read_on(board: Arc<Board>, mut sender: Sender<Bytes, io::Error>, last: Option<String>, ticks: bool) {
    let mut changes = board.changed.subscribe();
    let (mut at, missed) = board.begin(last.as_deref());
    let mut told = 0;
    let mut text = b"retry: 2000\n:\n".to_vec();
    if let Some(missed) = missed {
        let data = json!({"at": Now::read().wall(), "missed": missed});
        text.extend_from_slice(format!("event: missed\ndata: {data}\n\n").as_bytes());
    }
    loop {
        let (messages, next) = board.from(at);
        at = next;
        text.extend(messages.iter().flatten());
        if ticks {
            let (number, tick) = board.ring.lock().tick.clone();
            if number != told {
                told = number;
                text.extend_from_slice(&tick);
            }
        }
        if !text.is_empty() {
            let sent = timeout(PATIENCE, sender.send_data(std::mem::take(&mut text).into())).await;
            if !matches!(sent, Ok(Ok(()))) {
                sender.abort(io::Error::other("the reader is too slow"));
                return;
            }
        }
        if timeout(HEARTBEAT, changes.changed()).await.is_err() {
            text = b":\n".to_vec();
        }
    }
}

fn event_stream(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    reply.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn a_reader_goes_on_after_its_last_message() {
        let board = Board::default();
        for n in 0..KEPT + 5 {
            board.add("gaps", &json!({ "n": n }));
        }
        let id = |n: u64| format!("{:08x}-{n}", board.boot);
        let end = KEPT as u64 + 5;
        assert_eq!(board.begin(None), (end, None));
        assert_eq!(board.begin(Some(&id(end - 1))), (end, None));
        assert_eq!(board.begin(Some(&id(4))), (5, None));
        assert_eq!(board.begin(Some(&id(2))), (5, Some(Some(2))));
        assert_eq!(board.begin(Some(&id(end))), (5, Some(None)), "an id that was never given");
        assert_eq!(board.begin(Some("0-1")), (5, Some(None)), "an id of another process");
        let (messages, next) = board.from(end - 1);
        assert_eq!(next, end);
        assert_eq!(messages, [Bytes::from(format!("id: {}\nevent: gaps\ndata: {{\"n\":1004}}\n\n", id(end - 1)))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_and_one_that_reads_is_not() {
        let board = Arc::new(Board::default());
        let read = |capacity| {
            let (sender, body) = Channel::new(capacity);
            (tokio::spawn(read_on(Arc::clone(&board), sender, None, false)), body)
        };
        let ((stuck, _kept), (reading, mut body)) = (read(1), read(1));
        let mut taken = 0;
        while !stuck.is_finished() {
            board.add("gaps", &json!({ "n": taken }));
            assert!(body.frame().await.unwrap().is_ok());
            taken += 1;
            assert!(taken < 1000, "the reader that takes nothing is still there");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!reading.is_finished() && taken >= 50);
        reading.abort();
    }
}
