//! The engine's handle: starts the shards and gives each arriving client to one of them.

use super::arrival::Arrival;
use super::joining::Carried;
use super::moving::Returning;
use super::question::{ClientView, Question, shorten};
use super::releasing::Releasing;
use super::sender::Sending;
use super::shard::{Shard, ShardInbox};
use crate::counters::Counter;
use crate::hub::Subscription;
use crate::quoted::reason;
use crate::replay::Seq;
use crate::sync::thread;
use std::collections::{HashMap, HashSet};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};

/// The number of clients that may be on their way to one shard at once. Further clients wait.
const ARRIVALS: usize = 1024;

/// As many clients of a stream are served by one shard. So an event of a small stream wakes one thread, which sends it
/// with one system call. Further clients go to the shard with the fewest clients.
const TOGETHER: usize = 128;

/// Every shard has ended, so none can serve the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the delivery engine has ended")]
pub struct Refused;

/// The delivery engine. Handles are cheap to clone. Dropping the last handle ends the engine and closes its clients'
/// connections.
#[derive(Debug, Clone)]
pub struct Engine {
    shards: Arc<Shards>,
}

#[derive(Debug)]
struct Shards {
    doors: Vec<Door>,
    sending: Sending,
    /// How long each shard worked, in nanoseconds.
    busy: Vec<Arc<Counter>>,
}

/// The way into one shard.
#[derive(Debug)]
struct Door {
    inbox: Arc<ShardInbox>,
    /// Bounds the clients that are on their way to the shard.
    room: Arc<Semaphore>,
}

impl Engine {
    /// Starts `shards` threads, which send in this way.
    ///
    /// # Errors
    /// Fails when the kernel refuses a poll instance or a thread.
    pub fn start(shards: NonZeroUsize, sending: Sending) -> io::Result<Self> {
        let (mut doors, mut busy) = (Vec::with_capacity(shards.get()), Vec::with_capacity(shards.get()));
        for number in 0..shards.get() {
            let room = Arc::new(Semaphore::new(ARRIVALS));
            let (shard, inbox) = Shard::new(Arc::clone(&room), Instant::now())?;
            busy.push(Arc::clone(shard.busy()));
            let closed = Closed { inbox: Arc::clone(&inbox), room: Arc::clone(&room) };
            doors.push(Door { inbox, room });
            thread::Builder::new().name(format!("shard-{number}")).spawn(move || {
                let _closed_at_the_end = closed;
                if let Err(error) = shard.run(sending) {
                    log::error!("shard ended shard={number} why={}", reason(error));
                }
            })?;
        }
        Ok(Self { shards: Arc::new(Shards { doors, sending, busy }) })
    }

    /// Gives a client to a shard, which serves it from now on. Waits while too many clients are on their way to that
    /// shard.
    ///
    /// # Errors
    /// Fails when every shard has ended. The client's connection is then closed.
    pub async fn adopt(&self, mut arrival: Arrival) -> Result<(), Refused> {
        let shards = &self.shards.doors;
        let first = self.shards.door_for(&arrival.delivery.subscription);
        for door in (0..shards.len()).filter_map(|n| shards.get((first.wrapping_add(n)) % shards.len())) {
            let Ok(permit) = door.room.acquire().await else { continue };
            match door.inbox.arrive(arrival) {
                Ok(()) => {
                    // The shard gives the permit back when it takes the client in.
                    permit.forget();
                    return Ok(());
                }
                Err(refused) => arrival = refused,
            }
        }
        Err(Refused)
    }

    /// Gives a connection of HTTP/2 to the shard with the fewest clients. Waits while too many are on their way there.
    ///
    /// # Errors
    /// Fails when that shard has ended. The connection is then closed.
    pub async fn carry(&self, carried: Carried) -> Result<(), Refused> {
        let door = self.shards.doors.get(self.shards.emptiest()).ok_or(Refused)?;
        // The shard gives the permit back when it takes the connection in.
        door.room.acquire().await.map_err(|_| Refused)?.forget();
        door.inbox.post(Box::new(carried));
        Ok(())
    }

    /// Serves clients in the middle of their responses, at once. If a shard has ended, the connections of its clients are
    /// closed.
    pub fn return_all(&self, parts: impl IntoIterator<Item = Returning>) {
        let mut shares: Vec<_> = self.shards.doors.iter().map(|door| (door.load(), Returning::default())).collect();
        let emptiest = |shares: &[(usize, Returning)]| least(shares.iter().map(|(load, _)| *load));
        for returning in parts {
            for arrival in returning.sockets {
                let first = self.shards.first_door(&arrival.delivery.subscription);
                let door = first.unwrap_or_else(|| emptiest(&shares));
                if let Some((load, share)) = shares.get_mut(door) {
                    *load += 1;
                    share.sockets.push(arrival);
                }
            }
            for carried in returning.carriers {
                let door = emptiest(&shares);
                if let Some((load, share)) = shares.get_mut(door) {
                    *load += carried.rejoining.len();
                    share.carriers.push(carried);
                }
            }
            for (door, (_, share)) in self.shards.doors.iter().zip(&mut shares) {
                if !share.is_empty() {
                    door.inbox.post(Box::new(std::mem::take(share)));
                }
            }
        }
    }

