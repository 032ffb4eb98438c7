//! Other threads leave messages for a shard while it falls asleep and wakes.

use super::inbox::{Flag, Inbox, Told};
use super::keys::{GroupKey, Key};
use super::shard::{Waker, look};
use crate::check;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;
use std::sync::Arc;

const TELLERS: usize = 2;
const CHANGES: usize = 3;

/// Streams change and publishers ask while the shard looks, sleeps and wakes. It reads every change, answers every
/// question, and is woken at most once per sleep.
pub fn no_change_is_lost() {
    check(|| {
        let waker = Waker::default();
        let inbox = Arc::new(Inbox::<(), (), _>::new(waker.clone()));
        let streams: Vec<_> = (0..TELLERS)
            .map(|n| {
                ([AtomicUsize::new(0), AtomicUsize::new(0)], Flag::new(GroupKey::of(u32::try_from(n).unwrap()), Arc::clone(&inbox)))
            })
            .collect();
        let streams = Arc::new(streams);
        for n in 0..TELLERS * 2 {
            let streams = Arc::clone(&streams);
            thread::spawn(move || {
                let ([appended, asked], flag) = &streams[n % TELLERS];
                for _ in 0..CHANGES {
                    appended.fetch_add(1, Ordering::SeqCst);
                    flag.raise();
                    asked.fetch_add(1, Ordering::SeqCst);
                    flag.ask();
                }
            });
        }
        let (mut told, mut sleeps) = (Told::default(), 0);
        let (mut read, mut answered) = ([0; TELLERS], [0; TELLERS]);
        while [read, answered] != [[CHANGES * 2; TELLERS]; 2] {
            assert!(look(&inbox, &waker.0, &mut told, &mut sleeps));
            assert!(told.changed.len().max(told.asked.len()) <= TELLERS, "told twice before it was looked at");
            for group in told.asked.drain(..) {
                let ([_, asked], flag) = &streams[group.index() as usize];
                flag.answer();
                answered[group.index() as usize] = asked.load(Ordering::SeqCst);
            }
            for group in told.changed.drain(..) {
                let ([appended, _], flag) = &streams[group.index() as usize];
                flag.clear();
                read[group.index() as usize] = appended.load(Ordering::SeqCst);
            }
        }
    });
}

/// Arrivals, a drain and the close come while the shard falls asleep. Each is seen, and an arrival is taken in or
/// given back.
pub fn no_arrival_is_lost() {
    check(|| {
        let waker = Waker::default();
        let inbox = Arc::new(Inbox::<Arc<()>, (), _>::new(waker.clone()));
        let client = Arc::new(());
        let arrivals: Vec<_> = (0..TELLERS)
            .map(|_| {
                let (inbox, client) = (Arc::clone(&inbox), Arc::clone(&client));
                thread::spawn(move || usize::from(inbox.arrive(client).is_err()))
            })
            .collect();
        let drain = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || inbox.drain(())
        });
        let closing = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || {
                drain.join().unwrap();
                inbox.close();
            }
        });
        let (mut told, mut sleeps, mut drained) = (Told::default(), 0, false);
        while look(&inbox, &waker.0, &mut told, &mut sleeps) {
            told.arrivals.clear();
            drained |= told.drain.take().is_some();
        }
        assert!(drained || told.drain.is_some(), "the drain was not told");
        drop(told);
        closing.join().unwrap();
        arrivals.into_iter().for_each(|arrival| _ = arrival.join().unwrap());
        assert_eq!(Arc::strong_count(&client), 1, "an arrival is stuck in a closed inbox");
    });
}
