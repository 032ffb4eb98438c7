//! Streams that go on in the next process.

use super::*;
use crate::hub::{Restored, StreamSnapshot};
use tokio::time::{Instant, sleep};

/// How old a snapshot may be.
const MOST: Duration = Duration::from_secs(60);

/// What a hub gives to the next one, through bytes.
fn snapshot(stage: &Stage) -> Vec<(RouteId, StreamSnapshot)> {
    let through = |kept: StreamSnapshot| rmp_serde::from_slice(&rmp_serde::to_vec(&kept).unwrap()).unwrap();
    stage.hub.snapshot().into_iter().map(|(route, kept)| (route, through(kept))).collect()
}

/// The next process, which has the snapshots of `stage`.
fn next(stage: &Stage, replay: ReplayOptions) -> Stage {
    let next = Stage::with(replay);
    for (route, kept) in snapshot(stage) {
        next.hub.restore(route, kept, Instant::now(), Instant::now() + MOST);
    }
    next
}

/// Opens a stream as a client with this id. Returns what the driver is told of an earlier process.
fn opened(stage: &Stage, path: &str, id: &str) -> (Subscription, Publisher, Option<Restored>) {
    let subscription = stage.resume(path, Some(id)).unwrap();
    let (opening, publisher) = stage.opened.0.lock().pop().expect("a stream was opened");
    assert_eq!(opening.last_event_id, None, "no client's id decides for the others");
    (subscription, publisher, opening.restored)
}

