//! One client of a shard: its connection, its subscription and what was sent to it.

use super::alone::Alone;
use super::batch::{Batch, Cut};
use super::bounds::bound_unacknowledged;
use super::caught_up::Left;
use super::effort::{Effort, sending_over};
use super::group::Group;
use super::keys::{ClientKey, GroupKey};
use super::link::Manner;
use super::output::Output;
use super::policy::{Fallen, LastSent, Schedule, Standing, Then};
use super::replays::Replays;
use super::sink::Sink;
use super::strays::Strays;
use super::terms::{Home, Sent};
use super::trust::Trust;
use crate::counters::since_start;
use crate::hub::{Departure, Seat};
use crate::replay::{Gap, Seq};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A client of a shard.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) sink: Sink,
    pub(super) group: GroupKey,
    pub(super) strays: Strays,
    pub(super) state: State,
    /// The client's subscription to the stream. `None` once the client has departed.
    pub(super) seat: Option<Seat>,
    /// Takes the connection back after an orderly end.
    pub(super) home: Box<dyn Home>,
    /// When something was last sent to this client alone. For sends to the whole roster see `CaughtUp`.
    pub(super) last_sent: LastSent,
    /// Says whether the shard or the kernel judges that the client stalls.
    pub(super) trust: Trust,
    /// When the client's response ends.
    pub(super) schedule: Schedule,
    /// The client is in the shard's list of those that call.
    pub(super) calls: bool,
    /// What was sent to the client. For a client on the roster, the group's total at the time it joined is
    /// subtracted, so that adding the group's present total gives the sum.
    pub(super) sent: Sent,
    /// When its request came, as [`since_start`] has it.
    pub(super) asked: u64,
    /// It was sent no event so far.
    pub(super) is_new: bool,
    /// It departs because it takes nothing.
    pub(super) is_stalled: bool,
}

/// The state of a client.
///
/// ```text
///              ┌──────────── caught up with the group ───────────┐
///              ▼                                                 │
///   adopted ▶ Alone ◀── a send was cut short ─── CaughtUp        │
///              │ ▲                                │              │
///              │ └─ the group has caught up ── Waiting ◀─ ahead of it
///              ▼
///           Parting ──── last words sent ──▶ Closing ──▶ dropped
///                                        └─▶ given back, where its connection is kept
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// On the group's roster, at this index. It shares the group's cursor.
    CaughtUp { index: u32 },
    /// At the end of the log, ahead of the roster. It joins the roster after the roster's next pass.
    Waiting { cursor: Seq },
    /// Served alone, with a cursor of its own.
    Alone(Box<Alone>),
    /// Departed. Its last bytes are being sent.
    Parting(Box<Alone>),
    /// Our side of the connection is closed. At `until` the socket is closed, even if the client's side is still open.
    /// Boxed, because no other state is as large, and few clients are in this one.
    Closing { until: Box<Instant> },
}

/// What becomes of a client that was served alone.
#[derive(Debug)]
pub(super) enum Next {
    /// It is not served alone now.
    Nothing,
    /// It can be sent more.
    Ready,
    /// Its socket accepts no more bytes.
    Blocked,
    /// It has all frames of the log, and is ahead of those who are caught up.
    Waits,
    /// It joins those who are caught up. `had_batch`: it already has the batch of the present pass.
    Joins { cursor: Seq, had_batch: bool },
    /// It departs.
    Departs(Departure),
}

impl Client {
    /// What the client's connection is doing.
    pub(super) fn standing(&self, group: &Group) -> Standing {
        match &self.state {
            State::CaughtUp { .. } => {
                Standing::Idle { last_sent: self.last_sent.or_later(group.caught_up.last_sent()) }
            }
            State::Waiting { .. } => Standing::Idle { last_sent: self.last_sent },
            State::Alone(alone) if alone.is_blocked() => {
                let keeps_up = self.seat.as_ref().is_some_and(Seat::has_hold);
                Standing::Blocked { accepted: alone.accepted(), keeps_up }
            }
            // Its turn sets its deadline again.
            State::Alone(_) => Standing::Busy,
            State::Parting(last) => Standing::Parting { accepted: last.accepted() },
            State::Closing { until } => Standing::Closing { until: **until },
        }
    }