    /// How the shards send, in a word.
    #[must_use]
    pub fn sends_by(&self) -> &'static str {
        match self.shards.sending {
            Sending::Ring => "io_uring",
            Sending::Loop => "send",
        }
    }

    /// How long each shard worked so far.
    #[must_use]
    pub fn busy(&self) -> Vec<Duration> {
        self.shards.busy.iter().map(|nanos| Duration::from_nanos(nanos.value())).collect()
    }

    /// The clients of a stream that are the furthest behind, at most `most`. The furthest comes first.
    pub async fn clients(&self, stream: usize, most: usize) -> Vec<ClientView> {
        let mut all = Vec::new();
        let answers = self.ask(|reply| Question::Clients { stream, most, found: Vec::new(), last: None, reply });
        for (shard, answer) in answers.into_iter().enumerate() {
            let found = answer.await.unwrap_or_default();
            all.extend(found.into_iter().map(|client| ClientView { shard, ..client }));
        }
        shorten(&mut all, most);
        all
    }

    /// The position of the client that is the furthest behind, for each stream.
    pub async fn slowest(&self) -> HashMap<usize, Seq> {
        let mut all = HashMap::new();
        for answer in self.ask(|reply| Question::Slowest { found: HashMap::new(), reply }) {
            for (stream, cursor) in answer.await.unwrap_or_default() {
                all.entry(stream).and_modify(|least: &mut Seq| *least = cursor.min(*least)).or_insert(cursor);
            }
        }
        all
    }

    /// Ends one client of a stream in order. Returns whether it was there.
    pub async fn dismiss(&self, stream: usize, shard: usize, place: u32, asked: u64) -> bool {
        let Some(door) = self.shards.doors.get(shard) else { return false };
        let (reply, answer) = oneshot::channel();
        door.inbox.post(Box::new(Question::Dismiss { stream, place, asked, reply }));
        answer.await.unwrap_or(false)
    }

    /// Gives the clients of a stream up whose responses can go on elsewhere. They are off the stream then. A connection of
    /// HTTP/2 goes as a whole: when each of its clients is on one of the streams that `moved`, which include this one.
    #[must_use]
    pub fn release(&self, stream: usize, moved: &Arc<HashSet<usize>>) -> Arc<Releasing> {
        let releasing = Releasing::nothing();
        for door in &self.shards.doors {
            let (moved, part) = (Arc::clone(moved), releasing.part());
            door.inbox.post(Box::new(Question::Release { stream, moved, part }));
        }
        releasing
    }

    /// Asks all shards at once.
    fn ask<T>(&self, question: impl Fn(oneshot::Sender<T>) -> Question) -> Vec<oneshot::Receiver<T>> {
        let ask = |door: &Door| {
            let (reply, answer) = oneshot::channel();
            door.inbox.post(Box::new(question(reply)));
            answer
        };
        self.shards.doors.iter().map(ask).collect()
    }

    /// The policy of a route changed, or a route is gone. Every shard asks the routes of its clients for what holds now.
    pub fn renew(&self) {
        for door in &self.shards.doors {
            door.inbox.renew();
        }
    }

    /// Ends every client's response by `by`, also those of clients that are adopted later.
    pub fn drain(&self, by: Instant) {
        for door in &self.shards.doors {
            door.inbox.drain(by);
        }
    }
}

impl Shards {
    /// The index of the shard for a client.
    fn door_for(&self, subscription: &Subscription) -> usize {
        self.first_door(subscription).unwrap_or_else(|| self.emptiest())
    }

    /// The index of the shard that serves the first clients of a stream. `None`: the client is not one of them.
    fn first_door(&self, subscription: &Subscription) -> Option<usize> {
        (subscription.nth() <= TOGETHER).then(|| subscription.number_of_stream() % self.doors.len())
    }

    /// The index of the shard with the fewest clients.
    fn emptiest(&self) -> usize {
        least(self.doors.iter().map(Door::load))
    }
}

/// The index of the smallest load.
fn least(loads: impl Iterator<Item = usize>) -> usize {
    let fewest = loads.enumerate().min_by_key(|(_, load)| *load);
    fewest.map_or(0, |(index, _)| index)
}

impl Door {
    /// The number of clients that the shard has or is about to have.
    fn load(&self) -> usize {
        self.inbox.clients() + ARRIVALS.saturating_sub(self.room.available_permits())
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        for door in &self.doors {
            door.inbox.close();
        }
    }
}

/// Closes a shard's inbox when its thread ends, also by a panic, so that no client waits for a dead shard.
struct Closed {
    inbox: Arc<ShardInbox>,
    room: Arc<Semaphore>,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.room.close();
        self.inbox.close();
    }
}

#[cfg(test)]
mod tests;
