//! The origin is read no faster than the fastest subscriber takes.

use super::*;
use tokio::time::Instant;

/// An event of 40 KiB: two of them are more than the log may be ahead.
fn heavy() -> Event {
    event(&"x".repeat(40 << 10))
}

async fn waited(publisher: &Publisher) -> Duration {
    let begun = Instant::now();
    publisher.room().await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_publisher_waits_for_the_fastest_and_for_nobody_else() {
    let stage = Stage::new();
    let (mut fast, publisher) = stage.open("/a");
    let slow = stage.join("/a").unwrap();
    let send = || publisher.append(&[heavy()], &mut Continuation::fresh(false));
    for _ in 0..5 {
        send();
        assert_eq!(waited(&publisher).await, Duration::ZERO, "one event ahead");
        send();
        let mut room = Box::pin(publisher.room());
        assert!((&mut room).now_or_never().is_none(), "two are too many");
        drain(&mut fast);
        assert!(room.now_or_never().is_some());
    }
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_small_log_is_no_reason_to_run_ahead() {
    let stage = Stage::with(events(1));
    let (mut client, publisher) = stage.open("/a");
    publisher.append(&[heavy(), heavy()], &mut Continuation::fresh(false));
    let mut room = Box::pin(publisher.room());
    assert!((&mut room).now_or_never().is_none(), "what the log dropped is still to be delivered");
    drain(&mut client);
    assert!(room.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_for_a_second_is_not_waited_for_until_something_is_taken() {
    let stage = Stage::new();
    let (mut client, publisher) = stage.open("/a");
    let send = || publisher.append(&[heavy(), heavy()], &mut Continuation::fresh(false));
    send();
    assert_eq!(waited(&publisher).await, Duration::from_secs(1));
    send();
    assert_eq!(waited(&publisher).await, Duration::ZERO, "it does not read");
    drain(&mut client);
    send();
    assert_eq!(waited(&publisher).await, Duration::from_secs(1), "it read again");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_subscribed_nobody_is_waited_for() {
    let stage = Stage::new();
    let (client, publisher) = stage.open("/a");
    drop(client);
    publisher.append(&[heavy(), heavy(), heavy()], &mut Continuation::fresh(false));
    assert_eq!(waited(&publisher).await, Duration::ZERO);
}
