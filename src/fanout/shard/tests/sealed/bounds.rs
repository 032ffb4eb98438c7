//! What clients over TLS cost: memory beside the logs, and work in a turn.

use super::*;

/// What the channels of all clients keep.
fn kept(stage: &Stage) -> usize {
    stage.shard.members.clients().iter().filter_map(|(_, client)| Some(client.sink.link()?.channel()?.kept())).sum()
}

#[test]
fn the_rest_of_a_record_counts_until_it_is_sent() {
    with_each_sender(Stage::narrow, |mut stage| {
        let (_first, publisher) = stage.opened("/a");
        let mut clients: Vec<_> =
            (0..20).map(|n| stage.sealed_with(if n < 10 { "/a" } else { "/b" }, hold_little)).collect();
        stage.settle();
        let other = stage.publisher();
        for publisher in [&publisher, &other] {
            publish(publisher, &[&"x".repeat(20_000)]);
        }
        stage.settle();
        assert!(kept(&stage) > 10_000, "{}", kept(&stage));
        assert_eq!(stage.hub.pinned_bytes(), kept(&stage));
        // Those of one stream are drained in the middle of a record.
        end(other, End::OriginClosed);
        stage.settle();
        assert_eq!(stage.hub.pinned_bytes(), kept(&stage));
        for _ in 0..100 {
            clients.iter_mut().for_each(|client| _ = client.read());
            stage.settle();
        }
        assert_eq!((stage.hub.pinned_bytes(), kept(&stage)), (0, 0));
        drop(clients);
    });
}

#[test]
fn slow_clients_in_the_middle_of_records_keep_no_more_than_they_may_together() {
    const CLIENTS: usize = 1000;
    let mut stage = Stage::narrow();
    let (_first, publisher) = stage.opened("/a");
    let _crowd: Vec<_> = (0..CLIENTS).map(|_| stage.sealed_with("/a", hold_little)).collect();
    stage.settle();
    publish(&publisher, &[&"x".repeat(20_000)]);
    stage.settle();
    let before = stage.hub.pinned_bytes();
    assert!(before > MIB, "{before}");
    assert_eq!(stage.departed(), [], "none of them is slow yet");
    stage.later(SLOW);
    stage.later(SLOW);
    let departed = stage.departed();
    assert!((1..CLIENTS / 2).contains(&departed.len()), "{}", departed.len());
    assert!(departed.iter().all(|why| *why == Departure::Lagged));
    let after = stage.hub.pinned_bytes();
    assert!((MIB - 8192..=MIB).contains(&after), "no more depart than must: {after}");
}

#[test]
fn half_a_record_counts_until_it_is_whole() {
    let mut stage = Stage::narrow();
    let (_first, publisher) = stage.opened("/a");
    let mut client = stage.sealed("/a");
    let wire = said(&mut client.tls, &[b'x'; 16_000]);
    let (half, rest) = wire.split_at(9000);
    client.socket.write_all(half).unwrap();
    stage.settle();
    assert!((9000..=wire.len()).contains(&stage.hub.pinned_bytes()), "{}", stage.hub.pinned_bytes());
    client.socket.write_all(rest).unwrap();
    stage.settle();
    assert_eq!(stage.hub.pinned_bytes(), 0);
    publish(&publisher, &["1"]);
    stage.settle();
    assert_eq!(client.data(), "1");
}

#[test]
fn clients_that_send_half_a_record_keep_no_more_than_they_may_together() {
    const CLIENTS: usize = 100;
    let mut stage = Stage::narrow();
    let (mut plain, publisher) = stage.opened("/a");
    let mut crowd: Vec<_> = (0..CLIENTS).map(|_| stage.sealed("/a")).collect();
    for client in &mut crowd {
        let wire = said(&mut client.tls, &[b'x'; 16_000]);
        client.socket.write_all(&wire[..wire.len() - 1]).unwrap();
        stage.settle();
        assert!(stage.hub.pinned_bytes() <= MIB);
    }
    let departed = stage.departed();
    assert!((CLIENTS / 4..CLIENTS / 2).contains(&departed.len()), "{}", departed.len());
    assert!(departed.iter().all(|why| *why == Departure::Left));
    publish(&publisher, &["1"]);
    stage.settle();
    assert_eq!(plain.data(), "1");
    drop(crowd);
    stage.settle();
    assert_eq!(stage.hub.pinned_bytes(), 0);
}

/// Sealing is work, too.
#[test]
fn a_turn_reaches_fewer_clients_over_tls_than_plain_ones() {
    const CROWD: usize = 100;
    let mut stage = Stage::new();
    let event = "x".repeat(30_000);
    let (first, publisher) = stage.opened("/plain");
    let mut plain: Vec<_> = (1..CROWD).map(|_| stage.client("/plain")).chain([first]).collect();
    stage.settle();
    plain.iter_mut().for_each(|client| drop(client.take()));
    publish(&publisher, &[&event]);
    stage.turn();
    let of_plain = plain.iter_mut().filter_map(|client| (!client.take().is_empty()).then_some(())).count();
    stage.settle();
    let mut sealed: Vec<_> = (0..CROWD).map(|_| stage.sealed("/sealed")).collect();
    let publisher = stage.publisher();
    publish(&publisher, &[&event]);
    stage.turn();
    let of_sealed = sealed.iter_mut().filter_map(|client| (!client.take().is_empty()).then_some(())).count();
    assert!((of_plain / 3..of_plain * 2 / 3).contains(&of_sealed), "{of_sealed} and {of_plain}");
}
