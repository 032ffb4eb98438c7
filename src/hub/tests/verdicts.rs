//! The answer to an arriving client, phase by phase.

use super::*;
use tokio::time::{Instant, sleep};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(3));

/// The verdict as a word, and the seconds after which it came.
async fn verdict(subscription: &mut Subscription, patience: Option<Duration>) -> (String, u64) {
    let asked = Instant::now();
    let verdict = match subscription.verdict(patience).await {
        Verdict::Live(_) => "live".to_owned(),
        Verdict::Own(_) => "own".to_owned(),
        Verdict::Held => "held".to_owned(),
        Verdict::Ended(end) => end.to_string(),
    };
    (verdict, asked.elapsed().as_secs())
}

fn expect(verdict: &str, secs: u64) -> (String, u64) {
    (verdict.to_owned(), secs)
}

#[tokio::test(start_paused = true)]
async fn a_silent_origin_is_waited_for_and_then_held() {
    let stage = Stage::new();
    let (mut subscription, publisher) = stage.open("/a");
    assert_eq!(verdict(&mut subscription, PATIENCE).await, expect("held", 3));
    append(&publisher, &["0"]);
    assert_eq!(verdict(&mut subscription, PATIENCE).await, expect("held", 3), "an event without a head is none");
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_or_failure_of_the_origin_is_the_verdict() {
    type Act = fn(Publisher) -> Option<Publisher>;
    let acts: [(&str, Act); 5] = [
        ("live", |publisher| {
            live(&publisher);
            Some(publisher)
        }),
        ("held", |publisher| {
            publisher.failed();
            Some(publisher)
        }),
        ("publisher_gone", |_| None),
        ("no_content", |publisher| {
            drop(tokio::spawn(publisher.close(End::NoContent, Duration::from_secs(1))));
            None
        }),
        ("origin_failed", |publisher| {
            drop(tokio::spawn(publisher.close(End::Failed(lost()), Duration::ZERO)));
            None
        }),
    ];
    for patience in [PATIENCE, None] {
        for (word, act) in acts {
            let stage = Stage::new();
            let (mut subscription, publisher) = stage.open("/a");
            let later = tokio::spawn(async move {
                sleep(Duration::from_secs(2)).await;
                act(publisher)
            });
            assert_eq!(verdict(&mut subscription, patience).await, expect(word, 2));
            drop(later);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_patience_limits_the_first_attempt_is_waited_for() {
    let stage = Stage::new();
    let (mut subscription, publisher) = stage.open("/a");
    let later = tokio::spawn(async move {
        sleep(Duration::from_secs(29)).await;
        live(&publisher);
        publisher
    });
    assert_eq!(verdict(&mut subscription, None).await, expect("live", 29));
    drop(later);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_later_is_answered_at_once() {
    let stage = Stage::new();
    let (_first, publisher) = stage.open("/a");
    publisher.failed();
    assert_eq!(verdict(&mut stage.join("/a").unwrap(), PATIENCE).await, expect("held", 0), "waiting");
    publisher.connecting();
    assert_eq!(verdict(&mut stage.join("/a").unwrap(), PATIENCE).await, expect("held", 0), "trying again");
    live(&publisher);
    assert_eq!(verdict(&mut stage.join("/a").unwrap(), PATIENCE).await, expect("live", 0), "live");
    publisher.failed();
    assert_eq!(verdict(&mut stage.join("/a").unwrap(), PATIENCE).await, expect("live", 0), "lost, with a head");
    publisher.connecting();
    assert_eq!(verdict(&mut stage.join("/a").unwrap(), PATIENCE).await, expect("live", 0), "connecting, with a head");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_begins_is_not_a_failure() {
    let stage = Stage::new();
    let (mut subscription, publisher) = stage.open("/a");
    publisher.connecting();
    assert_eq!(verdict(&mut subscription, PATIENCE).await, expect("held", 3), "by patience, not at once");
}

#[tokio::test(start_paused = true)]
async fn a_live_client_is_shown_the_newest_head() {
    let stage = Stage::new();
    let (mut subscription, publisher) = stage.open("/a");
    for n in ["1", "2"] {
        let head = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static(n))]);
        assert!(publisher.connected(&head, Sharing::Shared));
        let Verdict::Live(shown) = subscription.verdict(PATIENCE).await else { panic!("live") };
        assert_eq!(*shown, head);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_live_and_is_over_gives_what_it_has() {
    let stage = Stage::new();
    let (mut subscription, publisher) = stage.open("/a");
    live(&publisher);
    append(&publisher, &["0", "1"]);
    publisher.close(End::OriginClosed, Duration::ZERO).await;
    assert_eq!(verdict(&mut subscription, PATIENCE).await, expect("live", 0));
    assert_eq!(drain(&mut subscription), ("0 1".to_owned(), Reading::Ended(End::OriginClosed)));
    assert_eq!(drain(&mut subscription).1, Reading::Ended(End::OriginClosed), "and again");
}
