//! A shard: one thread, its clients, and the turns in which it serves them.
//!
//! Only the shard's own thread uses the state here. It takes two kinds of locks: that of its inbox, and once per stream
//! and pass that of a log. The caller passes the clock in.

mod answer;
mod arrive;
mod backlog;
mod carry;
mod deliver;
mod depart;
mod question;
mod release;
mod renew;
mod report;
#[cfg(test)]
mod tests;
// The same file serves a fuzz target.
#[cfg(all(fuzzing, not(test)))]
pub(super) mod tests;
mod time;

use self::backlog::Backlog;
use self::deliver::Written;
use super::arrival::Arrival;
use super::effort::{Effort, Shares, TURN};
use super::group::Work;
use super::inbox::{Flag, Inbox, Pause, Told, Wake};
use super::joining::Carried;
use super::keys::{CarrierKey, ClientKey, GroupKey, Key};
use super::members::Members;
use super::moving::Returning;
use super::output::Output;
use super::question::Question;
use super::replays::Replays;
use super::responder::Answer;
use super::rounds::Rounds;
use super::sender::{Sender, Sending};
use super::wave::Wave;
use super::wheel::Wheel;
use crate::access;
use crate::counters::Counter;
use mio::event::Event;
use mio::{Events, Poll, Token, Waker};
use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The waker's token. A client's token is its key.
const WAKER: Token = Token(usize::MAX);

/// The number of events taken from the poll at a time. It is small, so that a crowd that leaves at once does not hold
/// up the other clients. What they ask for is then done little by little.
const EVENTS: usize = 256;

/// The room for arriving clients that a shard keeps when they have been taken in. The room for a crowd would be a part of
/// the memory for each of its clients.
const FEW_ARRIVALS: usize = 64;

/// Does a slice of one kind of work.
type Kind = fn(&mut Shard, Instant);

/// The way into a shard.
pub(super) type ShardInbox = Inbox<Arrival, Instant, Waker>;

/// What tells a shard that one of its groups' streams changed.
pub(super) type Change = Flag<Arrival, Instant, Waker>;

impl Wake for Waker {
    fn wake(&self) {
        if let Err(error) = Self::wake(self) {
            log::error!("cannot wake a shard: {error}");
        }
    }
}

/// The shard's side: the poll, the clients and their groups.
#[derive(Debug)]
pub(super) struct Shard {
    poll: Poll,
    inbox: Arc<ShardInbox>,
    /// The permits of clients on their way. The shard gives one back for each client that it takes in.
    room: Arc<Semaphore>,
    told: Told<Arrival, Instant>,
    /// Whether clients arrived in the last turn.
    had_arrivals: bool,
    members: Members,
    backlog: Backlog,
    /// The batches that were built for those who are behind.
    replays: Replays,
    /// What may still be spent on the present kind of work.
    effort: Effort,
    /// The groups whose events are held, ordered by when they are sent. It may name groups that have gone, or whose
    /// events are held no longer.
    held: BTreeSet<(Instant, GroupKey)>,
    wheel: Wheel,
    /// When the response of every client has ended, in a drain. `None`: no drain has begun.
    draining: Option<Instant>,
    /// When access lines are written about clients that stay. `None`: never.
    reports: Option<Rounds>,
    output: Output,
    /// When something is due for a carrier.
    carriers_due: BTreeSet<(Instant, CarrierKey)>,
    /// The sends of groups that wait for each other in this turn.
    wave: Wave,
    /// What was written since the clock was last read.
    written: Vec<Written>,
    /// How long the shard worked, in nanoseconds.
    busy: Arc<Counter>,
    /// When the present work began, or went on.
    works_since: Instant,
}

