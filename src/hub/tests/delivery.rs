//! What subscriptions are given: each frame once, gaps, and no repeats.

use super::*;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

/// The number of times that a task was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_that_opens_a_stream_gets_it_from_its_first_event() {
    let stage = Stage::new();
    let (mut first, publisher) = stage.open("/a");
    live(&publisher);
    append(&publisher, &["0", "1"]);
    let mut second = stage.join("/a").unwrap();
    append(&publisher, &["2"]);
    assert_eq!(first.lag(), 3);
    assert_eq!(drain(&mut first), ("0 1 2".to_owned(), Reading::CaughtUp));
    assert_eq!(drain(&mut second), ("2".to_owned(), Reading::CaughtUp));
    assert_eq!((first.lag(), second.lag()), (0, 0));
    assert_eq!(stage.counted("events_in"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_resume_goes_on_after_the_id_or_is_told_a_gap() {
    let stage = Stage::with(events(2));
    let (_first, publisher) = stage.open("/a");
    live(&publisher);
    let stream = [with_id("a", "0"), with_id("b", "1"), with_id("c", "2"), with_id("d", "3")];
    publisher.append(&stream, &mut Continuation::fresh(false));
    for (id, given) in [
        ("b", "2 3"),
        ("c", "3"),
        ("d", ""),
        ("a", r#"{"reason":"evicted","missed":null} 2 3"#),
        ("~c0ffee-1", r#"{"reason":"unknown","missed":null} 2 3"#),
    ] {
        let mut subscription = stage.resume("/a", Some(id)).unwrap();
        assert_eq!(drain(&mut subscription).0, given, "{id}");
    }
    assert_eq!((stage.counted("resumes"), stage.counted("gaps"), stage.counted("gaps_untold")), (3, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_is_not_told_is_counted() {
    for (on_gap, given) in [(OnGap::Oldest, "1 2"), (OnGap::Live, "")] {
        let stage = Stage::with(ReplayOptions { on_gap, ..events(2) });
        let (_first, publisher) = stage.open("/a");
        append(&publisher, &["0", "1", "2"]);
        assert_eq!(drain(&mut stage.resume("/a", Some("x")).unwrap()).0, given);
        assert_eq!((stage.counted("gaps"), stage.counted("gaps_untold")), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_client_is_not_given_events_that_are_too_old() {
    let stage = Stage::with(ReplayOptions { start: crate::replay::Start::All, ..ReplayOptions::default() });
    let (_first, publisher) = stage.open("/a");
    append(&publisher, &["0", "1"]);
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(drain(&mut stage.join("/a").unwrap()).0, "1", "but for the newest");
}

#[tokio::test(start_paused = true)]
async fn events_lost_upstream_are_told_to_every_subscriber_at_their_place() {
    let stage = Stage::new();
    let (mut early, publisher) = stage.open("/a");
    live(&publisher);
    append(&publisher, &["0"]);
    publisher.failed();
    let mut waiting = stage.join("/a").unwrap();
    assert!(publisher.connected(&HeaderMap::new(), Sharing::Shared));
    publisher.mark(Some(1));
    assert_eq!(publisher.append(&[event("1")], &mut Continuation::fresh(true)), 1);
    let told = r#"{"reason":"upstream","missed":1} {"reason":"upstream","missed":null}"#;
    assert_eq!(drain(&mut early).0, format!("0 {told} 1"));
    assert_eq!(drain(&mut waiting).0, format!("{told} 1"));
    assert_eq!((stage.counted("gaps"), stage.counted("gaps_untold")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn events_lost_upstream_are_not_told_where_the_route_says_so() {
    for on_gap in [OnGap::Oldest, OnGap::Live] {
        let stage = Stage::with(ReplayOptions { on_gap, ..ReplayOptions::default() });
        let (mut subscription, publisher) = stage.open("/a");
        publisher.append(&[event("0")], &mut Continuation::fresh(true));
        assert_eq!(drain(&mut subscription).0, "0");
        assert_eq!((stage.counted("gaps"), stage.counted("gaps_untold")), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn repeats_of_a_resumed_response_are_dropped_across_reads() {
    let stage = Stage::new();
    let (mut subscription, publisher) = stage.open("/a");
    let stream = [with_id("a", "0"), with_id("b", "1"), with_id("c", "2")];
    assert_eq!(publisher.append(&stream, &mut Continuation::fresh(false)), 3);
    let mut repeats = Continuation::after(Bytes::from_static(b"c"), false, false);
    assert_eq!(publisher.append(&stream[..1], &mut repeats), 0);
    assert_eq!(publisher.append(&[], &mut repeats), 0);
    assert_eq!(publisher.append(&[stream[1].clone(), stream[2].clone(), with_id("d", "3")], &mut repeats), 1);
    assert_eq!(publisher.append(&stream[..1], &mut repeats), 1, "the run is over");
    assert_eq!(drain(&mut subscription).0, "0 1 2 3 0");
    assert_eq!((stage.counted("events_in"), stage.counted("events_repeated")), (5, 3));
}

/// Appends events of 300 KiB in batches of one. The log keeps fewer than two of them for delivery alone.
fn append_heavy(publisher: &Publisher, data: &[&str]) {
    for data in data {
        let extra = Bytes::from(format!("padding: {}\n", "x".repeat(300 << 10)));
        publisher.append(&[Event { extra, ..event(data) }], &mut Continuation::fresh(false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fell_off_the_log_is_told_how_much_it_missed() {
    let stage = Stage::with(events(2));
    let (mut subscription, publisher) = stage.open("/a");
    append_heavy(&publisher, &["0", "1", "2", "3"]);
    let (given, lagged) = drain(&mut subscription);
    let Reading::Lagged(gap) = lagged else { panic!("lagged: {lagged:?}") };
    assert_eq!((&*given, gap.missed), ("", Some(2)));
    // The log drops more events before the client goes on.
    append_heavy(&publisher, &["4"]);
    subscription.skip(gap);
    assert_eq!(drain(&mut subscription), (r#"{"reason":"lag","missed":3} 3 4"#.to_owned(), Reading::CaughtUp));
    assert_eq!((stage.counted("gaps_lag"), stage.counted("gaps")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_behind_at_the_end_is_told_that_first() {
    let stage = Stage::with(events(1));
    let (mut subscription, publisher) = stage.open("/a");
    append_heavy(&publisher, &["0", "1", "2"]);
    publisher.close(End::OriginClosed, Duration::ZERO).await;
    let (_, Reading::Lagged(gap)) = drain(&mut subscription) else { panic!("lagged") };
    subscription.skip(gap);
    let told = r#"{"reason":"lag","missed":2} 2"#.to_owned();
    assert_eq!(drain(&mut subscription), (told, Reading::Ended(End::OriginClosed)));
}

#[tokio::test(start_paused = true)]
async fn a_burst_longer_than_the_log_reaches_clients_that_were_caught_up() {
    let stage = Stage::with(events(1));
    let (mut subscription, publisher) = stage.open("/a");
    let numbers: Vec<_> = (0..9000).map(|n| n.to_string()).collect();
    append(&publisher, &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(drain(&mut subscription), (numbers.join(" "), Reading::CaughtUp));
}

#[tokio::test(start_paused = true)]
async fn the_origins_reconnection_time_is_the_last_it_said() {
    let stage = Stage::new();
    let (subscription, publisher) = stage.open("/a");
    assert_eq!((publisher.retry(), subscription.origin_retry()), (None, None));
    publisher.set_retry(10);
    publisher.set_retry(20);
    assert_eq!((publisher.retry(), subscription.origin_retry()), (Some(20), Some(20)));
}

#[tokio::test(start_paused = true)]
async fn a_publisher_knows_whether_anybody_listens() {
    let stage = Stage::new();
    let (subscription, publisher) = stage.open("/a");
    assert!(is_occupied(&publisher));
    drop(subscription);
    assert!(!is_occupied(&publisher));
    assert_eq!(subscription_key(&stage), "/a");
}

#[tokio::test(start_paused = true)]
async fn the_driver_is_woken_by_the_first_client_and_not_by_those_after_it() {
    let stage = Stage::new();
    let (first, publisher) = stage.open("/a");
    live(&publisher);
    let count = Arc::new(Woken::default());
    let (waker, woken) = (Waker::from(Arc::clone(&count)), || count.0.load(Ordering::Relaxed));
    let mut abandoned = pin!(publisher.abandoned());
    let mut poll = || assert!(abandoned.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    poll();
    // A wake-up of the time before is used up by this.
    poll();
    let before = woken();
    let others = [stage.join("/a").unwrap(), stage.join("/a").unwrap()];
    assert_eq!(woken(), before);
    drop((first, others));
    assert_eq!(woken(), before + 1, "nobody is on it");
    poll();
    let _again = stage.join("/a").unwrap();
    assert_eq!(woken(), before + 2);
}

fn subscription_key(stage: &Stage) -> String {
    stage.join("/a").unwrap().key().path().to_owned()
}
