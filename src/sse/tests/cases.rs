//! The cases of the shared contract: decoded, and then encoded and decoded again.

use super::contract::{Case, Expected, cases};
use super::{cut, events};
use crate::sse::{Event, Frame, Item};

/// Inputs up to this size are cut at every single place.
const SMALL: usize = 2_000;
/// Inputs up to this size are cut at every two places.
const TINY: usize = 64;

/// The events of several connections as a client's API shows them. A client keeps the last event ID from one
/// connection to the next. A decoder cannot, because it knows one response.
fn told(connections: &[Vec<Event>]) -> Vec<Expected> {
    let mut kept = String::new();
    let mut told = Vec::new();
    for events in connections {
        let mut has_id = false;
        let before = kept.clone();
        for event in events {
            has_id |= event.id.is_some();
            kept = if has_id { text(&event.last_event_id) } else { before.clone() };
            if event.is_checkpoint {
                continue;
            }
            let event_type = if event.event_type.is_empty() { "message".to_owned() } else { text(&event.event_type) };
            told.push(Expected { event_type, data: event.data.to_vec(), last_event_id: kept.clone() });
        }
    }
    told
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn decoded(case: &Case) -> Vec<Vec<Event>> {
    case.connections.iter().map(|connection| events(connection.chunks.iter().map(Vec::as_slice))).collect()
}

#[test]
fn every_case_holds_with_its_own_chunks() {
    let cases = cases();
    assert_eq!(cases.len(), 106);
    for case in cases {
        assert!(told(&decoded(&case)) == case.events, "{}", case.name);
        assert!(case.retry.is_empty(), "{}: see to it that it is checked", case.name);
    }
}

#[test]
fn every_case_holds_at_every_split() {
    let mut random = fastrand::Rng::with_seed(0x5EED);
    for case in cases() {
        for connection in &case.connections {
            let whole = connection.chunks.concat();
            let expected = events([&*whole]);
            let check = |places: &[usize]| {
                assert!(events(cut(&whole, places)) == expected, "{} cut at {places:?}", case.name);
            };
            if whole.len() > SMALL {
                for _ in 0..2 {
                    let count = random.usize(1..50);
                    check(&(0..count).map(|_| random.usize(..)).collect::<Vec<_>>());
                }
                continue;
            }
            for first in 0..=whole.len() {
                check(&[first]);
            }
            for size in [1, 2, 3] {
                check(&(0..whole.len()).step_by(size).collect::<Vec<_>>());
            }
            if whole.len() <= TINY {
                for first in 0..whole.len() {
                    (first..whole.len()).for_each(|second| check(&[first, second]));
                }
            }
        }
    }
}

#[test]
fn every_case_survives_being_encoded() {
    for case in cases() {
        let again: Vec<_> = decoded(&case).iter().map(|events| encoded_and_decoded(events)).collect();
        assert!(told(&again) == case.events, "{}", case.name);
    }
}

fn encoded_and_decoded(events: &[Event]) -> Vec<Event> {
    let wire: Vec<_> = events.iter().map(|event| Frame::encode(event.id.as_deref(), event).shared_text()).collect();
    let items = super::items(super::AMPLE, wire.iter().map(|text| &**text));
    assert!(!items.iter().any(|item| matches!(item, Item::Refused { .. })));
    super::events_of(items)
}