impl Shard {
    /// A shard without clients, and its inbox.
    pub(super) fn new(room: Arc<Semaphore>, now: Instant) -> io::Result<(Self, Arc<ShardInbox>)> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(Waker::new(poll.registry(), WAKER)?));
        let shard = Self {
            poll,
            inbox: Arc::clone(&inbox),
            room,
            told: Told::default(),
            had_arrivals: false,
            members: Members::new(),
            backlog: Backlog::default(),
            replays: Replays::default(),
            effort: Effort::new(TURN),
            held: BTreeSet::new(),
            wheel: Wheel::new(now),
            draining: None,
            reports: access::every().map(|every| Rounds::new(every, now)),
            output: Output::default(),
            carriers_due: BTreeSet::new(),
            wave: Wave::default(),
            written: Vec::new(),
            busy: Arc::default(),
            works_since: now,
        };
        Ok((shard, inbox))
    }

    /// Serves the clients until the inbox is closed.
    pub(super) fn run(mut self, sending: Sending) -> io::Result<()> {
        self.output.sender = Sender::new(sending);
        let mut events = Events::with_capacity(EVENTS);
        while self.turn(&mut events, None, Instant::now)? {}
        Ok(())
    }

    /// Sleeps until there is work, for `longest` at most, and does a slice of it. Returns whether the shard goes on.
    fn turn(
        &mut self,
        events: &mut Events,
        longest: Option<Duration>,
        clock: impl Fn() -> Instant,
    ) -> io::Result<bool> {
        let pause = match (self.backlog.is_empty(), std::mem::take(&mut self.had_arrivals)) {
            (false, _) => Pause::None,
            (true, true) => Pause::Yield,
            (true, false) => Pause::Sleep,
        };
        let mut told = std::mem::take(&mut self.told);
        let asleep = if pause == Pause::Sleep {
            let now = clock();
            self.worked(now);
            self.sleep(longest, now)
        } else {
            Some(Duration::ZERO)
        };
        let poll = |may_sleep: bool| match self.poll.poll(events, if may_sleep { asleep } else { Some(Duration::ZERO) })
        {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
        if !self.inbox.look(&mut told, pause, poll)? {
            return Ok(false);
        }
        let now = clock();
        if pause == Pause::Sleep {
            self.works_since = now;
        } else {
            self.worked(now);
        }
        for event in &*events {
            self.polled(event);
        }
        self.note(&mut told, now);
        self.told = told;
        self.pass_time(now);
        self.work(now);
        self.inbox.has(self.members.len() + self.output.carriers.len());
        Ok(true)
    }

    /// The work went on until now.
    fn worked(&mut self, now: Instant) {
        let time = now.saturating_duration_since(std::mem::replace(&mut self.works_since, now));
        self.busy.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.count_lag(now);
    }

    /// How long the shard worked so far, in nanoseconds.
    pub(super) fn busy(&self) -> &Arc<Counter> {
        &self.busy
    }

    /// Takes note of the messages of other threads.
    fn note(&mut self, told: &mut Told<Arrival, Instant>, now: Instant) {
        told.changed.drain(..).for_each(|group| self.changed(group, now));
        self.had_arrivals = !told.arrivals.is_empty();
        self.backlog.arriving.extend(told.arrivals.drain(..));
        told.arrivals.shrink_to(FEW_ARRIVALS);
        self.backlog.asked.extend(told.asked.drain(..));
        told.posted.drain(..).for_each(|message| self.take_message(message, now));
        if std::mem::take(&mut told.renew) {
            self.begin_renewal(now);
        }
        if let Some(by) = told.drain.take() {
            self.draining = Some(by);
            self.backlog.undrained = Some(ClientKey::of(0));
            self.backlog.undrained_carriers = Some(CarrierKey::of(0));
        }
    }

    /// Takes a message into which the inbox did not look.
    fn take_message(&mut self, message: Box<dyn Any + Send>, now: Instant) {
        let message = match message.downcast::<Answer>() {
            Ok(answer) => return self.backlog.answers.push_back(*answer),
            Err(other) => other,
        };
        let message = match message.downcast::<Question>() {
            Ok(question) => return self.backlog.questions.push_back((*question, ClientKey::of(0))),
            Err(other) => other,
        };
        let message = match message.downcast::<Carried>() {
            Ok(carried) => return self.carry(*carried, now),
            Err(other) => other,
        };
        if let Ok(returning) = message.downcast::<Returning>() {
            self.take_back(*returning, now);
        }
    }

    /// How long the shard may sleep. `None`: until it is woken.
    fn sleep(&self, longest: Option<Duration>, now: Instant) -> Option<Duration> {
        let held = self.held.first().map(|(at, _)| *at);
        let of_carriers = self.carriers_due.first().map(|(at, _)| *at);
        let next = [self.wheel.next(), held, self.replays.until(), of_carriers]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_duration_since(now));
        let report = self.reports.map(|rounds| rounds.next().saturating_duration_since(now));
        [next, report, longest].into_iter().flatten().min()
    }

    /// Does a slice of each kind of work that there is, so that no crowd of one kind holds the others up. Live clients
    /// come first. They also get what the others leave, and then those who are behind do.
    fn work(&mut self, now: Instant) {
        let mut left = Effort::new(TURN);
        let Shares { live, behind, newcomers, other } = Shares::of(self.backlog.waiting());
        let kinds: [(Kind, usize); _] = [
            (Self::serve_groups, live),
            (Self::serve_behind, behind),
            (Self::take_in, newcomers),
            (Self::hear_carriers, other),
            (Self::take_answers, other),
            (Self::do_due_of_carriers, other),
            (Self::drain_carriers, other),
            (Self::answer_calls, other),
            (Self::do_due, other),
            (Self::answer, other),
            (Self::tell, other),
            (Self::drain, other),
            (Self::renew, other),
            (Self::report, other),
        ];
        for (work, share) in kinds {
            self.effort = left.part(share);
            work(self, now);
            left.give_back(self.effort);
        }
        self.effort = left;
        self.serve_groups(now);
        self.serve_behind(now);
        self.flush(now);
    }

    /// Puts a group into the queue if it has work, and notes when it has work again.
    fn schedule(&mut self, key: GroupKey) {
        let Some(group) = self.members.group(key) else { return };
        match group.work() {
            Work::Now if !group.queued => {
                group.queued = true;
                self.backlog.groups.push_back(key);
            }
            Work::At(until) => _ = self.held.insert((until, key)),
            Work::Now | Work::Nothing => {}
        }
    }

    /// Takes note of what the poll says of a carrier's socket.
    fn carrier_polled(&mut self, event: &Event) {
        let Named::Carrier(key) = named(event.token()) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.carrier_calls(key);
        }
        if event.is_writable()
            && let Some(carrier) = self.output.carriers.get_mut(key)
        {
            // What it has to send goes out at the end of the turn.
            carrier.unblock();
        }
    }

    /// Takes note of what the poll says of a client's socket.
    fn polled(&mut self, event: &Event) {
        if event.token() == WAKER {
            return;
        }
        let Named::Client(key) = named(event.token()) else { return self.carrier_polled(event) };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.calls(key);
        }
        if event.is_writable() {
            self.unblock(key);
        }
    }
}

/// What a token of the poll names.
enum Named {
    Client(ClientKey),
    Carrier(CarrierKey),
}

/// The token of a client in the poll. It is even.
fn token(key: ClientKey) -> Token {
    Token((key.index() as usize) << 1)
}

/// The token of a carrier in the poll. It is odd.
fn carrier_token(key: CarrierKey) -> Token {
    Token((key.index() as usize) << 1 | 1)
}

#[expect(clippy::cast_possible_truncation, reason = "it was made of a key")]
fn named(token: Token) -> Named {
    let index = (token.0 >> 1) as u32;
    if token.0 & 1 == 0 { Named::Client(ClientKey::of(index)) } else { Named::Carrier(CarrierKey::of(index)) }
}