    /// Looks whether bytes arrived at the client, if its socket accepts no more.
    pub(super) fn look(&mut self, output: &Output, now: Instant) -> bool {
        match &mut self.state {
            State::Alone(alone) | State::Parting(alone) => alone.arrived(|| output.on_the_way(&self.sink), now),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Closing { .. } => false,
        }
    }

    /// The client joins those who are caught up. `sent`: what those were sent before it came.
    pub(super) fn catch_up(&mut self, sent: Sent, stall: Duration, now: Instant) {
        self.sent -= sent;
        if let Some(link) = self.sink.link() {
            self.trust.end(link, stall, now);
        }
    }

    /// The client leaves those who are caught up. It is ahead of them until it is known what becomes of it.
    pub(super) fn leave(&mut self, left: Left) {
        self.sent += left.sent;
        self.last_sent = self.last_sent.or_later(left.last_sent);
        self.state = State::Waiting { cursor: left.cursor };
    }

    /// The client is sent these bytes alone, and then goes on at `cursor`.
    pub(super) fn go_on_alone(&mut self, cursor: Seq, pending: Bytes, now: Instant) {
        self.state = State::Alone(Box::new(Alone::new(cursor, pending, now)));
    }

    /// The client took only the beginning of a batch that was sent to all who are caught up. It is no longer one of
    /// them.
    pub(super) fn fall_behind(&mut self, batch: &Batch, taken: usize, group: &Group, output: &Output, now: Instant) {
        let cut = batch.cut(taken);
        self.sent -= batch.sent;
        self.sent += cut.sent;
        self.last_sent = LastSent::with_others(now);
        group.count(cut.sent);
        self.block_after(cut, group, output, now);
    }

    /// The client left those who are caught up, because its socket accepts no more bytes. It may keep up all the same, so
    /// the log keeps the frame in whose middle the client is, and what follows.
    pub(super) fn block_after(&mut self, cut: Cut, group: &Group, output: &Output, now: Instant) {
        if let Some(seat) = &mut self.seat {
            group.feed.leave(seat, cut.needs);
        }
        self.state = State::Alone(Box::new(Alone::after(cut, now)));
        // It keeps up until it is found slow, so it does not depart here.
        self.block(group, output, now);
    }

    /// The client, whose socket accepts no more bytes, fell off the log, or is in the middle of a frame that the log has
    /// dropped: the log begins at `readable`. Returns why the client departs, if it does.
    pub(super) fn fell(&mut self, key: ClientKey, group: &mut Group, readable: Seq) -> Option<Departure> {
        let State::Alone(alone) = &mut self.state else { return None };
        match group.terms.pace().fallen(alone.cursor, readable)? {
            Fallen::Keeps if alone.keeps(&group.feed) => {
                if alone.cursor == readable {
                    group.behind.judge_at(readable.plus(1), key);
                }
                None
            }
            Fallen::Keeps => Some(Departure::Lagged),
            Fallen::Departs(departure) => Some(departure),
        }
    }

    /// Serves the client alone: the rest of its last send, then a batch of its own.
    pub(super) fn serve_alone(
        &mut self,
        group: &mut Group,
        replays: &mut Replays,
        output: &mut Output,
        effort: &mut Effort,
        now: Instant,
    ) -> Next {
        let cursor = match &mut self.state {
            State::Waiting { cursor } => *cursor,
            State::Alone(alone) if !alone.is_blocked() => {
                if let Some(departure) = alone.gone() {
                    return Next::Departs(departure);
                }
                let cursor = alone.cursor;
                if !alone.pending().is_empty() || self.sink.has_pending() {
                    effort.spend(sending_over(self.sink.is_sealed(), alone.pending().len()));
                    let taken = match output.send(&self.sink, Manner::Now, alone.pending()) {
                        Ok(taken) => taken,
                        Err(departure) => return Next::Departs(departure),
                    };
                    alone.took(taken, now);
                    self.last_sent = LastSent::with_others(now);
                    if taken.is_cut_short {
                        return self.block(group, output, now);
                    }
                    self.sink.count_kept(&group.feed);
                }
                cursor
            }
            State::CaughtUp { .. } | State::Alone(_) | State::Parting(_) | State::Closing { .. } => {
                return Next::Nothing;
            }
        };
        if let Some(had_batch) = group.caught_up.admits(cursor) {
            return Next::Joins { cursor, had_batch };
        }
        let Some(seat) = &mut self.seat else { return Next::Nothing };
        let reading = match group.replay(seat, cursor, replays, effort, now) {
            Ok(batch) => return self.send_own(&batch, group, output, effort, now),
            Err(reading) => reading,
        };
        match group.terms.pace().then(reading) {
            Then::Skips(gap) => self.skip(cursor, gap, group, now),
            Then::Departs(departure) => Next::Departs(departure),
            Then::Rests | Then::Sends if group.caught_up.begins_at(cursor) => Next::Joins { cursor, had_batch: true },
            Then::Rests | Then::Sends => {
                self.state = State::Waiting { cursor };
                Next::Waits
            }
        }
    }

