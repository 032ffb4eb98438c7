//! Streams that go to another process while they are open.

use super::*;
use crate::hub::{MovingStream, Restored};
use tokio::time::Instant;

fn through(moving: &MovingStream) -> MovingStream {
    assert_eq!(format!("{moving:?}"), "MovingStream { .. }", "no credential is shown");
    let read: MovingStream = rmp_serde::from_slice(&rmp_serde::to_vec(moving).unwrap()).unwrap();
    assert!(read == *moving);
    read
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_elsewhere_with_its_clients_and_who_is_left_is_asked_back() {
    let stage = Stage::new();
    let (mut client, publisher) = stage.open("/a");
    let mut head = HeaderMap::new();
    head.insert("x-of-the-origin", "7".parse().unwrap());
    assert!(publisher.connected(&head, Sharing::Shared));
    publisher.append(&[with_id("a", "0"), with_id("b", "1")], &mut Continuation::fresh(false));
    let mut frames = Vec::new();
    assert!(matches!(client.read(1, &mut frames), Reading::To(_)));
    let left = stage.join("/a").unwrap();

    let [(number, key)] = &stage.hub.movable()[..] else { panic!("one stream can move") };
    assert_eq!(key, client.key());
    assert!(stage.hub.freeze(*number));
    assert!(publisher.room().now_or_never().is_none(), "nothing more is read");
    let moving = through(&stage.hub.taken_down(*number).unwrap());

    let other = Stage::new();
    let adopted = other.hub.adopt(ROUTE, &moving, &other.settings, Instant::now()).unwrap();
    assert_eq!(other.hub.adopt(ROUTE, &moving, &other.settings, Instant::now()), None, "it is there already");
    let (opening, there) = other.opened.0.lock().pop().unwrap();
    assert_eq!(opening.request.path_and_query().as_ref(), "/a");
    let newest_id = Some(Bytes::from_static(b"b"));
    assert_eq!(opening.restored, Some(Restored { newest_id, is_followed: false, is_open: true }));
    let mut moved = other.hub.again(adopted, client.cursor(), Default::default(), Default::default()).unwrap();
    assert_eq!(drain(&mut moved).0, "1");
    append(&there, &["2"]);
    assert_eq!(drain(&mut moved).0, "2");
    let late = other.resume("/a", Some("a")).unwrap();
    assert_eq!((other.opened(), late.lag()), (0, 2), "new clients join it");

    drop(client);
    stage.hub.moved(*number);
    assert!(left.is_over());
    assert!(stage.hub.movable().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_taken_goes_on_as_before() {
    let stage = Stage::new();
    let (mut client, publisher) = stage.open("/a");
    live(&publisher);
    let number = stage.hub.movable()[0].0;
    assert!(stage.hub.freeze(number));
    let waiting = tokio::spawn(async move {
        publisher.room().await;
        publisher
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    stage.hub.thaw(number);
    let publisher = waiting.await.unwrap();
    append(&publisher, &["0"]);
    assert_eq!(drain(&mut client), ("0".to_owned(), Reading::CaughtUp));
}

/// What a read brings that began before the stream was frozen.
#[tokio::test(start_paused = true)]
async fn what_comes_to_a_frozen_stream_is_neither_in_the_log_that_moves_nor_shown_nor_lost() {
    let stage = Stage::new();
    let (mut client, publisher) = stage.open("/a");
    live(&publisher);
    append(&publisher, &["0"]);
    assert_eq!(drain(&mut client).0, "0");
    let number = stage.hub.movable()[0].0;
    assert!(stage.hub.freeze(number));
    let before = stage.hub.taken_down(number).unwrap();
    let mut continuation = Continuation::fresh(false);
    assert_eq!(publisher.append(&[event("1")], &mut continuation), 1);
    publisher.mark(Some(7));
    assert_eq!(publisher.append(&[event("2")], &mut continuation), 1);
    assert_eq!(drain(&mut client), (String::new(), Reading::CaughtUp));
    assert!(stage.hub.taken_down(number).unwrap() == before);
    assert!(stage.hub.freeze(number), "again");
    let gaps = || publisher.counters().gaps.total();
    assert_eq!(gaps(), 0);
    stage.hub.thaw(number);
    let told = drain(&mut client).0;
    assert!(told.starts_with("1") && told.contains("\"missed\":7") && told.ends_with("2"), "{told}");
    assert_eq!(gaps(), 1);

    // Another process has it: its clients are never shown what came.
    assert!(stage.hub.freeze(number));
    append(&publisher, &["3"]);
    stage.hub.moved(number);
    assert_eq!(publisher.append(&[event("4")], &mut continuation), 0);
    assert_eq!(drain(&mut client), (String::new(), Reading::Ended(End::Dismissed)));
}

#[tokio::test(start_paused = true)]
async fn what_only_one_client_may_have_and_what_had_no_response_does_not_move() {
    let stage = Stage::new();
    let (_undecided, _publisher) = stage.open("/undecided");
    let (_own, own) = stage.open("/own");
    assert!(own.connected(&HeaderMap::new(), Sharing::Unshareable { sets_cookie: false }));
    let (_over, over) = stage.open("/over");
    live(&over);
    drop(over);
    assert!(stage.hub.movable().is_empty());
    assert!(!stage.hub.freeze(2));
}