#[tokio::test(start_paused = true)]
async fn clients_resume_in_the_next_process_and_the_origin_is_asked_for_what_follows() {
    for (stream, id, given, restored) in [
        (vec![with_id("a", "0"), with_id("b", "1"), with_id("c", "2")], "a", "1 2", Some(("c", false))),
        (vec![with_id("a", "0"), Event { last_event_id: "a".into(), ..event("1") }], "a", "1", Some(("a", true))),
        (vec![with_id("a", "0"), with_id("b", "1")], "b", "", Some(("b", false))),
        (vec![event("0"), event("1")], "x", r#"{"reason":"unknown","missed":null} 0 1"#, None),
    ] {
        let stage = Stage::new();
        let (_first, publisher) = stage.open("/a");
        live(&publisher);
        publisher.append(&stream, &mut Continuation::fresh(false));
        let stage = next(&stage, ReplayOptions::default());
        let (mut client, publisher, told) = opened(&stage, "/a", id);
        let (newest_id, is_followed) = restored.unzip();
        let newest_id = newest_id.map(|id| Bytes::from_static(id.as_bytes()));
        assert_eq!(
            told,
            Some(Restored { newest_id, is_followed: is_followed.unwrap_or_default(), is_open: false }),
            "{id}"
        );
        assert_eq!(drain(&mut client).0, given, "{id}");
        live(&publisher);
        append(&publisher, &["live"]);
        assert_eq!(drain(&mut client).0, "live");
    }
}

#[tokio::test(start_paused = true)]
async fn ids_that_were_minted_go_on_where_they_were() {
    let stage = Stage::new();
    let (mut client, publisher) = stage.open("/a");
    live(&publisher);
    append(&publisher, &["0", "1"]);
    let mut frames = Vec::new();
    client.read(usize::MAX, &mut frames);
    let ids: Vec<String> =
        frames.iter().map(|frame| String::from_utf8(frame.id().unwrap().to_vec()).unwrap()).collect();
    let stage = next(&stage, ReplayOptions::default());
    let (mut client, publisher, told) = opened(&stage, "/a", &ids[0]);
    assert_eq!(
        told,
        Some(Restored { newest_id: None, is_followed: false, is_open: false }),
        "what came meanwhile may be lost"
    );
    assert_eq!(drain(&mut client).0, "1");
    live(&publisher);
    append(&publisher, &["2"]);
    let mut late = stage.resume("/a", Some(&ids[1])).unwrap();
    assert_eq!(drain(&mut late).0, "2");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_for_everyone_or_cannot_resume_is_not_kept() {
    let stage = Stage::with(events(2));
    let (_undecided, undecided) = stage.open("/undecided");
    append(&undecided, &["0"]);
    let (_own, own) = stage.open("/own");
    assert!(own.connected(&HeaderMap::new(), Sharing::Unshareable { sets_cookie: false }));
    append(&own, &["0"]);
    let (_over, over) = stage.open("/over");
    live(&over);
    append(&over, &["0"]);
    drop(over);
    let (_silent, silent) = stage.open("/silent");
    live(&silent);
    assert!(snapshot(&stage).is_empty());

    let stage = Stage::with(ReplayOptions { events: None, ..ReplayOptions::default() });
    let (_live, publisher) = stage.open("/live");
    live(&publisher);
    append(&publisher, &["0"]);
    assert!(snapshot(&stage).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_waits_for_its_time_and_no_longer_and_gives_its_memory_back() {
    let stage = Stage::new();
    let kept: Vec<_> = ["/a", "/b", "/c"].into_iter().map(|path| stage.open(path)).collect();
    for (_, publisher) in &kept {
        live(publisher);
        publisher.append(&[with_id("a", "0"), with_id("b", "1")], &mut Continuation::fresh(false));
    }
    let stage = next(&stage, ReplayOptions::default());
    assert!(stage.hub.held_bytes() > 0);
    let (_client, _publisher, told) = opened(&stage, "/a", "a");
    assert!(told.is_some());
    let (_again, _publisher, told) = opened(&stage, "/d", "a");
    assert_eq!(told, None);
    sleep(MOST - Duration::from_millis(1)).await;
    assert_eq!(stage.hub.forget_restored(), 0);
    sleep(Duration::from_millis(1)).await;
    let (_late, _publisher, told) = opened(&stage, "/b", "a");
    assert_eq!(told, None, "it is too old");
    let held = stage.hub.held_bytes();
    assert_eq!(stage.hub.forget_restored(), 1);
    assert!(stage.hub.held_bytes() < held);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asked_for_and_what_the_origin_did_not_answer_for_goes_on_to_a_further_process() {
    let stage = Stage::new();
    let kept: Vec<_> = ["/a", "/b"].into_iter().map(|path| stage.open(path)).collect();
    for (_, publisher) in &kept {
        live(publisher);
        publisher.append(&[with_id("a", "0"), with_id("b", "1")], &mut Continuation::fresh(false));
    }
    let second = next(&stage, ReplayOptions::default());
    sleep(MOST / 2).await;
    let (client, publisher, _) = opened(&second, "/a", "a");
    second.hub.keep_streams();
    drop(client);
    let abandoned = tokio::spawn(publisher.abandoned());
    sleep(MOST / 4).await;
    assert!(!abandoned.is_finished(), "the origin of the earlier process has answered");
    let third = next(&second, ReplayOptions::default());
    for path in ["/a", "/b"] {
        let (mut client, _publisher, told) = opened(&third, path, "a");
        assert!(told.is_some(), "{path}");
        assert_eq!(drain(&mut client).0, "1", "{path}");
    }
    // The events are as old as they were.
    let fourth = next(&second, ReplayOptions { age: Some(MOST / 2), ..ReplayOptions::default() });
    let (mut client, _publisher, _) = opened(&fourth, "/b", "a");
    assert_eq!(drain(&mut client).0, "1", "the newest stays");
    assert_eq!(snapshot(&fourth).iter().map(|(_, kept)| kept.events()).sum::<usize>(), 1 + 2);
}

#[tokio::test(start_paused = true)]
async fn snapshots_that_nobody_asked_for_give_way_first() {
    let before = Stage::new();
    let (_client, publisher) = before.open("/a");
    live(&publisher);
    append(&publisher, &["x".repeat(10_000).as_str()]);
    let mut stage = Stage::new();
    stage.hub = Hub::bounded(Arc::clone(&stage.opened) as Arc<dyn Open>, 9_000);
    for (route, kept) in snapshot(&before) {
        stage.hub.restore(route, kept, Instant::now(), Instant::now() + MOST);
    }
    let (_other, _publisher) = stage.open("/other");
    let (_client, _publisher, told) = opened(&stage, "/a", "a");
    assert_eq!(told, None);
}

#[tokio::test(start_paused = true)]
async fn streams_stay_for_the_snapshot_when_their_last_clients_leave() {
    let stage = Stage::new();
    let (client, publisher) = stage.open("/a");
    live(&publisher);
    append(&publisher, &["0"]);
    stage.hub.keep_streams();
    drop(client);
    let abandoned = tokio::spawn(publisher.abandoned());
    sleep(LINGER * 2).await;
    assert!(!abandoned.is_finished());
    assert_eq!(snapshot(&stage).iter().map(|(_, kept)| kept.events()).collect::<Vec<_>>(), [1]);
}
