//! One stream with its clients and its last events, and the end of one client.

use super::Api;
use super::behind::bytes_behind;
use super::clients::Shown;
use super::heavy::made;
use super::name::StreamName;
use super::problem::Problem;
use super::query::Query;
use super::shown::{self, Now, secs};
use super::streams::Catalogue;
use crate::fanout::ClientView;
use crate::gateway::{Presence, Present};
use crate::hub::{Hub, StreamView};
use crate::replay::{EntryView, Seq};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The lengths of events that are read while the lock of their stream is held once.
const LENGTHS: usize = 1024;

/// The ages of events that are read while the lock of their stream is held once.
const AGES: usize = 128;

/// The bytes of an event that are shown.
const SHOWN_OF_EVENT: usize = 1024;

impl Api {
    /// A stream with its clients and its last events.
    pub(super) async fn stream(&self, id: &str, query: Option<&str>) -> Result<Bytes, Problem> {
        let name = self.catalogue.name_of(id)?;
        let query = Query::read(query, &["limit", "events"])?;
        let limit = query.number("limit", 1, 1000, 100)?;
        let events = query.number("events", 0, 100, 0)?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let clients = match (&self.engine, name) {
            (Some(engine), StreamName::Held(number)) => engine.clients(number, limit).await,
            _ => Vec::new(),
        };
        let catalogue = Arc::clone(&self.catalogue);
        made(turn, move || {
            let view = catalogue.view(name).ok_or_else(Problem::no_stream)?;
            let clients = clients_of(name, clients, &catalogue.presence, limit);
            let events = match name {
                StreamName::Held(number) => catalogue.hub.tail(number, events).iter().map(event).collect(),
                StreamName::Own(_) => Vec::new(),
            };
            Ok(detail(&catalogue, name, view, &clients, &events))
        })
        .await
    }

    /// Ends one client of a stream.
    pub(super) async fn dismiss(&self, stream: StreamName, client: &str) -> Result<Value, Problem> {
        let numbers: Vec<_> = client.split('-').collect();
        let is_ended = match (&numbers[..], stream) {
            (["s", number], _) => number.parse().is_ok_and(|number| self.dismiss_in_session(stream, number)),
            ([shard, place, asked], StreamName::Held(stream)) => {
                match (shard.parse(), place.parse(), asked.parse(), &self.engine) {
                    (Ok(shard), Ok(place), Ok(asked), Some(engine)) => {
                        engine.dismiss(stream, shard, place, asked).await
                    }
                    _ => false,
                }
            }
            _ => false,
        };
        if !is_ended {
            let detail = "there is no such client on this stream; it may have left";
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
        Ok(json!({"done": "disconnect"}))
    }
}

impl Api {
    /// Ends a client that a session serves. Returns whether it is on this stream.
    fn dismiss_in_session(&self, stream: StreamName, number: u64) -> bool {
        let client = self.catalogue.presence.client(number).filter(|client| stream_of(number, client) == stream);
        client.inspect(|client| client.dismiss()).is_some()
    }
}

/// The stream of a client that a session serves.
fn stream_of(number: u64, present: &Present) -> StreamName {
    present.shared_stream().map_or(StreamName::Own(number), StreamName::Held)
}

/// The clients of a stream, the slowest first.
fn clients_of(stream: StreamName, of_shards: Vec<ClientView>, presence: &Presence, limit: usize) -> Vec<Shown> {
    let mut clients: Vec<_> = of_shards.into_iter().map(Shown::of_shard).collect();
    presence.each(|number, present| {
        if stream_of(number, present) == stream {
            clients.push(Shown::of_session(number, present));
        }
    });
    clients.sort_by_key(Shown::rank);
    clients.truncate(limit);
    clients
}

fn detail(catalogue: &Catalogue, name: StreamName, view: StreamView, clients: &[Shown], events: &[Value]) -> Value {
    let (now, end) = (Now::read(), view.log.end);
    let cursor = |client: &Shown| match name {
        StreamName::Held(_) => client.cursor,
        StreamName::Own(_) => end,
    };
    let cursors: Vec<_> = clients.iter().map(cursor).collect();
    let (ages, bytes) = match name {
        StreamName::Held(number) => (
            ages(&catalogue.hub, number, &cursors),
            bytes_behind(cursors, end, |from| catalogue.hub.lengths(number, from, LENGTHS)),
        ),
        // What comes is sent at once, and nothing is kept.
        StreamName::Own(_) => (BTreeMap::new(), BTreeMap::from([(end, 0)])),
    };
    let json = |client: &Shown| {
        let at = cursor(client);
        client.json(end.0.saturating_sub(at.0), bytes.get(&at).copied(), ages.get(&at).copied(), &now)
    };
    let subscribers: Vec<_> = clients.iter().map(json).collect();
    let stream = catalogue.json(name, view, clients.first().map(cursor), &now);
    json!({"stream": stream, "subscribers": subscribers, "events": events})
}

/// How long the entry at each position has been in a stream's log. Entries that are not held are left out.
fn ages(hub: &Hub, number: usize, positions: &[Seq]) -> BTreeMap<Seq, Duration> {
    let mut positions = positions.to_vec();
    positions.dedup();
    let mut ages = BTreeMap::new();
    for some in positions.chunks(AGES) {
        let known = some.iter().zip(hub.ages(number, some));
        ages.extend(known.filter_map(|(at, age)| Some((*at, age?))));
    }
    ages
}

fn event(entry: &EntryView) -> Value {
    let text = entry.frame.text();
    let shown = text.get(..SHOWN_OF_EVENT).unwrap_or(text);
    json!({"position": entry.seq.0, "id": entry.frame.id().map(shown::text), "age_secs": secs(entry.age),
        "kind": entry.kind, "text": String::from_utf8_lossy(shown), "bytes": text.len(),
        "is_cut": shown.len() < text.len()})
}
