//! The streams, page by page.

use super::Api;
use super::heavy::made;
use super::listings::Listings;
use super::name::StreamName;
use super::problem::Problem;
use super::query::Query;
use super::shown::{self, Now, rounded, secs};
use crate::gateway::{CurrentRouting, Presence};
use crate::hub::{End, Hub, StreamView};
use crate::replay::{Rate, Seq};
use bytes::Bytes;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

const PHASES: [(&str, &str); 4] =
    [("connecting", "connecting"), ("live", "live"), ("waiting", "waiting"), ("closed", "closed")];

/// What streams are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The streams, as they are shown.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) hub: Hub,
    pub(super) presence: Presence,
    routing: CurrentRouting,
    listings: Listings,
    /// Tells the streams of this process from those of another.
    boot: u32,
}

/// What is asked of the list.
#[derive(Debug)]
struct Wanted {
    route: Option<String>,
    phase: Option<&'static str>,
    /// A part of the key or of the route's name.
    part: Option<String>,
    sort: Sort,
    is_upward: bool,
    limit: usize,
    /// The name of a page that follows another.
    after: Option<String>,
}

/// A stream, the name of its route, and how far its slowest client is behind.
struct Listed {
    name: StreamName,
    view: StreamView,
    route: Arc<str>,
    lag: u64,
}

impl Wanted {
    fn read(query: Option<&str>) -> Result<Self, Problem> {
        let query = Query::read(query, &["route", "phase", "q", "sort", "order", "limit", "after"])?;
        let text = |name| query.text(name).map(str::to_owned);
        let sort = query.word("sort", &SORTS)?.unwrap_or(Sort::Age);
        let order = query.word("order", &[("asc", true), ("desc", false)])?;
        if query.text("q").is_some_and(|q| q.chars().count() > 200) {
            return Err(Problem::bad("parameter q is longer than 200 characters"));
        }
        Ok(Self {
            route: text("route"),
            phase: query.word("phase", &PHASES)?,
            part: text("q"),
            sort,
            // The largest and the newest come first, but the first name and the oldest stream.
            is_upward: order.unwrap_or(matches!(sort, Sort::Key | Sort::Age)),
            limit: query.number("limit", 1, 1000, 100)?,
            after: text("after"),
        })
    }

    fn is_met_by(&self, listed: &Listed) -> bool {
        self.route.as_ref().is_none_or(|route| *route == *listed.route)
            && self.phase.is_none_or(|phase| listed.view.phase == phase)
            && self.part.as_ref().is_none_or(|part| {
                listed.route.contains(part.as_str()) || shown::key(&listed.view).contains(part.as_str())
            })
    }
}

impl Api {
    /// A page of the streams.
    pub(super) async fn streams(&self, query: Option<&str>) -> Result<Bytes, Problem> {
        let wanted = Wanted::read(query)?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let mut slowest = match &self.engine {
            Some(engine) => engine.slowest().await,
            None => HashMap::new(),
        };
        let catalogue = Arc::clone(&self.catalogue);
        made(turn, move || {
            let mut own = Vec::new();
            catalogue.presence.each(|number, present| match present.shared_stream() {
                Some(stream) => {
                    let cursor = present.cursor();
                    slowest.entry(stream).and_modify(|least| *least = cursor.min(*least)).or_insert(cursor);
                }
                // A page that follows looks its streams up by their names.
                None if wanted.after.is_some() => {}
                None => own.extend(present.own_stream(number).map(|view| (StreamName::Own(number), view))),
            });
            catalogue.page(&wanted, own, &slowest)
        })
        .await
    }
}

impl Catalogue {
    pub(super) fn new(hub: Hub, presence: Presence, routing: CurrentRouting) -> Self {
        Self { hub, presence, routing, listings: Listings::default(), boot: fastrand::u32(..) }
    }

    /// The id of a stream.
    pub(super) fn id_of(&self, name: StreamName) -> String {
        format!("{:08x}-{name}", self.boot)
    }

    /// The name of the stream with this id.
    pub(super) fn name_of(&self, id: &str) -> Result<StreamName, Problem> {
        let name = id.split_once('-').and_then(|(_, name)| StreamName::read(name));
        name.filter(|name| self.id_of(*name) == id).ok_or_else(Problem::no_stream)
    }

    /// A stream. `None`: it is over.
    pub(super) fn view(&self, name: StreamName) -> Option<StreamView> {
        match name {
            StreamName::Held(number) => self.hub.view(number),
            StreamName::Own(number) => self.presence.client(number)?.own_stream(number),
        }
    }

