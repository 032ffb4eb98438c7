//! What connections of HTTP/2 keep in memory beside the logs.

use super::browser::{Browser, data_of, window};
use super::*;

/// What a connection may be sent before its client reads something.
const ROOM: u32 = 1 << 24;

impl Stage {
    /// Connections that follow a stream, for which the kernel holds little.
    fn crowd(&mut self, connections: usize) -> Vec<Browser> {
        let mut crowd: Vec<_> = (0..connections).map(|_| Browser::open_narrow(self, ROOM)).collect();
        for browser in &mut crowd {
            browser.say(&window(0, ROOM));
            browser.follow(self, "/a", &[1]);
        }
        crowd
    }
}

#[test]
fn what_a_connection_has_begun_to_send_counts_until_it_is_sent() {
    let mut stage = Stage::narrow();
    let mut crowd = stage.crowd(5);
    let publisher = stage.publisher();
    assert_eq!(stage.hub.pinned_bytes(), 0);
    let large = "x".repeat(14_000);
    publish(&publisher, &[&large]);
    stage.settle();
    let kept = stage.hub.pinned_bytes();
    assert!((5 * 4_000..5 * 15_000).contains(&kept), "{kept}");

    // They go on elsewhere.
    let moving = stage.release_all().carriers;
    assert_eq!((moving.len(), stage.hub.pinned_bytes()), (5, 0));
    moving.into_iter().for_each(|moving| stage.takes_carrier(moving));
    assert_eq!(stage.hub.pinned_bytes(), kept);

    let mut texts = vec![String::new(); crowd.len()];
    for _ in 0..20 {
        for (browser, text) in crowd.iter_mut().zip(&mut texts) {
            *text += &browser.text(1).0;
        }
        stage.settle();
    }
    assert_eq!(stage.hub.pinned_bytes(), 0);
    assert!(texts.iter().all(|text| data_of(text) == [&*large]));

    publish(&publisher, &[&large]);
    stage.settle();
    assert!(stage.hub.pinned_bytes() > 0);
    drop(crowd);
    stage.settle();
    assert_eq!(stage.hub.pinned_bytes(), 0);
}

#[test]
fn slow_connections_keep_no_more_than_they_may_together() {
    const CONNECTIONS: usize = 200;
    let mut stage = Stage::narrow();
    let mut reader = Browser::open(&mut stage, ROOM);
    reader.say(&window(0, ROOM));
    reader.follow(&mut stage, "/a", &[1]);
    let _crowd = stage.crowd(CONNECTIONS);
    let publisher = stage.publisher();
    publish(&publisher, &[&"x".repeat(14_000)]);
    stage.settle();
    let before = stage.hub.pinned_bytes();
    assert!(before > MIB, "{before}");
    assert_eq!(stage.departed(), [], "none of them is slow yet");
    assert!(reader.text(1).0.contains("data: x"));

    stage.later(SLOW);
    let departed = stage.departed();
    assert!((1..CONNECTIONS).contains(&departed.len()), "{}", departed.len());
    assert!(departed.iter().all(|why| *why == Departure::Lagged));
    let after = stage.hub.pinned_bytes();
    assert!((MIB - 16_384..=MIB).contains(&after), "no more depart than must: {after}");

    // Those that stay may stay.
    stage.later(SLOW);
    assert_eq!(stage.departed(), []);
    publish(&publisher, &["on"]);
    stage.settle();
    assert!(reader.text(1).0.contains("data: on"));
}
