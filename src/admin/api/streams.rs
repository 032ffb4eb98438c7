//! The streams: pages of them, and one with its clients and its last events.

use super::Api;
use super::clients::Shown;
use super::problem::Problem;
use super::query::Query;
use super::shown::{self, Now, rounded, secs};
use crate::hub::{End, StreamView};
use crate::replay::{EntryView, Rate, Seq};
use http::StatusCode;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::yield_now;

/// The clients that are looked at while a lock is held once.
const SLICE: usize = 512;

/// The bytes of an event that are shown.
const SHOWN_OF_EVENT: usize = 1024;

const PHASES: [(&str, &str); 4] =
    [("connecting", "connecting"), ("live", "live"), ("waiting", "waiting"), ("closed", "closed")];

/// What streams are sorted by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sort {
    Subscribers,
    Rate,
    Age,
    LogBytes,
    Key,
    LastError,
    Lag,
}

const SORTS: [(&str, Sort); 7] = [
    ("subscribers", Sort::Subscribers),
    ("rate", Sort::Rate),
    ("age", Sort::Age),
    ("log_bytes", Sort::LogBytes),
    ("key", Sort::Key),
    ("last_error", Sort::LastError),
    ("lag", Sort::Lag),
];

/// A stream, the name of its route, and how far its slowest client is behind.
struct Listed {
    view: StreamView,
    route: Arc<str>,
    lag: u64,
}

impl Api {
    /// A page of the streams.
    pub(super) async fn streams(&self, query: Option<&str>) -> Result<Value, Problem> {
        let known = ["route", "phase", "q", "sort", "order", "limit", "after"];
        let query = Query::read(query, &known)?;
        let limit = query.number("limit", 1, 1000, 100)?;
        let phase = query.word("phase", &PHASES)?;
        let sort = query.word("sort", &SORTS)?.unwrap_or(Sort::Age);
        let is_upward = query.word("order", &[("asc", true), ("desc", false)])?;
        if query.text("q").is_some_and(|q| q.chars().count() > 200) {
            return Err(Problem::bad("parameter q is longer than 200 characters"));
        }
        let slowest = self.slowest().await;
        if let Some(after) = query.text("after") {
            let (page, total, next) = self.listings.page(after, limit)?;
            let views = page.iter().filter_map(|number| self.hub.view(*number));
            let listed: Vec<_> = views.map(|view| self.listed(view, &slowest)).collect();
            return Ok(self.page(&listed, total, next.as_deref()));
        }
        let mut all = Vec::new();
        let mut from = Some(0);
        while let Some(begin) = from {
            let (views, next) = self.hub.views(begin);
            for view in views {
                let listed = self.listed(view, &slowest);
                if is_wanted(&listed, query.text("route"), phase, query.text("q")) {
                    all.push(listed);
                }
            }
            from = next;
            yield_now().await;
        }
        // The largest and the newest come first, but the first name and the oldest stream.
        let is_upward = is_upward.unwrap_or(matches!(sort, Sort::Key | Sort::Age));
        all.sort_by(|one, other| {
            let order = compared(sort, one, other);
            if is_upward { order } else { order.reverse() }.then(one.view.number.cmp(&other.view.number))
        });
        let total = all.len();
        let next =
            (total > limit).then(|| self.listings.keep(all.iter().map(|listed| listed.view.number).collect(), limit));
        all.truncate(limit);
        Ok(self.page(&all, total, next.as_deref()))
    }

    fn page(&self, listed: &[Listed], total: usize, next: Option<&str>) -> Value {
        let now = Now::read();
        let streams: Vec<_> = listed.iter().map(|listed| self.shown(listed, &now)).collect();
        json!({"streams": streams, "total": total, "next": next})
    }

    fn listed(&self, view: StreamView, slowest: &HashMap<usize, Seq>) -> Listed {
        let route = self.routing.name(view.route).unwrap_or_else(|| Arc::from(""));
        let lag = slowest.get(&view.number).map_or(0, |cursor| view.log.end.0.saturating_sub(cursor.0));
        Listed { route, lag, view }
    }

    /// The position of the slowest client of each stream.
    async fn slowest(&self) -> HashMap<usize, Seq> {
        let mut all = match &self.engine {
            Some(engine) => engine.slowest().await,
            None => HashMap::new(),
        };
        let mut from = Some(0);
        while let Some(begin) = from {
            let slice = self.presence.slice(begin, SLICE);
            for (_, present) in &slice {
                let cursor = present.cursor();
                all.entry(present.stream).and_modify(|least| *least = cursor.min(*least)).or_insert(cursor);
            }
            from = slice.last().filter(|_| slice.len() == SLICE).map(|(number, _)| number + 1);
            yield_now().await;
        }
        all
    }

    /// A stream with its clients and its last events.
    pub(super) async fn stream(&self, number: usize, query: Option<&str>) -> Result<Value, Problem> {
        let query = Query::read(query, &["limit", "events"])?;
        let limit = query.number("limit", 1, 1000, 100)?;
        let events = query.number("events", 0, 100, 0)?;
        let view = self.hub.view(number).ok_or_else(Problem::no_stream)?;
        let now = Now::read();
        let clients = self.clients(number, limit, &view, &now).await;
        let slowest = clients.iter().map(|(cursor, _)| (number, *cursor)).take(1).collect();
        let events: Vec<_> = self.hub.tail(number, events).iter().map(event).collect();
        let clients: Vec<_> = clients.into_iter().map(|(_, client)| client).collect();
        let stream = self.shown(&self.listed(view, &slowest), &now);
        Ok(json!({"stream": stream, "subscribers": clients, "events": events}))
    }

