//! Empty streams give way, and what is kept is bounded.

use super::*;
use crate::replay::cost_of;
use crate::sse::Frame;
use tokio::time::{Instant, advance, sleep, timeout};

const DATA: usize = 1000;

fn full(most: usize) -> Stage {
    let mut stage = Stage::new();
    stage.settings.max_streams = most;
    stage
}

/// Opens a stream, makes it live and leaves it.
fn left(stage: &Stage, path: &str) -> Publisher {
    let (subscription, publisher) = stage.open(path);
    live(&publisher);
    drop(subscription);
    publisher
}

async fn is_over(publisher: &Publisher) -> bool {
    timeout(Duration::ZERO, publisher.abandoned()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn at_most_streams_the_one_that_has_been_empty_for_the_longest_gives_way() {
    let stage = full(3);
    let (a, b, c) = (left(&stage, "/a"), left(&stage, "/b"), left(&stage, "/c"));
    // A client that joins and leaves moves its stream to the end of the queue.
    drop(stage.join("/a").unwrap());
    let (_d, _publisher) = stage.open("/d");
    assert_eq!((is_over(&a).await, is_over(&b).await, is_over(&c).await), (false, true, false));
    let stays = stage.join("/c").unwrap();
    let (_e, _publisher) = stage.open("/e");
    assert_eq!((is_over(&a).await, is_over(&c).await), (true, false));
    assert_eq!(stage.join("/f").unwrap_err(), JoinError::TooManyStreams, "a client is on each stream");
    drop((a, b));
    assert_eq!((stage.hub.len(), stage.counted("streams_evicted")), (3, 2));
    drop(stays);
    let elsewhere = stage.hub.join(request(RouteId(2), "/x"), &stage.settings, None);
    assert!(elsewhere.is_ok() && !is_over(&c).await, "another route makes no stream give way");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_gave_way_is_opened_anew_by_the_next_client() {
    let stage = full(1);
    let a = left(&stage, "/a");
    let b = left(&stage, "/b");
    let (mut again, publisher) = stage.open("/a");
    // The old publishers write to no one, and remove nothing from the hub.
    live_or_not(&a);
    a.failed();
    assert_eq!(a.append(&[event("old")], &mut Continuation::fresh(false)), 0);
    drop((a, b));
    assert_eq!(drain(&mut again), (String::new(), Reading::CaughtUp));
    append(&publisher, &["new"]);
    assert_eq!((drain(&mut again).0.as_str(), stage.hub.len()), ("new", 1));
}

fn live_or_not(publisher: &Publisher) {
    assert!(!publisher.connected(&HeaderMap::new(), Sharing::Shared));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_abandoned_requests_keep_no_client_out_and_each_driver_is_told() {
    const STREAMS: usize = 10_000;
    let stage = full(100);
    let mut publishers = Vec::new();
    for n in 0..STREAMS {
        publishers.push(left(&stage, &format!("/{n}")));
    }
    assert_eq!((stage.hub.len(), stage.counted("streams_evicted")), (100, (STREAMS - 100) as u64));
    let mut over = 0;
    for publisher in &publishers {
        over += usize::from(is_over(publisher).await);
    }
    assert_eq!(over, STREAMS - 100);
    publishers.clear();
    assert_eq!((stage.hub.len(), stage.hub.held_bytes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_waits_is_woken_when_its_stream_gives_way() {
    let stage = full(1);
    let publisher = left(&stage, "/a");
    let begun = Instant::now();
    let driver = tokio::spawn(async move { publisher.abandoned().await });
    tokio::task::yield_now().await;
    let (_b, _publisher) = stage.open("/b");
    driver.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_never_live_does_not_linger() {
    let stage = Stage::new();
    let (subscription, publisher) = stage.open("/a");
    publisher.failed();
    assert!(timeout(10 * LINGER, publisher.abandoned()).await.is_err(), "a client is on the stream");
    drop(subscription);
    assert!(is_over(&publisher).await);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_remembered_gives_way_too() {
    let memory = Duration::from_secs(120);
    let stage = full(1);
    let (subscription, publisher) = stage.open("/a");
    let closing = tokio::spawn(publisher.close(End::NoContent, memory));
    tokio::task::yield_now().await;
    drop(subscription);
    assert_eq!(stage.join("/a").unwrap_err(), JoinError::Ended(End::NoContent));
    let (_b, _publisher) = stage.open("/b");
    sleep(Duration::from_millis(1)).await;
    assert!(closing.is_finished(), "nothing waits for what is not remembered");
    assert_eq!((stage.hub.len(), stage.counted("streams")), (1, 1));
}

fn bounded(most: usize) -> Stage {
    let mut stage = Stage::new();
    stage.hub = Hub::bounded(Arc::clone(&stage.opened) as Arc<dyn Open>, most);
    stage
}

/// What an event of [`feed`] costs at least.
fn cost() -> usize {
    cost_of(&Frame::of_text(&vec![b'x'; DATA]))
}

fn feed(publisher: &Publisher, times: usize) {
    for _ in 0..times {
        append(publisher, &["x".repeat(DATA).as_str()]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_streams_hold_is_counted_with_their_entries_and_requests() {
    let stage = bounded(usize::MAX);
    let (subscription, publisher) = stage.open("/a");
    let empty = stage.hub.held_bytes();
    feed(&publisher, 10);
    let each = (stage.hub.held_bytes() - empty) / 10;
    assert!((cost()..cost() + 300).contains(&each), "{each}");
    let long = format!("/{}", "x".repeat(50_000));
    let before = stage.hub.held_bytes();
    let other = stage.join(&long).unwrap();
    assert!(stage.hub.held_bytes() - before > 50_000, "a long target is kept, and counts");
    drop((subscription, publisher, other));
    stage.opened.0.lock().clear();
    assert_eq!(stage.hub.held_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bytes_the_longest_empty_logs_give_way_whatever_their_route() {
    const MOST: usize = 125_000;
    let stage = bounded(MOST);
    let mut fed = Vec::new();
    let (_reader, live_one) = stage.open("/live");
    for (n, route) in [RouteId(3), RouteId(2), ROUTE].into_iter().enumerate() {
        let subscription = stage.hub.join(request(route, &format!("/{n}")), &stage.settings, None).unwrap();
        let publisher = stage.publisher();
        live(&publisher);
        feed(&publisher, 20);
        drop(subscription);
        fed.push(publisher);
    }
    feed(&live_one, 20);
    let over = [is_over(&fed[0]).await, is_over(&fed[1]).await, is_over(&fed[2]).await];
    assert_eq!(over, [true, false, false]);
    assert!(stage.hub.held_bytes() <= MOST, "freed at once, though its publisher lives: {}", stage.hub.held_bytes());
    feed(&live_one, 20);
    let over = [is_over(&fed[0]).await, is_over(&fed[1]).await, is_over(&fed[2]).await];
    assert_eq!(over, [true, true, false]);
    assert_eq!(stage.counted("streams_evicted"), 2);
}

#[tokio::test(start_paused = true)]
async fn when_no_stream_is_empty_the_one_that_grows_keeps_its_part() {
    const MOST: usize = 1_000_000;
    let stage = bounded(MOST);
    let streams: Vec<_> = (0..4).map(|n| stage.open(&format!("/{n}"))).collect();
    // The first stream fills the whole budget before the others need a part of it.
    feed(&streams[0].1, 700);
    for _ in 0..300 {
        for (_, publisher) in &streams {
            feed(publisher, 1);
        }
    }
    // Frames kept for delivery are within the bound of one read per stream, and each log is within its part.
    let delivery = 4 * (600 << 10);
    assert!(stage.hub.held_bytes() <= MOST + delivery, "{}", stage.hub.held_bytes());
    let mut reader = stage.resume("/1", Some("unknown")).unwrap();
    let held = drain(&mut reader).0.split(' ').count();
    let part = MOST / 4 / cost();
    assert!((part / 2..=part + 2).contains(&held), "{held} of {part}");
}

#[tokio::test(start_paused = true)]
async fn the_newest_event_stays_however_little_there_is() {
    let stage = bounded(1);
    let (mut reader, publisher) = stage.open("/a");
    feed(&publisher, 3);
    assert_eq!(drain(&mut reader).0.split(' ').count(), 3, "a client on the stream gets all events");
    assert_eq!(drain(&mut stage.resume("/a", Some("unknown")).unwrap()).0.split(' ').count(), 2, "a gap and one event");
    advance(Duration::from_secs(1)).await;
}

/// A header value and an id of a client are slices of the buffer that holds the client's whole head.
#[tokio::test(start_paused = true)]
async fn a_stream_keeps_nothing_of_the_buffers_that_heads_were_read_into() {
    let stage = Stage::new();
    let buffer = Bytes::from(vec![b'x'; 900 << 10]);
    let options = ShareOptions {
        headers: vec![http::header::ACCEPT_LANGUAGE],
        credential_headers: vec![http::header::AUTHORIZATION],
        ..ShareOptions::default()
    };
    let part = || http::HeaderValue::from_maybe_shared(buffer.slice(10..20)).unwrap();
    let headers = HeaderMap::from_iter(
        [http::header::ACCEPT_LANGUAGE, http::header::AUTHORIZATION, http::header::COOKIE].map(|name| (name, part())),
    );
    let asked = StreamRequest::new(ROUTE, &options, "/a", None, &headers);
    assert_eq!(asked.headers().len(), 3);
    let subscription = stage.hub.join(asked, &stage.settings, Some(&buffer.slice(0..8))).unwrap();
    let (opening, publisher) = stage.opened.0.lock().pop().unwrap();
    assert_eq!(opening.last_event_id, None);
    let answered = HeaderMap::from_iter([(http::header::LINK, part())]);
    assert!(publisher.connected(&answered, Sharing::Shared));
    assert!(!buffer.is_unique(), "the heads themselves are parts of it");
    drop((headers, answered));
    assert!(buffer.is_unique(), "the stream holds a part of it");
    drop((subscription, opening, publisher));
}