    /// A page of the streams. `own`: those of private routes. `slowest`: the position of the slowest client of each
    /// stream of the hub.
    fn page(
        &self,
        wanted: &Wanted,
        own: Vec<(StreamName, StreamView)>,
        slowest: &HashMap<usize, Seq>,
    ) -> Result<Value, Problem> {
        let listed = |(name, view): (StreamName, StreamView)| {
            let slowest = match name {
                StreamName::Held(number) => slowest.get(&number).copied(),
                StreamName::Own(_) => None,
            };
            self.listed(name, view, slowest)
        };
        if let Some(after) = &wanted.after {
            let (page, total, next) = self.listings.page(after, wanted.limit)?;
            let all: Vec<_> = page.iter().filter_map(|name| Some((*name, self.view(*name)?))).map(listed).collect();
            return Ok(self.shown_page(&all, total, next.as_deref()));
        }
        let mut all: Vec<_> = own.into_iter().map(listed).filter(|listed| wanted.is_met_by(listed)).collect();
        let mut from = Some(0);
        while let Some(begin) = from {
            let (views, next) = self.hub.views(begin);
            let named = views.into_iter().map(|view| (StreamName::Held(view.number), view));
            all.extend(named.map(listed).filter(|listed| wanted.is_met_by(listed)));
            from = next;
        }
        sort(&mut all, wanted.sort, wanted.is_upward);
        let total = all.len();
        let names = || all.iter().map(|listed| listed.name).collect();
        let next = (total > wanted.limit).then(|| self.listings.keep(names(), wanted.limit));
        all.truncate(wanted.limit);
        Ok(self.shown_page(&all, total, next.as_deref()))
    }

    fn shown_page(&self, listed: &[Listed], total: usize, next: Option<&str>) -> Value {
        let now = Now::read();
        let streams: Vec<_> = listed.iter().map(|listed| self.shown(listed, &now)).collect();
        json!({"streams": streams, "total": total, "next": next})
    }

    /// `slowest`: the position of its slowest client.
    fn listed(&self, name: StreamName, view: StreamView, slowest: Option<Seq>) -> Listed {
        let route = self.routing.name(view.route).unwrap_or_else(|| Arc::from(""));
        let lag = slowest.map_or(0, |cursor| view.log.end.0.saturating_sub(cursor.0));
        Listed { name, view, route, lag }
    }

    /// A stream as JSON. `slowest`: the position of its slowest client.
    pub(super) fn json(&self, name: StreamName, view: StreamView, slowest: Option<Seq>, now: &Now) -> Value {
        self.shown(&self.listed(name, view, slowest), now)
    }

    fn shown(&self, listed: &Listed, now: &Now) -> Value {
        let Listed { name, view, route, lag } = listed;
        let sharing = match view.is_shared {
            Some(true) => "shared",
            Some(false) => "private",
            None => "undecided",
        };
        let trouble = view.trouble.as_ref().map(|trouble| {
            json!({"why": shown::text(trouble.why.as_bytes()), "since": now.time(trouble.since),
                "is_over": trouble.is_over})
        });
        let id = |id: &Option<Bytes>| id.as_ref().map(|id| shown::text(id));
        let log = &view.log;
        json!({
            "id": self.id_of(*name),
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
            "can_reconnect": matches!(name, StreamName::Held(_)),
        })
    }
}

fn rate(rate: Rate) -> Value {
    json!({"events_per_sec": rounded(rate.events), "bytes_per_sec": rounded(rate.bytes)})
}

fn sort(all: &mut [Listed], by: Sort, is_upward: bool) {
    let turned = |order: Ordering| if is_upward { order } else { order.reverse() };
    if by == Sort::Key {
        // A key is made for each stream, not for each comparison.
        all.sort_by_cached_key(|listed| shown::key(&listed.view));
        if !is_upward {
            all.reverse();
        }
        return;
    }
    all.sort_by(|one, other| turned(compared(by, one, other)).then(one.name.cmp(&other.name)));
}

fn compared(sort: Sort, one: &Listed, other: &Listed) -> Ordering {
    let (a, b) = (&one.view, &other.view);
    match sort {
        Sort::Subscribers => a.subscribers.cmp(&b.subscribers),
        Sort::Rate => a.rates[0].events.total_cmp(&b.rates[0].events),
        Sort::Age | Sort::Key => a.opened.cmp(&b.opened),
        Sort::LogBytes => a.log.bytes.cmp(&b.log.bytes),
        Sort::LastError => {
            let since = |view: &StreamView| view.trouble.as_ref().map(|trouble| trouble.since);
            since(a).cmp(&since(b))
        }
        Sort::Lag => one.lag.cmp(&other.lag),
    }
}
