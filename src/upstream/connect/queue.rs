//! The connections to one origin that may be open at once (`max_upstreams`), and those that wait for one to end.
//!
//! ```text
//!   an attempt ── fewer are open than its route allows ──▶ open ── closed ──▶ the first that waits
//!       │                                                   ▲                 and is allowed then
//!       └── waits, in order ────────────────────────────────┘
//! ```
//!
//! All connections to the origin count, whatever route they are of. Each route goes by its own number: one with a
//! larger number, or with none, may connect while others wait. While one waits, streams that no client is on give way.

use crate::descriptors::GivesWay;
use crate::log_limit::LogLimit;
use crate::upstream::Origin;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How often it is logged that connections wait.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How long one that waits leaves to a stream that gave way, before it asks for another one.
const GIVES_WAY_EVERY: Duration = Duration::from_millis(100);

/// How often one that waits looks for a stream that gives way, while there is none.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// The connections to one origin.
#[derive(Debug)]
pub(super) struct Slots {
    /// The URL of the origin, for log lines.
    origin: String,
    queue: Mutex<Queue<oneshot::Sender<Slot>>>,
    lines: LogLimit,
    /// By the URL of an origin.
    gives_way: GivesWay<str>,
}

/// The right to one connection. Dropping it lets the next one connect.
#[derive(Debug)]
pub(super) struct Slot {
    of: Arc<Slots>,
}

/// The number of open connections, and those that wait in the order in which they came.
#[derive(Debug)]
struct Queue<W> {
    open: usize,
    next: u64,
    /// With the number of connections at which each is allowed no more.
    waiting: BTreeMap<u64, (usize, W)>,
}

impl<W> Queue<W> {
    fn new() -> Self {
        Self { open: 0, next: 0, waiting: BTreeMap::new() }
    }

    /// Opens a connection if fewer than `most` are open. None that waits is passed over: if it were allowed, it would
    /// not wait.
    fn open(&mut self, most: usize) -> bool {
        let is_allowed = self.open < most;
        self.open += usize::from(is_allowed);
        is_allowed
    }

    /// Waits behind all others. Returns the number in the queue.
    fn wait(&mut self, most: usize, waker: W) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, (most, waker));
        self.next
    }

    /// One that waits is abandoned.
    fn leave(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// A connection was closed. Returns the one that is opened in its place.
    fn closed(&mut self) -> Option<W> {
        self.open -= 1;
        let first = self.waiting.iter().find(|(_, (most, _))| self.open < *most).map(|(number, _)| *number)?;
        let (_, waker) = self.waiting.remove(&first)?;
        self.open += 1;
        Some(waker)
    }
}

impl Slots {
    pub(super) fn new(origin: &Origin, gives_way: GivesWay<str>) -> Arc<Self> {
        Arc::new(Self {
            origin: origin.root_url(),
            queue: Mutex::new(Queue::new()),
            lines: LogLimit::new(1, TOLD_EVERY),
            gives_way,
        })
    }

    /// A slot, if fewer than `most` connections are open.
    pub(super) fn take(self: &Arc<Self>, most: usize) -> Option<Slot> {
        self.queue.lock().open(most).then(|| Slot { of: Arc::clone(self) })
    }

    /// Waits until the turn has come and fewer than `most` connections are open. The wait is logged now and then.
    pub(super) async fn turn(self: &Arc<Self>, most: usize) -> Slot {
        let (number, come) = {
            let mut queue = self.queue.lock();
            if queue.open(most) {
                return Slot { of: Arc::clone(self) };
            }
            let (waker, come) = oneshot::channel();
            (queue.wait(most, waker), come)
        };
        if let Some(untold) = self.lines.next(Instant::now()) {
            let origin = &self.origin;
            log::warn!(
                "max_upstreams connections are open, so others wait origin={origin} max_upstreams={most}{untold}"
            );
        }
        let _waiting = Waiting { slots: Arc::clone(self), number };
        let mut come = pin!(come);
        let come = loop {
            // The stream that gives way may not be connected, so that it is not enough.
            let gives_way = self.gives_way.give_way(&self.origin);
            let wait = if gives_way { GIVES_WAY_EVERY } else { LOOKS_EVERY };
            if let Ok(come) = timeout(wait, &mut come).await {
                break come;
            }
        };
        match come {
            Ok(slot) => slot,
            // The sender stays in the queue until it sends.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many more connections may be opened, where `most` may be open.
    pub(super) fn free(&self, most: usize) -> usize {
        most.saturating_sub(self.queue.lock().open)
    }
}

/// A place in the queue. Dropping it leaves the queue.
struct Waiting {
    slots: Arc<Slots>,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slots.queue.lock().leave(self.number);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let next = self.of.queue.lock().closed();
        if let Some(next) = next {
            // If the one that waited has just been abandoned, its slot is dropped in turn.
            drop(next.send(Self { of: Arc::clone(&self.of) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Plays steps against a queue. A digit is an attempt whose route allows so many connections: it opens one, or
    /// waits under the next letter. `-` and a letter: that one is abandoned. `.`: a connection is closed. Returns a `+`
    /// for each attempt that opened a connection at once, and the letters of those that opened one later.
    fn played(steps: &str) -> String {
        let mut queue = Queue::new();
        let mut numbers = std::collections::HashMap::new();
        let (mut record, mut letters) = (String::new(), 'a'..='z');
        let mut steps = steps.chars().filter(|step| *step != ' ');
        while let Some(step) = steps.next() {
            match step {
                '.' => record.extend(queue.closed()),
                '-' => queue.leave(numbers[&steps.next().unwrap()]),
                most => {
                    let most = most.to_digit(10).unwrap() as usize;
                    if queue.open(most) {
                        record.push('+');
                    } else {
                        let letter = letters.next().unwrap();
                        numbers.insert(letter, queue.wait(most, letter));
                    }
                }
            }
        }
        record
    }

    #[test]
    fn those_who_wait_connect_in_order_as_far_as_their_routes_allow() {
        for (steps, record) in [
            ("1 1 1 1", "+"),
            ("2 2 2 2 . .", "++ab"),
            ("1 1 1 . 1 . .", "+abc"),
            // Who is abandoned leaves the queue.
            ("1 1 1 -a .", "+b"),
            ("1 1 1 -a -b . 1", "++"),
            ("1 1 -a -a .", "+"),
            // A larger number passes over a smaller one, and waits for others of its size.
            ("1 1 3 3 3 3 .", "+++b"),
            ("1 1 3 3 3 . . . .", "+++ba"),
            ("2 2 1 2 . .", "++b"),
            ("2 2 1 2 . . .", "++ba"),
        ] {
            assert_eq!(played(steps), record, "{steps}");
        }
    }

    #[tokio::test]
    async fn a_slot_that_came_too_late_goes_to_the_next() {
        let slots = Slots::new(&Origin::parse("http://o").unwrap(), GivesWay::default());
        let open = slots.take(1).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut first = Box::pin(slots.turn(1));
        let mut second = pin!(slots.turn(1));
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(open);
        // It has the slot already, and did not look.
        drop(first);
        let Poll::Ready(slot) = second.poll(&mut context) else { panic!("no slot") };
        assert_eq!((slots.free(1), slots.free(3)), (0, 2));
        drop(slot);
        assert_eq!(slots.free(1), 1);
    }
}
