//! Another policy for streams that are open.

use super::*;
use std::num::NonZeroUsize;
use tokio::time::sleep;

fn keeping(events: usize) -> ReplayOptions {
    ReplayOptions { events: NonZeroUsize::new(events), age: None, ..ReplayOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn a_log_is_within_its_new_bounds_at_once_and_nobody_loses_its_place() {
    let mut stage = Stage::with(keeping(100));
    let (mut client, publisher) = stage.open("/a");
    live(&publisher);
    append(&publisher, &["0", "1", "2", "3"]);
    assert_eq!(drain(&mut client).0, "0 1 2 3");
    let before = stage.hub.held_bytes();
    stage.settings.replay = Arc::new(keeping(1));
    stage.hub.renew(ROUTE, &stage.settings);
    assert!(stage.hub.held_bytes() < before);
    stage.hub.renew(RouteId(7), &StreamSettings { replay: Arc::new(keeping(50)), ..stage.settings.clone() });
    append(&publisher, &["4", "5"]);
    assert_eq!(drain(&mut client).0, "4 5", "it keeps up, so it gets all that comes");
}

#[tokio::test(start_paused = true)]
async fn a_stream_lingers_as_long_as_the_policy_says_now() {
    let mut stage = Stage::new();
    let (client, publisher) = stage.open("/a");
    live(&publisher);
    drop(tokio::spawn(async move {
        publisher.abandoned().await;
        publisher.close(End::Idle, Duration::ZERO).await;
    }));
    drop(client);
    sleep(LINGER / 2).await;
    assert_eq!(stage.hub.len(), 1);
    stage.settings.linger = LINGER / 4;
    stage.hub.renew(ROUTE, &stage.settings);
    sleep(Duration::from_millis(2)).await;
    assert_eq!(stage.hub.len(), 0, "it has been empty for longer than that");
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_route_that_is_gone_close_with_their_last_clients() {
    let stage = Stage::new();
    let attend = |publisher: Publisher| {
        live(&publisher);
        drop(tokio::spawn(async move {
            publisher.abandoned().await;
            publisher.close(End::Idle, Duration::ZERO).await;
        }));
    };
    let (empty, publisher) = stage.open("/empty");
    attend(publisher);
    let (client, publisher) = stage.open("/a");
    attend(publisher);
    drop(empty);
    sleep(Duration::from_millis(2)).await;
    stage.hub.retire(ROUTE);
    sleep(Duration::from_millis(2)).await;
    assert_eq!(stage.hub.len(), 1, "a client is on the other");
    drop(client);
    sleep(Duration::from_millis(2)).await;
    assert_eq!(stage.hub.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_age_drops_what_is_older_and_a_longer_one_keeps_it() {
    let aged = |secs: u64| ReplayOptions { age: Some(Duration::from_secs(secs)), ..ReplayOptions::default() };
    for (secs, held) in [(5, "2"), (20, "1 2"), (100, "0 1 2"), (1_000_000, "0 1 2")] {
        let mut stage = Stage::with(aged(3600));
        let (_client, publisher) = stage.open("/a");
        live(&publisher);
        append(&publisher, &["0"]);
        sleep(Duration::from_secs(20)).await;
        append(&publisher, &["1"]);
        sleep(Duration::from_secs(10)).await;
        append(&publisher, &["2"]);
        stage.settings.replay = Arc::new(ReplayOptions { start: crate::replay::Start::All, ..aged(secs) });
        stage.hub.renew(ROUTE, &stage.settings);
        let mut late = stage.join("/a").unwrap();
        assert_eq!(drain(&mut late).0, held, "{secs}");
    }
}
