//! The loop of whoever sends events: when they are due, to whatever takes them.

use super::clock;
use super::schedule::{Due, Schedule};
use super::specs::{Sent, Work};
use super::{Failure, say};
use std::io::BufRead;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

/// Bytes of one stream's events that are sent at once, at most, when the sender is late.
const MOST_AT_ONCE: usize = 256 * 1024;

/// What the loop is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Events are due from now on.
    Go,
    /// The run is over.
    Stop,
    /// This connection wants the events of this stream.
    Joined(u64, TcpStream),
}

/// What takes events.
pub(crate) trait Sink {
    fn join(&mut self, stream: u64, socket: TcpStream);
    fn send(&mut self, due: Due) -> Result<(), Failure>;
    fn departed(&self) -> u64;
}

/// Sends what is due until it is told to stop, and reports.
pub(crate) fn run(work: &Work, messages: &Receiver<Message>, sink: &mut impl Sink) -> Result<(), Failure> {
    let mut schedule = None::<Schedule>;
    let mut sent = Sent::default();
    loop {
        let wait = schedule.as_ref().map_or(u64::MAX, |schedule| schedule.next().saturating_sub(clock::now()));
        match messages.recv_timeout(Duration::from_nanos(wait)) {
            Ok(Message::Joined(stream, socket)) => sink.join(stream, socket),
            Ok(Message::Go) if work.rate > 0 => {
                let most = u64::try_from((MOST_AT_ONCE / work.size).max(1))?;
                schedule = Some(Schedule::new(clock::now(), work.streams, work.rate, most));
            }
            Ok(Message::Go) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
        let Some(schedule) = &mut schedule else { continue };
        let (now, due) = (clock::now(), schedule.next());
        sent.latest_ms = sent.latest_ms.max(milliseconds(now.saturating_sub(due)));
        for due in schedule.due(now) {
            sent.events += due.seqs.end - due.seqs.start;
            sink.send(due)?;
        }
    }
    sent.departed = sink.departed();
    say("sent", &sent)
}

/// Passes on what is said on the standard input: "go", and its end, which is the end of the run.
pub(crate) fn listen_for_orders(messages: &SyncSender<Message>) {
    for line in std::io::stdin().lock().lines() {
        let message = match line.as_deref() {
            Ok("go") => Message::Go,
            _ => break,
        };
        if messages.send(message).is_err() {
            return;
        }
    }
    // Nobody listens any more if the loop has ended by itself.
    messages.send(Message::Stop).unwrap_or_default();
}

fn milliseconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64() * 1e3
}
