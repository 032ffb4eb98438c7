//! Clients whose ids the origin is asked about: who waits, how many ids are asked about at once, and who gets the
//! answers.

use super::*;
use tokio::time::Instant;

/// The ids that the origin is being asked about.
fn running(stage: &Stage) -> Vec<String> {
    let running = stage.opened.1.lock();
    running.iter().map(|backfilling| String::from_utf8(backfilling.id.to_vec()).unwrap()).collect()
}

/// The backfill for an id.
fn backfill_of(stage: &Stage, id: &str) -> Backfilling {
    let mut running = stage.opened.1.lock();
    let at = running.iter().position(|backfilling| backfilling.id == id).expect("the origin is asked about it");
    running.remove(at)
}

fn in_three_secs() -> Instant {
    Instant::now() + Duration::from_secs(3)
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_for_what_its_id_means_and_gets_what_it_missed() {
    let stage = Stage::new();
    let mut client = stage.resume("/a", Some("10")).unwrap();
    let mut live = stage.join("/a").unwrap();
    let publisher = stage.publisher();
    super::live(&publisher);
    let mut backfilling = backfill_of(&stage, "10");
    assert!(!backfilling.push(&[with_id("11", "11"), with_id("12", "12")]));
    assert!(backfilling.silent(Duration::from_secs(1)));
    client.placed(in_three_secs()).await.unwrap();
    publisher.append(&[with_id("13", "13")], &mut Continuation::fresh(false));
    assert_eq!(drain(&mut client).0, "11 12 13");
    assert_eq!(drain(&mut live).0, "13", "a client without an id gets no backfilled events");
    // A client with the same id needs no further backfill, nor does one whose id a backfill brought.
    drop(backfilling);
    for (id, expected) in [("10", "11 12 13"), ("11", "12 13")] {
        let mut again = stage.resume("/a", Some(id)).unwrap();
        again.placed(in_three_secs()).await.unwrap();
        assert_eq!(drain(&mut again).0, expected);
    }
    assert_eq!(running(&stage), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_placed_in_time_is_told_a_gap() {
    let stage = Stage::new();
    let mut client = stage.resume("/a", Some("10")).unwrap();
    let publisher = stage.publisher();
    append(&publisher, &["0"]);
    let begun = Instant::now();
    client.placed(in_three_secs()).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(drain(&mut client).0, r#"{"reason":"unknown","missed":null} 0"#);
}

#[tokio::test(start_paused = true)]
async fn the_origins_answer_to_an_id_is_for_the_clients_with_that_id_alone() {
    let stage = Stage::new();
    let mut client = stage.resume("/a", Some("10")).unwrap();
    let mut other = stage.resume("/a", Some("9")).unwrap();
    backfill_of(&stage, "10").refused(End::NoContent);
    assert_eq!(client.placed(in_three_secs()).await, Err(End::NoContent));
    drop(backfill_of(&stage, "9"));
    assert_eq!(other.placed(in_three_secs()).await, Ok(()));
    assert_eq!(drain(&mut other).0, r#"{"reason":"unknown","missed":null}"#);
}

#[tokio::test(start_paused = true)]
async fn four_ids_are_asked_about_at_once_and_only_those_that_clients_wait_for() {
    let stage = Stage::new();
    let mut clients: Vec<_> = (0..8).map(|n| Some(stage.resume("/a", Some(&n.to_string())).unwrap())).collect();
    let _same = stage.resume("/a", Some("7")).unwrap();
    let _publisher = stage.publisher();
    assert_eq!(running(&stage), ["0", "1", "2", "3"]);
    // Clients leave. A queued id is then not asked about, and a running backfill is given up.
    let given_up = backfill_of(&stage, "2");
    for stranger in [2, 4, 6] {
        clients[stranger] = None;
    }
    given_up.unwanted().await;
    drop(given_up);
    assert_eq!(running(&stage), ["0", "1", "3", "5"]);
    drop(backfill_of(&stage, "0"));
    assert_eq!(running(&stage), ["1", "3", "5", "7"]);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_brings_nothing_gives_its_turn_to_those_that_wait_and_gets_another() {
    let stage = Stage::new();
    let mut clients: Vec<_> = (0..6).map(|n| stage.resume("/a", Some(&n.to_string())).unwrap()).collect();
    let publisher = stage.publisher();
    live(&publisher);
    let second = Duration::from_secs(1);
    let mut busy = backfill_of(&stage, "1");
    assert!(!busy.push(&[with_id("7", "7")]));
    assert!(!busy.gives_way(), "it brought something");
    for (silent, next) in [("0", "4"), ("2", "5"), ("3", "0")] {
        let mut forged = backfill_of(&stage, silent);
        assert!(!forged.silent(second));
        assert!(forged.gives_way());
        drop(forged);
        assert!(running(&stage).contains(&next.to_owned()), "{:?}", running(&stage));
    }
    // The silence of both turns counts.
    let mut caught_up = backfill_of(&stage, "0");
    assert!(caught_up.silent(second));
    drop(caught_up);
    clients[0].placed(in_three_secs()).await.unwrap();
    append(&publisher, &["8"]);
    assert_eq!(drain(&mut clients[0]).0, "8");
    // An id keeps its turn if no other id waits for one.
    drop(busy);
    assert!(!backfill_of(&stage, "4").gives_way(), "{:?}", running(&stage));
}

#[tokio::test(start_paused = true)]
async fn backfilled_events_that_fit_nowhere_are_for_the_clients_with_that_id() {
    let stage = Stage::new();
    let mut stranger = stage.resume("/a", Some("forged")).unwrap();
    let mut client = stage.resume("/a", Some("45")).unwrap();
    let publisher = stage.publisher();
    live(&publisher);
    let second = Duration::from_secs(1);
    let mut forged = backfill_of(&stage, "forged");
    assert!(!forged.push(&[with_id("r", "resumed")]));
    assert!(forged.silent(second));
    let mut honest = backfill_of(&stage, "45");
    assert!(!honest.push(&[with_id("46", "46"), with_id("47", "47")]));
    assert!(honest.silent(second));
    stranger.placed(in_three_secs()).await.unwrap();
    client.placed(in_three_secs()).await.unwrap();
    publisher.append(&[with_id("48", "48")], &mut Continuation::fresh(false));
    assert_eq!(drain(&mut stranger).0, "resumed 48");
    let told = drain(&mut client).0;
    assert!(told.contains("46") && told.contains("47") && told.ends_with("48") && !told.contains("resumed"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_old_stream_and_one_without_ids_ask_for_nothing() {
    let stage = Stage::new();
    let (_client, publisher) = stage.open("/a");
    append(&publisher, &["0"]);
    let mut back = stage.resume("/a", Some("10")).unwrap();
    back.placed(in_three_secs()).await.unwrap();
    assert_eq!(drain(&mut back).0, r#"{"reason":"unknown","missed":null} 0"#, "its events have no ids");
    let (_client, _publisher) = stage.open("/b");
    tokio::time::advance(Duration::from_secs(30)).await;
    let mut late = stage.resume("/b", Some("10")).unwrap();
    late.placed(in_three_secs()).await.unwrap();
    assert_eq!(running(&stage), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_with_many_ids_does_not_use_them_up() {
    let stage = Stage::new();
    for n in 0..3000 {
        drop(stage.resume("/a", Some(&format!("forged {n}"))).unwrap());
    }
    let _publisher = stage.publisher();
    let _client = stage.resume("/a", Some("10")).unwrap();
    // The running backfills are given up.
    let running_now = std::mem::take(&mut *stage.opened.1.lock());
    drop(running_now);
    assert!(running(&stage).contains(&"10".to_owned()), "{:?}", running(&stage));
}

#[tokio::test(start_paused = true)]
async fn the_ids_of_strangers_take_little_and_their_answers_are_forgotten() {
    let stage = Stage::new();
    let (_opener, publisher) = stage.open("/a");
    drop(tokio::spawn(publisher.upkeep()));
    let empty = stage.hub.held_bytes();
    // Made-up ids are as long as an id may be.
    let clients: Vec<_> =
        (0..200).map(|n| stage.resume("/a", Some(&format!("{n}{}", "x".repeat(8000)))).unwrap()).collect();
    while let Some(backfilling) = { stage.opened.1.lock().pop() } {
        drop(backfilling);
    }
    drop(clients);
    live(&publisher);
    append(&publisher, &["0"]);
    let held = stage.hub.held_bytes() - empty;
    assert!((200_000..=300_000).contains(&held), "{held}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(stage.hub.held_bytes() - empty < 1000, "{}", stage.hub.held_bytes() - empty);
}

#[tokio::test(start_paused = true)]
async fn what_other_ids_brought_takes_little() {
    let stage = Stage::new();
    let (_opener, publisher) = stage.open("/a");
    let empty = stage.hub.held_bytes();
    let clients: Vec<_> = (0..20).map(|n| stage.resume("/a", Some(&n.to_string())).unwrap()).collect();
    live(&publisher);
    let text = "x".repeat(50_000);
    let mut settled = 0;
    while let Some(mut backfilling) = { stage.opened.1.lock().pop() } {
        // No two of them share an event, so only the first can be put into the log.
        assert!(!backfilling.push(&[with_id(&format!("own {settled}"), &text)]));
        assert!(backfilling.silent(Duration::from_secs(2)));
        settled += 1;
    }
    assert_eq!(settled, 20);
    let held = stage.hub.held_bytes() - empty;
    assert!((200_000..=400_000).contains(&held), "{held}");
    drop(clients);
}
