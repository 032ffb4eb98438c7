//! Heartbeats, lifetimes and drains, on a paused clock.

use crate::fanout::Pace;
use crate::gateway::deadlines::{Deadlines, Lifecycle};
use crate::hub::Departure;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// A drain time, and the part of it over which ends are spread.
const WINDOW: Duration = Duration::from_secs(100);
const SPREAD: Duration = Duration::from_secs(60);

/// The number of clients. What holds for all of them holds for any random choice.
const CROWD: usize = 200;

const SECOND: Duration = Duration::from_secs(1);

/// A route without heartbeats, and two with them.
const SILENT: Pace = Pace { heartbeat: None, stall: SECOND, flush: None, skips: false };
const SLOW: Pace = Pace { heartbeat: Some(Duration::from_secs(15)), ..SILENT };
const FAST: Pace = Pace { heartbeat: Some(SECOND), ..SILENT };

fn secs(secs: u64) -> Option<Duration> {
    Some(Duration::from_secs(secs))
}

fn running() -> (watch::Sender<Lifecycle>, watch::Receiver<Lifecycle>) {
    watch::channel(Lifecycle::Running)
}

/// The next deadline, and the milliseconds until it.
async fn next(deadlines: &mut Deadlines) -> (Result<(), Departure>, u128) {
    let begun = Instant::now();
    let due = timeout(Duration::from_secs(1_000_000), deadlines.next()).await.expect("something is due");
    (due, begun.elapsed().as_millis())
}

/// The milliseconds until the next heartbeat, in a session of its own.
async fn until_heartbeat(deadlines: &mut Deadlines) -> u128 {
    let (due, millis) = next(deadlines).await;
    assert_eq!(due, Ok(()));
    millis
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_is_for_those_who_were_sent_nothing() {
    let (_lifecycle, watched) = running();
    let mut deadlines = Deadlines::new(SLOW.clone(), None, None, watched);
    let first = until_heartbeat(&mut deadlines).await;
    assert!((11_250..=14_766).contains(&first), "{first}");
    deadlines.sent();
    for _ in 0..10 {
        assert!(timeout(Duration::from_secs(11), deadlines.next()).await.is_err(), "events come");
        deadlines.sent();
    }
    assert!(timeout(Duration::from_secs(10), deadlines.next()).await.is_err());
    assert_eq!(until_heartbeat(&mut deadlines).await, first - 10_000, "a new wait does not delay the heartbeat");
    deadlines.sent_heartbeat();
    assert_eq!(until_heartbeat(&mut deadlines).await, 14_766, "in milliseconds, rounded up");
    assert_eq!(deadlines.end_due(), None);
}

#[tokio::test(start_paused = true)]
async fn where_all_is_off_nothing_is_ever_due() {
    let (_lifecycle, watched) = running();
    let mut deadlines = Deadlines::new(SILENT.clone(), None, None, watched);
    assert!(timeout(Duration::from_secs(1_000_000), deadlines.next()).await.is_err());
    assert_eq!(deadlines.end_due(), None);
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_is_over_in_its_last_fifth() {
    let (_lifecycle, watched) = running();
    let mut lives = Vec::new();
    for _ in 0..CROWD {
        let mut deadlines = Deadlines::new(SILENT.clone(), secs(3600), None, watched.clone());
        let (due, millis) = next(&mut deadlines).await;
        assert_eq!(due, Err(Departure::Lifetime));
        assert!((2_880_000..=3_600_001).contains(&millis), "{millis}");
        lives.push(millis);
    }
    lives.sort_unstable();
    lives.dedup();
    assert!(lives.len() > CROWD / 2, "spread");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_put_a_lifetime_off() {
    let (_lifecycle, watched) = running();
    let mut deadlines = Deadlines::new(SLOW.clone(), secs(100), None, watched);
    let begun = Instant::now();
    while deadlines.next().await.is_ok() {
        deadlines.sent_heartbeat();
    }
    assert!(begun.elapsed() <= Duration::from_millis(100_001));
    assert_eq!(deadlines.end_due(), Some(Departure::Lifetime));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_every_client_within_its_part_of_the_window() {
    let mut ends = Vec::new();
    for came_after in [false, true] {
        for _ in 0..CROWD {
            let (lifecycle, mut watched) = running();
            let drain = || lifecycle.send_replace(Lifecycle::Draining(Instant::now() + WINDOW));
            if came_after {
                drain();
                // The receiver looks as if it had seen the drain already.
                watched.mark_unchanged();
            }
            let mut deadlines = Deadlines::new(SILENT.clone(), None, None, watched);
            if !came_after {
                assert!(timeout(SPREAD, deadlines.next()).await.is_err());
                drain();
            }
            let (due, millis) = next(&mut deadlines).await;
            assert_eq!(due, Err(Departure::Drained), "came after: {came_after}");
            assert!(millis <= SPREAD.as_millis() + 1, "{millis}");
            ends.push(millis);
        }
    }
    ends.sort_unstable();
    ends.dedup();
    assert!(ends.len() > CROWD, "spread");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_always_busy_is_ended_too() {
    let (lifecycle, watched) = running();
    let mut drained = Deadlines::new(FAST.clone(), secs(3600), None, watched.clone());
    let mut lived = Deadlines::new(FAST.clone(), secs(50), None, watched.clone());
    let mut late = Deadlines::new(FAST.clone(), None, None, watched);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((drained.end_due(), lived.end_due(), late.end_due()), (None, None, None), "a heartbeat is no end");
    lifecycle.send_replace(Lifecycle::Draining(Instant::now() + WINDOW));
    drained.end_due();
    sleep(SPREAD).await;
    assert_eq!(drained.end_due(), Some(Departure::Drained));
    assert_eq!(lived.end_due(), Some(Departure::Lifetime), "the drain is noticed only at this call");
    late.end_due();
    sleep(SPREAD).await;
    assert_eq!(late.end_due(), Some(Departure::Drained));
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_was_noticed_while_busy_is_not_put_off_by_waiting() {
    let (lifecycle, watched) = running();
    let mut deadlines = Deadlines::new(SILENT.clone(), None, None, watched);
    lifecycle.send_replace(Lifecycle::Draining(Instant::now() + WINDOW));
    let begun = Instant::now();
    deadlines.end_due();
    while timeout(Duration::from_secs(1), deadlines.next()).await.is_err() {}
    assert!(begun.elapsed() <= SPREAD + Duration::from_millis(1));
    assert_eq!(deadlines.end_due(), Some(Departure::Drained));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_left_when_the_service_is_gone_ends_at_once() {
    let (lifecycle, watched) = running();
    let mut waiting = Deadlines::new(SLOW.clone(), None, None, watched.clone());
    let mut busy = Deadlines::new(SILENT.clone(), None, None, watched);
    assert_eq!(busy.end_due(), None);
    drop(lifecycle);
    assert_eq!(next(&mut waiting).await, (Err(Departure::Drained), 0));
    assert_eq!(busy.end_due(), Some(Departure::Drained));
}

#[tokio::test(start_paused = true)]
async fn a_drain_keeps_its_time_when_the_service_ends_before_it() {
    let (lifecycle, watched) = running();
    let mut crowd: Vec<_> = (0..CROWD).map(|_| Deadlines::new(SILENT.clone(), None, None, watched.clone())).collect();
    lifecycle.send_replace(Lifecycle::Draining(Instant::now() + WINDOW));
    drop(lifecycle);
    let at_once = crowd.iter_mut().filter_map(Deadlines::end_due).count();
    assert!(at_once < CROWD / 2, "the ends are spread even if the sender is gone");
}
