//! Listening to the body of an answer.

use super::ask::Answer;
use super::reading::{Ending, Reading};
use http::Version;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// A body that is read as it comes. Dropping it closes the answer.
pub(super) struct Listening {
    reading: Arc<Mutex<Reading>>,
    changes: watch::Receiver<()>,
    since: Instant,
    task: JoinHandle<()>,
}

impl Listening {
    /// Begins to listen.
    pub(super) fn to(answer: Answer) -> Self {
        let Answer { head, body, since } = answer;
        let is_framed = head.version == Version::HTTP_2
            || head.fields.contains_key(TRANSFER_ENCODING)
            || head.fields.contains_key(CONTENT_LENGTH);
        let clean = if is_framed { Ending::Orderly } else { Ending::Closed };
        let reading = Arc::<Mutex<Reading>>::default();
        let (told, changes) = watch::channel(());
        let task = tokio::spawn(read(body, since, clean, Arc::clone(&reading), told));
        Self { reading, changes, since, task }
    }

    /// What was read so far.
    pub(super) fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock()
    }

    /// The time since the request.
    pub(super) fn listened(&self) -> Duration {
        self.since.elapsed()
    }

    /// Listens until `enough`, or until the answer ends, or until the deadline.
    pub(super) async fn until(&mut self, deadline: Instant, enough: impl Fn(&Reading) -> bool) {
        let reading = Arc::clone(&self.reading);
        let heard = self.changes.wait_for(|()| {
            let reading = reading.lock();
            reading.end.is_some() || enough(&reading)
        });
        // The channel is closed when the answer has ended.
        let _heard = timeout_at(deadline, heard).await;
    }
}

impl Listening {
    /// Closes the answer. What was read stays.
    pub(super) fn leave(&self) {
        self.task.abort();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.leave();
    }
}

async fn read(
    mut body: Incoming,
    since: Instant,
    clean: Ending,
    reading: Arc<Mutex<Reading>>,
    told: watch::Sender<()>,
) {
    loop {
        let frame = body.frame().await;
        let mut reading = reading.lock();
        match frame {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data()
                    && !bytes.is_empty()
                {
                    reading.take(since.elapsed(), now(), bytes);
                }
            }
            Some(Err(_)) => reading.end = Some(Ending::Cut),
            None => reading.end = Some(clean),
        }
        let has_ended = reading.end.is_some();
        drop(reading);
        told.send_replace(());
        if has_ended {
            return;
        }
    }
}

/// The milliseconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis().try_into().unwrap_or(i64::MAX)
}
