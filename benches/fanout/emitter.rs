//! The loop that sends events when they are due.

use super::clock;
use super::schedule::{Due, Schedule};
use super::socket::Socket;
use super::specs::{Sent, Work};
use super::{Failure, say};
use std::collections::VecDeque;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::Duration;

/// The largest number of bytes of one stream's events that are sent at once, when the sender is late.
const MOST_AT_ONCE: usize = 256 * 1024;

/// A message to the loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// Events are due from now on.
    Go,
    /// The rate is now this many events per second on each stream.
    Pace(u64),
    /// Whoever directs the run asks how far the first stream is.
    Where,
    /// The run is over.
    Stop,
    /// This connection takes the events of this stream.
    Joined(u64, Socket),
}

/// Takes events and sends them.
pub(crate) trait Sink {
    fn join(&mut self, stream: u64, socket: Socket);
    fn send(&mut self, due: Due) -> Result<(), Failure>;
    fn departed(&self) -> u64;
}

/// Sends what is due until it is told to stop, then reports.
pub(crate) fn run(work: &Work, messages: &Receiver<Message>, sink: &mut impl Sink) -> Result<(), Failure> {
    let mut schedule = None::<Schedule>;
    let mut sent = Sent::default();
    // The messages that came while events were sent.
    let mut waiting = VecDeque::new();
    'run: loop {
        let wait = schedule.as_ref().map_or(u64::MAX, |schedule| schedule.next().saturating_sub(clock::now()));
        let message = waiting.pop_front().map_or_else(|| messages.recv_timeout(Duration::from_nanos(wait)), Ok);
        match message {
            Ok(Message::Joined(stream, socket)) => sink.join(stream, socket),
            Ok(Message::Go) if work.rate > 0 => {
                let most = u64::try_from((MOST_AT_ONCE / work.size).max(1))?;
                schedule = Some(Schedule::new(clock::now(), work, most));
            }
            Ok(Message::Pace(rate)) => {
                if let Some(schedule) = &mut schedule {
                    schedule.change(clock::now(), rate);
                }
            }
            Ok(Message::Where) => say("reached", &schedule.as_ref().map_or(0, Schedule::reached))?,
            Ok(Message::Go) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
        let Some(schedule) = &mut schedule else { continue };
        let (now, due) = (clock::now(), schedule.next());
        sent.latest_ms = sent.latest_ms.max(milliseconds(now.saturating_sub(due)));
        for due in schedule.due(now) {
            sent.events += due.seqs.end - due.seqs.start;
            sink.send(due)?;
            // A sender that is far behind still ends when it is told to.
            match messages.try_recv() {
                Ok(Message::Stop) | Err(TryRecvError::Disconnected) => break 'run,
                Ok(message) => waiting.push_back(message),
                Err(TryRecvError::Empty) => {}
            }
        }
    }
    sent.departed = sink.departed();
    say("sent", &sent)
}

/// Passes on the messages of the standard input: "go", "where", "pace" with a rate, and its end, which ends the run.
pub(crate) fn listen_for_orders(messages: &SyncSender<Message>) {
    for line in std::io::stdin().lock().lines() {
        let message = match line.as_deref() {
            Ok("go") => Message::Go,
            Ok("where") => Message::Where,
            Ok(line) => match line.strip_prefix("pace ").and_then(|rate| rate.parse().ok()) {
                Some(rate) if rate > 0 => Message::Pace(rate),
                _ => break,
            },
            Err(_) => break,
        };
        if messages.send(message).is_err() {
            return;
        }
    }
    // The loop may have ended by itself; then it takes no message.
    messages.send(Message::Stop).unwrap_or_default();
}

fn milliseconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64() * 1e3
}
