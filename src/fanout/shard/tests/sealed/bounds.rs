//! What clients over TLS cost: work in a turn.

use super::*;

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