    /// The clients of a stream, the slowest first, each with its position.
    async fn clients(&self, number: usize, limit: usize, view: &StreamView, now: &Now) -> Vec<(Seq, Value)> {
        let mut clients = match &self.engine {
            Some(engine) => engine.clients(number, limit).await.into_iter().map(Shown::of_shard).collect(),
            None => Vec::new(),
        };
        let mut from = Some(0);
        while let Some(begin) = from {
            let slice = self.presence.slice(begin, SLICE);
            let here = slice.iter().filter(|(_, present)| present.stream == number);
            clients.extend(here.map(|(id, present)| Shown::of_session(*id, present)));
            from = slice.last().filter(|_| slice.len() == SLICE).map(|(number, _)| number + 1);
            yield_now().await;
        }
        clients.sort_by_key(|client| client.cursor);
        clients.truncate(limit);
        let json = |client: Shown| {
            let lag = view.log.end.0.saturating_sub(client.cursor.0);
            let (bytes, time) = self.hub.behind(number, client.cursor);
            (client.cursor, client.json(lag, bytes, time, now))
        };
        clients.into_iter().map(json).collect()
    }

    fn shown(&self, listed: &Listed, now: &Now) -> Value {
        let Listed { view, route, lag } = listed;
        let sharing = match view.is_shared {
            Some(true) => "shared",
            Some(false) => "private",
            None => "undecided",
        };
        let trouble = view
            .trouble
            .as_ref()
            .map(|trouble| json!({"why": shown::text(trouble.why.as_bytes()), "since": now.time(trouble.since)}));
        let id = |id: &Option<bytes::Bytes>| id.as_ref().map(|id| shown::text(id));
        let log = &view.log;
        json!({
            "id": self.id_of(view.number),
            "route": &**route,
            "key": shown::key(view),
            "variant": view.variant,
            "sharing": sharing,
            "phase": view.phase,
            "phase_since": now.time(view.phase_since),
            "end": view.end.as_ref().map(End::to_string),
            "subscribers": view.subscribers,
            "rates": {"last_10_secs": rate(view.rates[0]), "last_minute": rate(view.rates[1])},
            "log": {"first_id": id(&log.first_id), "last_id": id(&log.last_id), "first_position": log.first.0,
                "end_position": log.end.0, "entries": log.entries, "bytes": log.bytes,
                "oldest_age_secs": log.oldest_age.map(secs)},
            "slowest_lag_events": lag,
            "last_error": trouble,
            "next_attempt": view.next_attempt.map(|at| now.time(at)),
            "opened": now.time(view.opened),
            "age_secs": now.age(view.opened),
            "reconnects": view.reconnects,
        })
    }

    /// Ends one client of a stream.
    pub(super) async fn dismiss(&self, stream: usize, client: &str) -> Result<Value, Problem> {
        let numbers: Vec<_> = client.split('-').collect();
        let is_ended = match numbers[..] {
            ["s", number] => number.parse().is_ok_and(|number| self.presence.dismiss(stream, number)),
            [shard, place, asked] => match (shard.parse(), place.parse(), asked.parse(), &self.engine) {
                (Ok(shard), Ok(place), Ok(asked), Some(engine)) => engine.dismiss(stream, shard, place, asked).await,
                _ => false,
            },
            _ => false,
        };
        if !is_ended {
            let detail = "there is no such client on this stream; it may have left";
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
        Ok(json!({"done": "disconnect"}))
    }
}

fn rate(rate: Rate) -> Value {
    json!({"events_per_sec": rounded(rate.events), "bytes_per_sec": rounded(rate.bytes)})
}

fn event(entry: &EntryView) -> Value {
    let text = entry.frame.text();
    let shown = text.get(..SHOWN_OF_EVENT).unwrap_or(text);
    json!({"position": entry.seq.0, "id": entry.frame.id().map(shown::text), "age_secs": secs(entry.age),
        "kind": entry.kind, "text": String::from_utf8_lossy(shown), "bytes": text.len(),
        "is_cut": shown.len() < text.len()})
}

fn is_wanted(listed: &Listed, route: Option<&str>, phase: Option<&str>, q: Option<&str>) -> bool {
    route.is_none_or(|route| *listed.route == *route)
        && phase.is_none_or(|phase| listed.view.phase == phase)
        && q.is_none_or(|q| shown::key(&listed.view).contains(q) || listed.route.contains(q))
}

fn compared(sort: Sort, one: &Listed, other: &Listed) -> Ordering {
    let (a, b) = (&one.view, &other.view);
    match sort {
        Sort::Subscribers => a.subscribers.cmp(&b.subscribers),
        Sort::Rate => a.rates[0].events.total_cmp(&b.rates[0].events),
        // The stream with the lower number is older.
        Sort::Age => a.number.cmp(&b.number),
        Sort::LogBytes => a.log.bytes.cmp(&b.log.bytes),
        Sort::Key => shown::key(a).cmp(&shown::key(b)),
        Sort::LastError => {
            let since = |view: &StreamView| view.trouble.as_ref().map(|trouble| trouble.since);
            since(a).cmp(&since(b))
        }
        Sort::Lag => one.lag.cmp(&other.lag),
    }
}