    /// Sends a batch to the client, which has nothing else to be sent.
    fn send_own(
        &mut self,
        batch: &Batch,
        group: &Group,
        output: &mut Output,
        effort: &mut Effort,
        now: Instant,
    ) -> Next {
        effort.spend(sending_over(self.sink.is_sealed(), batch.bytes.len()));
        let taken = match output.send(&self.sink, Manner::Now, &batch.bytes) {
            Ok(taken) => taken,
            Err(departure) => return Next::Departs(departure),
        };
        let cut = batch.cut(taken.bytes);
        self.sent += cut.sent;
        self.last_sent = LastSent::with_others(now);
        group.count(cut.sent);
        if cut.sent.events > 0 {
            self.has_event(group, now);
        }
        match &mut self.state {
            State::Alone(alone) => alone.cut(cut, taken, now),
            _ => self.state = State::Alone(Box::new(Alone::after(cut, now))),
        }
        if !taken.is_cut_short {
            return Next::Ready;
        }
        self.block(group, output, now)
    }

    /// How long ago the client's request came.
    pub(super) fn stayed(&self, now: Instant) -> Duration {
        Duration::from_micros(since_start(now).saturating_sub(self.asked))
    }

    /// The client was sent an event. Counts how long its first one took.
    pub(super) fn has_event(&mut self, group: &Group, now: Instant) {
        if std::mem::take(&mut self.is_new) {
            group.terms.counters().time_to_first_event.observe(since_start(now).saturating_sub(self.asked), 1);
        }
    }

    /// Tells the client, which fell off the log, of the gap. It goes on with the oldest event of the log.
    fn skip(&mut self, cursor: Seq, gap: Gap, group: &Group, now: Instant) -> Next {
        let (cursor, frame) = group.feed.skip(cursor, gap);
        self.seat.iter_mut().for_each(Seat::has_gap);
        let told = Sent { bytes: frame.text_len() as u64, events: 1 };
        self.sent += told;
        group.count(told);
        self.go_on_alone(cursor, group.framing().shared_wire(&frame), now);
        Next::Ready
    }

    /// The socket of the client, which is served alone, accepts no more bytes. From now on the shard observes whether the
    /// client stalls. A client that was slow before departs, if such clients keep too much together.
    fn block(&mut self, group: &Group, output: &Output, now: Instant) -> Next {
        let State::Alone(alone) = &mut self.state else { return Next::Nothing };
        alone.block(output.on_the_way(&self.sink));
        if let Some(link) = self.sink.link() {
            if !self.trust.is_given() {
                // This is not done before, because most clients are never sent so much. A Unix socket is bounded already.
                bound_unacknowledged(link);
            }
            self.trust.begin(link, now);
        }
        let keeps_up = self.seat.as_ref().is_some_and(Seat::has_hold);
        if self.sink.count_kept(&group.feed) && !keeps_up {
            alone.goes(Departure::Lagged);
            return Next::Departs(Departure::Lagged);
        }
        Next::Blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_takes_little_memory() {
        assert!(size_of::<Client>() <= 200, "{} bytes", size_of::<Client>());
    }
}
