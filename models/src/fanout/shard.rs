//! A shard without sockets. Its clients take everything that they are sent.

use super::arrival::{Arrival, Delivery};
use super::inbox::{Flag, Inbox, Pause, Told, Wake};
use super::keys::{GroupKey, Key};
use super::terms::{Farewell, Home, Sent, Terms};
use crate::bell::Bell;
use crate::counters::Counter;
use crate::hub::{Departure, Detached, End, Feed, FeedId, Reading, Seat, Watcher};
use crate::replay::Seq;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// The opening of a client that makes the shard panic.
pub const BREAKS: &[u8] = b"breaks";

pub(super) type ShardInbox = Inbox<Arrival, Instant, Waker>;
type Change = Flag<Arrival, Instant, Waker>;

#[derive(Debug, Clone, Default)]
pub(super) struct Waker(pub(super) Arc<Bell>);

impl Wake for Waker {
    fn wake(&self) {
        self.0.ring();
    }
}

impl Watcher for Change {
    fn changed(&self) {
        self.raise();
    }

    fn asked(&self) {
        self.ask();
    }
}

#[derive(Debug)]
pub(super) struct Shard {
    waker: Waker,
    inbox: Arc<ShardInbox>,
    room: Arc<Semaphore>,
    /// By key. A group whose last client left is `None`.
    groups: Vec<Option<Group>>,
    draining: bool,
    busy: Arc<Counter>,
}

#[derive(Debug)]
struct Group {
    id: FeedId,
    feed: Feed,
    change: Arc<Change>,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    seat: Seat,
    cursor: Seq,
    sent: Sent,
    terms: Arc<dyn Terms>,
    home: Box<dyn Home>,
}

impl Shard {
    pub(super) fn new(room: Arc<Semaphore>, _: Instant) -> io::Result<(Self, Arc<ShardInbox>)> {
        let waker = Waker::default();
        let inbox = Arc::new(Inbox::new(waker.clone()));
        let busy = Arc::default();
        let shard = Self { waker, inbox: Arc::clone(&inbox), room, groups: Vec::new(), draining: false, busy };
        Ok((shard, inbox))
    }

    pub(super) fn busy(&self) -> &Arc<Counter> {
        &self.busy
    }

    pub(super) fn run(mut self, _: super::Sending) -> io::Result<()> {
        let (mut told, mut sleeps) = (Told::default(), 0);
        while look(&self.inbox, &self.waker.0, &mut told, &mut sleeps) {
            for group in told.changed.drain(..) {
                if let Some(group) = &self.groups[group.index() as usize] {
                    group.change.clear();
                }
                self.serve(group.index() as usize);
            }
            for group in told.asked.drain(..) {
                if let Some(group) = &self.groups[group.index() as usize] {
                    group.change.answer();
                }
            }
            self.room.add_permits(told.arrivals.len());
            for arrival in told.arrivals.drain(..) {
                if arrival.delivery.opening == BREAKS {
                    return Err(io::Error::other("broken"));
                }
                self.arrive(arrival);
            }
            self.draining |= told.drain.take().is_some();
            if self.draining {
                for group in self.groups.iter_mut().filter_map(Option::take) {
                    let Group { feed, clients, .. } = group;
                    drop(feed);
                    clients.into_iter().for_each(|client| client.depart(&Departure::Drained));
                }
            }
        }
        Ok(())
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Arrival { home, delivery: Delivery { subscription, terms, .. }, .. } = arrival;
        let Detached { seat, cursor, .. } = subscription.detach();
        let id = Feed::id(&seat);
        let at = self.groups.iter().position(|group| group.as_ref().is_some_and(|group| group.id == id));
        let at = at.unwrap_or_else(|| {
            let key = GroupKey::of(u32::try_from(self.groups.len()).unwrap());
            let change = Arc::new(Change::new(key, Arc::clone(&self.inbox)));
            let feed = Feed::new(&seat, Arc::clone(&change) as Arc<dyn Watcher>);
            self.groups.push(Some(Group { id, feed, change, clients: Vec::new() }));
            self.groups.len() - 1
        });
        if let Some(group) = &mut self.groups[at] {
            group.clients.push(Client { seat, cursor, sent: Sent::default(), terms, home });
        }
        self.serve(at);
    }

    /// Gives a group's clients all frames. Clients that leave are dropped after their group, which may end with them.
    fn serve(&mut self, key: usize) {
        let Some(group) = &mut self.groups[key] else { return };
        let mut left = Vec::new();
        for mut client in std::mem::take(&mut group.clients) {
            match client.read(&group.feed) {
                None => group.clients.push(client),
                Some(end) => left.push((client, Departure::Ended(end))),
            }
        }
        if group.clients.is_empty() {
            self.groups[key] = None;
        }
        left.into_iter().for_each(|(client, departure)| client.depart(&departure));
    }
}

impl Client {
    /// Takes all frames. Returns the stream's end if it is reached.
    fn read(&mut self, feed: &Feed) -> Option<End> {
        loop {
            let mut frames = Vec::new();
            match feed.read_alone(&mut self.seat, self.cursor, usize::MAX, &mut frames) {
                Reading::To(next) => self.cursor = next,
                Reading::CaughtUp => return None,
                Reading::Lagged(gap) => panic!("{gap:?}"),
                Reading::Ended(end) => return Some(end),
            }
            self.sent += Sent { bytes: 0, events: frames.len() as u64 };
        }
    }

    fn depart(self, departure: &Departure) {
        let (stream, caller, course, sent) = (self.seat.key(), self.seat.caller(), self.seat.course(), self.sent);
        let stayed = std::time::Duration::ZERO;
        self.terms.departed(&Farewell { stream, caller, course, sent, stayed, departure, lag: 0, place: None });
    }
}

/// Looks into an inbox as a shard does that has nothing to do. `sleeps` counts the looks. Returns whether the shard goes
/// on.
pub(super) fn look<A, D, W: Wake>(
    inbox: &Inbox<A, D, W>,
    bell: &Bell,
    told: &mut Told<A, D>,
    sleeps: &mut usize,
) -> bool {
    *sleeps += 1;
    // A shard that had arrivals yields before it sleeps.
    let pause = if sleeps.is_multiple_of(3) { Pause::Yield } else { Pause::Sleep };
    let goes_on: Result<bool, Infallible> = inbox.look(told, pause, |may_sleep| {
        // One more ring is allowed, for messages from before the first look.
        assert!(bell.hear(may_sleep) <= *sleeps + 1, "woken twice for one sleep");
        Ok(())
    });
    goes_on.unwrap()
}
