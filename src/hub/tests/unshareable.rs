//! A response for one client alone goes to no other client.

use super::*;
use crate::hub::{Detached, Feed, Reading, Watcher};
use http::HeaderValue;
use http::header::SET_COOKIE;
use tokio::time::{Instant, advance, timeout};

const PRIVATE: Sharing = Sharing::Unshareable { sets_cookie: false };
const COOKIE: Sharing = Sharing::Unshareable { sets_cookie: true };

fn cookie_head() -> HeaderMap {
    HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("session=1"))])
}

async fn verdict(subscription: &mut Subscription) -> Verdict {
    subscription.verdict(Some(Duration::ZERO)).await
}

fn is_turned_away(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ended(End::Unshareable))
}

#[tokio::test(start_paused = true)]
async fn of_a_crowd_that_waits_only_the_opener_is_given_anything() {
    let stage = Stage::with(ReplayOptions { start: crate::replay::Start::All, ..ReplayOptions::default() });
    let (mut opener, publisher) = stage.open("/me");
    let mut crowd: Vec<_> = (0..999).map(|_| stage.join("/me").unwrap()).collect();
    assert!(publisher.connected(&cookie_head(), COOKIE));
    append(&publisher, &["secret"]);
    publisher.set_retry(77);
    let Verdict::Own(head) = verdict(&mut opener).await else { panic!("it is the opener's") };
    assert_eq!(*head, cookie_head());
    assert_eq!(drain(&mut opener).0, "secret");
    for subscription in &mut crowd {
        assert!(is_turned_away(&verdict(subscription).await));
        assert_eq!(drain(subscription), (String::new(), Reading::Ended(End::Unshareable)));
        assert!(subscription.is_over());
    }
    drop(crowd);
    append(&publisher, &["more"]);
    assert_eq!(drain(&mut opener), ("more".to_owned(), Reading::CaughtUp));
    assert_eq!((stage.opened(), stage.counted("unshareable")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn each_other_client_gets_a_stream_of_its_own_and_so_do_those_that_come_soon_after() {
    let stage = Stage::new();
    let (_opener, publisher) = stage.open("/me");
    let waiting = stage.join("/me").unwrap();
    assert!(publisher.connected(&cookie_head(), COOKIE));
    drop(waiting);
    let mut own = stage.hub.join_alone(request(ROUTE, "/me"), &stage.settings, None).unwrap();
    let own_publisher = stage.publisher();
    let mut next = stage.join("/me").unwrap();
    let next_publisher = stage.publisher();
    for publisher in [&own_publisher, &next_publisher] {
        assert!(publisher.connected(&cookie_head(), COOKIE));
    }
    for (publisher, text) in [(&publisher, "a"), (&own_publisher, "b"), (&next_publisher, "c")] {
        append(publisher, &[text]);
    }
    assert_eq!((drain(&mut own).0, drain(&mut next).0), ("b".to_owned(), "c".to_owned()));
    assert_eq!(stage.hub.len(), 3, "each counts among the streams of the route");
    let other = stage.join("/other").unwrap();
    assert_eq!(stage.opened(), 1);
    assert!(stage.join("/other").is_ok() && stage.opened() == 1, "another key is shared as ever");
    drop(other);
}

/// The stream's first request is for all clients, so it does not carry the opener's id. The request of a stream for
/// the opener alone does.
#[tokio::test(start_paused = true)]
async fn an_opener_alone_on_its_stream_does_not_wait_for_an_answer_to_its_id() {
    let stage = Stage::new();
    let id = Bytes::from_static(b"45");
    let mut opener = stage.resume("/me", Some("45")).unwrap();
    let publisher = stage.publisher();
    assert!(publisher.connected(&cookie_head(), COOKIE));
    let deadline = Instant::now() + LINGER;
    let arrival = opener.arrival(None, deadline).now_or_never();
    assert!(matches!(arrival, Some(Verdict::Own(_))) && opener.is_without_its_id());
    drop(opener);
    let mut own = stage.hub.join_alone(request(ROUTE, "/me"), &stage.settings, Some(&id)).unwrap();
    let (opening, publisher) = stage.opened.0.lock().pop().unwrap();
    assert_eq!(opening.last_event_id, Some(id));
    assert!(publisher.connected(&cookie_head(), COOKIE));
    let arrival = own.arrival(None, deadline).now_or_never();
    assert!(matches!(arrival, Some(Verdict::Own(_))) && !own.is_without_its_id(), "once");
    append(&publisher, &["46"]);
    assert_eq!(drain(&mut own).0, "46");
}

#[tokio::test(start_paused = true)]
async fn an_opener_without_an_id_for_the_origin_keeps_the_stream_that_is_for_it_alone() {
    for id in [None, Some("~0123456789ab-5")] {
        let stage = Stage::new();
        let mut opener = stage.resume("/me", id).unwrap();
        assert!(stage.publisher().connected(&cookie_head(), COOKIE));
        assert!(matches!(opener.arrival(None, Instant::now() + LINGER).await, Verdict::Own(_)));
        assert!(!opener.is_without_its_id(), "{id:?}");
    }
}

fn append_if_open(publisher: &Publisher, data: &str) {
    publisher.append(&[event(data)], &mut Continuation::fresh(false));
}

#[tokio::test(start_paused = true)]
async fn an_opening_says_whether_anybody_else_can_be_on_the_stream() {
    let stage = Stage::new();
    let (_opener, publisher) = stage.open("/me");
    assert!(publisher.connected(&HeaderMap::new(), PRIVATE));
    let _next = stage.resume("/me", Some("7")).unwrap();
    let (opening, _publisher) = stage.opened.0.lock().pop().unwrap();
    assert_eq!(opening.last_event_id.as_deref(), Some(&b"7"[..]));
    advance(Duration::from_secs(60)).await;
    let _later = stage.join("/me").unwrap();
    let (opening, _publisher) = stage.opened.0.lock().pop().unwrap();
    assert_eq!(opening.last_event_id, None, "it is tried again after a while");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_known_to_be_shared_is_joined_though_the_key_was_unshareable() {
    let stage = Stage::new();
    let (_own, own_publisher) = stage.open("/me");
    assert!(own_publisher.connected(&HeaderMap::new(), PRIVATE));
    advance(Duration::from_secs(60)).await;
    let (_shared, shared_publisher) = stage.open("/me");
    assert!(own_publisher.connected(&HeaderMap::new(), PRIVATE));
    let _apart = stage.join("/me").unwrap();
    assert_eq!(stage.opened(), 1, "the one that is open may turn out to be its opener's");
    live(&shared_publisher);
    let _joins = stage.join("/me").unwrap();
    assert_eq!(stage.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unshareable_stream_is_over_if_its_opener_left_before_the_head() {
    let stage = Stage::new();
    let (opener, publisher) = stage.open("/me");
    let mut waiting = stage.join("/me").unwrap();
    drop(opener);
    assert!(!publisher.connected(&cookie_head(), COOKIE));
    append_if_open(&publisher, "secret");
    assert!(is_turned_away(&verdict(&mut waiting).await));
    assert_eq!(drain(&mut waiting), (String::new(), Reading::Ended(End::Unshareable)));
    timeout(Duration::ZERO, publisher.abandoned()).await.expect("the driver is to end");
}

#[tokio::test(start_paused = true)]
async fn a_shared_stream_that_turns_private_at_a_reconnect_is_over_for_all() {
    for sharing in [PRIVATE, COOKIE] {
        let stage = Stage::new();
        let (mut opener, publisher) = stage.open("/me");
        let mut second = stage.join("/me").unwrap();
        live(&publisher);
        append(&publisher, &["shared"]);
        publisher.failed();
        publisher.connecting();
        assert!(!publisher.connected(&cookie_head(), sharing));
        append_if_open(&publisher, "secret");
        publisher.mark(None);
        for subscription in [&mut opener, &mut second] {
            let Verdict::Live(head) = verdict(subscription).await else { panic!("it was live") };
            assert!(head.is_empty(), "the old head");
            assert_eq!(drain(subscription), ("shared".to_owned(), Reading::Ended(End::Unshareable)));
        }
        let _next = stage.join("/me").unwrap();
        let _after = stage.join("/me").unwrap();
        assert_eq!(stage.opened(), 2, "each client has a stream of its own from here on");
    }
}

#[tokio::test(start_paused = true)]
async fn an_own_stream_goes_on_after_a_reconnect_unless_the_origin_takes_its_client_for_a_new_one() {
    for (again, goes_on) in [(Sharing::Shared, true), (PRIVATE, true), (COOKIE, false)] {
        let stage = Stage::new();
        let (mut opener, publisher) = stage.open("/me");
        assert!(publisher.connected(&cookie_head(), COOKIE));
        publisher.failed();
        publisher.connecting();
        assert_eq!(publisher.connected(&HeaderMap::new(), again), goes_on);
        append_if_open(&publisher, "more");
        let expected = if goes_on {
            ("more".to_owned(), Reading::CaughtUp)
        } else {
            (String::new(), Reading::Ended(End::Unshareable))
        };
        assert_eq!(drain(&mut opener), expected, "{again:?}");
        let _other = stage.join("/me").unwrap();
        assert_eq!(stage.opened(), 1, "it is never shared, whatever came after");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_for_one_client_is_over_when_that_client_leaves_though_others_have_not_left_yet() {
    let stage = Stage::new();
    let (opener, publisher) = stage.open("/me");
    let slow_to_leave = stage.join("/me").unwrap();
    assert!(publisher.connected(&HeaderMap::new(), PRIVATE));
    assert!(timeout(10 * LINGER, publisher.abandoned()).await.is_err());
    assert!(is_occupied(&publisher));
    drop(opener);
    timeout(Duration::ZERO, publisher.abandoned()).await.expect("it does not linger");
    drop((slow_to_leave, publisher));
    assert_eq!((stage.hub.len(), stage.counted("streams")), (0, 0));
}

#[derive(Debug)]
struct Nobody;

impl Watcher for Nobody {
    fn changed(&self) {}

    fn asked(&self) {}
}

/// Clients that were answered before the origin's head share a feed. The opener is not one of them.
#[tokio::test(start_paused = true)]
async fn a_feed_of_several_clients_is_never_the_openers_before_the_head() {
    let stage = Stage::new();
    let (opener, publisher) = stage.open("/me");
    let clients = [opener, stage.join("/me").unwrap(), stage.join("/me").unwrap()];
    let [mut opener, mut second, mut third] = clients.map(|subscription| {
        let Detached { seat, cursor, .. } = subscription.detach();
        (Feed::id(&seat), Feed::new(&seat, Arc::new(Nobody)), cursor, seat)
    });
    assert!(opener.0 != second.0 && second.0 == third.0);
    assert!(publisher.connected(&HeaderMap::new(), PRIVATE));
    append(&publisher, &["secret"]);
    let mut frames = Vec::new();
    for (_, feed, cursor, _) in [&mut second, &mut third] {
        assert_eq!(feed.read(*cursor, usize::MAX, &mut frames), Reading::Ended(End::Unshareable));
        assert!(feed.is_over());
    }
    assert!(frames.is_empty());
    assert!(matches!(opener.1.read(opener.2, usize::MAX, &mut frames), Reading::To(_)));
    assert_eq!(data(&frames), "secret");
}

#[tokio::test(start_paused = true)]
async fn once_a_stream_is_everyones_its_opener_is_one_of_them() {
    let stage = Stage::new();
    let (opener, publisher) = stage.open("/a");
    let second = stage.join("/a").unwrap();
    live(&publisher);
    let (opener, second) = (opener.detach(), second.detach());
    assert_eq!(Feed::id(&opener.seat), Feed::id(&second.seat));
}
