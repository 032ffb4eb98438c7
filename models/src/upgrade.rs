//! A stream changes hands between two processes, one of which may end at any moment.

use crate::check;
use crate::hand::Hand;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread;
use std::sync::Arc;

/// A client's socket. Its writers are counted.
#[derive(Debug, Default)]
struct Socket {
    writers: AtomicUsize,
    /// The events that it was sent.
    events: AtomicUsize,
}

impl Socket {
    fn write(&self) {
        assert_eq!(self.writers.fetch_add(1, Ordering::SeqCst), 0, "both processes write");
        thread::yield_now();
        self.events.fetch_add(1, Ordering::SeqCst);
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The new process. It ends some time after `is_killed`.
fn new_process(socket: &Socket, offers: &Receiver<()>, answers: &Sender<bool>, is_killed: &AtomicBool) {
    // The kernel takes its time.
    let lives = || !is_killed.load(Ordering::SeqCst) || thread_rng().gen_bool(0.5);
    if offers.recv().is_err() || !lives() {
        return;
    }
    let is_taken = thread_rng().gen_bool(0.8);
    if answers.send(is_taken).is_err() || !is_taken {
        return;
    }
    for _ in 0..3 {
        if !lives() {
            return;
        }
        socket.write();
    }
}

/// Whatever happens to the new process, and whenever the old one stops to wait for it, one of them alone writes; and the
/// client is in the hand of the one that lives, or was taken by the other one.
pub fn a_stream_changes_hands() {
    check(|| {
        let (socket, is_killed) = (Arc::new(Socket::default()), Arc::new(AtomicBool::new(false)));
        let ((offer, offers), (answer, answers)) = (channel(), channel());
        let new = {
            let (socket, is_killed) = (Arc::clone(&socket), Arc::clone(&is_killed));
            thread::spawn(move || new_process(&socket, &offers, &answer, &is_killed))
        };
        // It may crash by itself.
        let crash = {
            let is_killed = Arc::clone(&is_killed);
            thread::spawn(move || is_killed.fetch_or(thread_rng().gen_bool(0.5), Ordering::SeqCst))
        };
        let mut hand = Hand::Ours;
        assert!(hand.is_ours());
        socket.write();
        hand = Hand::Offered;
        let is_offered = offer.send(()).is_ok();
        let heard = if is_offered && thread_rng().gen_bool(0.5) { answers.recv().ok() } else { None };
        match heard {
            Some(is_taken) => hand.answered(is_taken),
            None => {
                is_killed.store(true, Ordering::SeqCst);
                new.join().unwrap();
                hand.ended(answers.try_recv().ok());
            }
        }
        let before = socket.events.load(Ordering::SeqCst);
        if hand.is_ours() {
            socket.write();
            assert_eq!(socket.events.load(Ordering::SeqCst), before + 1);
            assert_eq!(before, 1, "the other process wrote nothing");
        }
        crash.join().unwrap();
    });
}
