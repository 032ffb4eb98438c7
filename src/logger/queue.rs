//! The queue of log lines, and the thread that writes them to standard error.
//!
//! Standard error may be a pipe that nobody reads, or a disk that is slow. A thread that serves clients must not wait
//! for it, so it only puts its lines into this queue. A line that does not fit is dropped and counted.
//!
//! ```text
//!              a line fits: it is queued
//!             ╭──▶──╮
//!   ─────▶ Flowing ───── a line does not fit ─────▶ Dropping ─╮ every line until then is counted
//!             ▲                                        │  ▲───╯
//!             ╰── the thread takes all queued lines, ◀─╯
//!                 writes them, and a line tells the count
//! ```

use manifold::counters::process;
use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The most bytes of lines that wait to be written.
const MOST_BYTES: usize = 256 << 10;

/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The queue. Its clones are one queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread: there are lines.
    filled: Condvar,
    /// Wakes who waits for the last lines: all are written.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Waiting,
    /// Whether the thread is writing lines that it has taken.
    is_writing: bool,
}

/// The lines that wait.
#[derive(Debug, Default, PartialEq, Eq)]
struct Waiting {
    text: Vec<u8>,
    /// The number of lines that did not fit since the lines were taken.
    dropped: u64,
}

impl Waiting {
    /// Adds a line, or counts it as dropped. Returns whether it was added. After a line that was dropped, all are, so
    /// that no reader takes a part for the whole.
    fn add(&mut self, line: &[u8], most: usize) -> bool {
        let fits = self.dropped == 0 && self.text.len() + line.len() <= most;
        if fits {
            self.text.extend_from_slice(line);
        } else {
            self.dropped += 1;
        }
        fits
    }

    /// Takes all lines into this buffer, which is empty, and the count. The buffers change places, so that both keep
    /// their room.
    fn take(&mut self, text: &mut Vec<u8>) -> u64 {
        std::mem::swap(&mut self.text, text);
        std::mem::take(&mut self.dropped)
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.dropped == 0
    }
}

impl Queue {
    /// Starts the thread that writes to standard error. `None`: it cannot be started.
    pub(super) fn start() -> Option<Self> {
        let queue = Self::default();
        let stderr = io::stderr().as_fd().try_clone_to_owned().ok()?;
        let shared = Arc::clone(&queue.0);
        let thread = thread::Builder::new().name("manifold-log".to_owned());
        thread.spawn(move || shared.write_to(&stderr, tell)).ok()?;
        Some(queue)
    }

    /// Waits until all lines are written, though not for long.
    pub(super) fn finish(&self) {
        let until = Instant::now() + LAST_LINES;
        let mut state = self.0.state.lock();
        while state.is_writing || !state.waiting.is_empty() {
            if self.0.written.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }
}

/// Logs the number of lines that were dropped.
fn tell(dropped: u64) {
    log::warn!("log lines were dropped count={dropped}: standard error was read too slowly");
}

impl Shared {
    /// Writes lines until the process ends. `tell` is called after lines were dropped.
    fn write_to(&self, output: &OwnedFd, tell: impl Fn(u64)) {
        let mut text = Vec::new();
        loop {
            let dropped = {
                let mut state = self.state.lock();
                state.is_writing = false;
                while state.waiting.is_empty() {
                    self.written.notify_all();
                    self.filled.wait(&mut state);
                }
                state.is_writing = true;
                state.waiting.take(&mut text)
            };
            // If standard error is closed, there is nobody to tell.
            let _lost = write_all(output, &text);
            text.clear();
            if dropped > 0 {
                tell(dropped);
            }
        }
    }
}

/// Writes a text, however long that takes. Standard error may be in non-blocking mode, which it shares with other
/// processes.
fn write_all(output: &OwnedFd, mut text: &[u8]) -> Result<(), Errno> {
    while !text.is_empty() {
        match rustix::io::write(output, text) {
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ready = poll(&mut [PollFd::new(output, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One call adds one line. It never waits for standard error.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let fits = self.0.state.lock().waiting.add(line, MOST_BYTES);
        if !fits {
            process().log_lines_dropped.add(1);
        }
        self.0.filled.notify_one();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::mpsc;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_until_all_is_taken() {
        let mut waiting = Waiting::default();
        let mut taken = Vec::new();
        for line in ["one\n", "four\n", "2\n", "\n"] {
            waiting.add(line.as_bytes(), 7);
        }
        assert_eq!(waiting.take(&mut taken), 3);
        assert_eq!((taken.as_slice(), waiting.is_empty()), (&b"one\n"[..], true));
        taken.clear();
        waiting.add(b"1234567", 7);
        assert_eq!((waiting.take(&mut taken), taken.as_slice()), (0, &b"1234567"[..]));
    }

    #[test]
    fn nobody_waits_for_a_reader_and_the_reader_learns_what_it_missed() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = Queue::default();
        let (shared, (told, heard)) = (Arc::clone(&queue.0), mpsc::channel());
        // A pipe takes 64 KiB, so the thread waits in the middle of the first lines.
        let first = vec![b'\n'; 100 << 10];
        queue.clone().write_all(&first).unwrap();
        drop(thread::spawn(move || shared.write_to(&writer.into(), |dropped| told.send(dropped).unwrap())));
        while queue.0.state.lock().waiting != Waiting::default() {
            thread::yield_now();
        }
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let fitting = MOST_BYTES / line.len();
        for _ in 0..2 * fitting {
            queue.clone().write_all(&line).unwrap();
        }
        queue.finish();
        assert!(heard.try_recv().is_err(), "nothing was written yet");
        let mut received = vec![0; first.len() + fitting * line.len()];
        reader.read_exact(&mut received).unwrap();
        assert_eq!(heard.recv().unwrap(), u64::try_from(fitting).unwrap());
        queue.clone().write_all(b"again\n").unwrap();
        queue.finish();
        let mut again = [0; 64];
        let read = reader.read(&mut again).unwrap();
        assert_eq!(&again[..read], b"again\n");
    }
}
