//! Looks once a second at the counters, tells what happened since, and knows the rates of the last seconds. So nothing
//! has to be told while events are delivered, and there is at most one message a second of each kind.

use super::board::Board;
use super::shown::{self, Now, rounded};
use crate::counters::{By, Close, Label, Lost, RouteCounters, process};
use crate::gateway::{CurrentRouting, Lifecycle};
use crate::upstream::{OutageNews, Outages};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often the counters are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The looks that are remembered: rates are those of the last ten seconds.
const LOOKS: usize = 11;

/// The counters that rates are made of: events and bytes in, deliveries and bytes out.
type Flows = [u64; 4];

type Looks = VecDeque<(Instant, HashMap<Arc<str>, Flows>)>;

/// The task that looks. Dropping this ends it.
#[derive(Debug)]
pub(super) struct Watch {
    looks: Arc<Mutex<Looks>>,
    /// Each reader that wants ticks has a clone.
    wanted: Arc<()>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(
        routing: CurrentRouting,
        outages: Outages,
        lifecycle: Receiver<Lifecycle>,
        board: Arc<Board>,
    ) -> Self {
        let (looks, wanted) = (Arc::new(Mutex::new(Looks::new())), Arc::new(()));
        let (shared, ticks) = (Arc::clone(&looks), Arc::clone(&wanted));
        let task = tokio::spawn(async move {
            let mut timer = interval(EVERY);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut seen = Seen { is_draining: false, reloaded: None, counts: HashMap::new() };
            loop {
                timer.tick().await;
                look(&routing, &shared);
                outages.news().iter().for_each(|news| tell_outage(&board, news));
                seen.tell(&routing, &board);
                seen.tell_drain(&lifecycle, &board);
                seen.tell_reload(&board);
                // One is the watch's own, one the task's.
                if Arc::strong_count(&ticks) > 2 {
                    board.tick(&tick(&routing, &shared));
                }
            }
        });
        Self { looks, wanted, task }
    }

    /// Ticks are told as long as somebody holds this.
    pub(super) fn wants_ticks(&self) -> Arc<()> {
        Arc::clone(&self.wanted)
    }

    /// The rates of a route. `None`: it was not looked at twice.
    pub(super) fn rates(&self, route: &str) -> Option<Value> {
        rates_of(&self.looks.lock(), route)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn look(routing: &CurrentRouting, looks: &Mutex<Looks>) {
    let flows =
        |of: &RouteCounters| [of.events_in.value(), of.bytes_in.value(), of.events_out.value(), of.bytes_out.value()];
    let now = routing.counters().iter().map(|(name, of)| (Arc::clone(name), flows(of))).collect();
    let mut looks = looks.lock();
    looks.push_back((Instant::now(), now));
    if looks.len() > LOOKS {
        looks.pop_front();
    }
}

fn rates_of(looks: &Looks, route: &str) -> Option<Value> {
    let (first, last) = (looks.front()?, looks.back()?);
    let secs = last.0.saturating_duration_since(first.0).as_secs_f64();
    let (before, after) = (first.1.get(route)?, last.1.get(route)?);
    (secs > 0.0).then(|| shown([0, 1, 2, 3].map(|n| per_sec(after[n].saturating_sub(before[n]), secs))))
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
fn per_sec(count: u64, secs: f64) -> f64 {
    rounded(count as f64 / secs)
}

fn shown([events_in, bytes_in, deliveries, bytes_out]: [f64; 4]) -> Value {
    json!({"events_in_per_sec": events_in, "bytes_in_per_sec": bytes_in, "deliveries_per_sec": deliveries,
        "bytes_out_per_sec": bytes_out})
}

/// The values of a label, with their words.
pub(super) fn by<L: Label>(of: &By<L>) -> Value {
    of.values().into_iter().map(|(word, n)| (word.to_owned(), json!(n))).collect::<Map<_, _>>().into()
}

fn tick(routing: &CurrentRouting, looks: &Mutex<Looks>) -> Value {
    let counters = routing.counters();
    let looks = looks.lock();
    let rates = |name: &str| rates_of(&looks, name).unwrap_or_else(|| shown([0.0; 4]));
    let mut sums = [0.0; 4];
    let names = ["events_in_per_sec", "bytes_in_per_sec", "deliveries_per_sec", "bytes_out_per_sec"];
    let routes: Vec<_> = counters
        .iter()
        .map(|(name, of)| {
            let rates = rates(name);
            for (sum, name) in sums.iter_mut().zip(names) {
                *sum += rates[name].as_f64().unwrap_or(0.0);
            }
            json!({"name": &**name, "subscribers": of.subscribers.value(), "streams": of.streams.value(),
                "phases": by(&of.upstreams), "rates": rates})
        })
        .collect();
    let total = |read: fn(&RouteCounters) -> u64| counters.iter().map(|(_, of)| read(of)).sum::<u64>();
    json!({"at": Now::read().wall(), "routes": routes, "totals": {
        "subscribers": total(|of| of.subscribers.value()), "streams": total(|of| of.streams.value()),
        "places": process().places.value(), "rates": shown(sums.map(rounded))}})
}

fn tell_outage(board: &Board, news: &OutageNews) {
    let now = Now::read();
    match news {
        OutageNews::Down { origin, since, streams, why } => board.add(
            "origin_down",
            &json!({"at": now.wall(), "origin": shown::url(origin), "since": now.time(*since), "streams": streams,
                "why": shown::text(why.as_bytes())}),
        ),
        OutageNews::Up { origin, since, down_secs, attempts, lost } => board.add(
            "origin_up",
            &json!({"at": now.wall(), "origin": shown::url(origin), "since": now.time(*since),
                "down_secs": rounded(*down_secs), "attempts": attempts, "may_have_lost": lost}),
        ),
    }
}

/// What was told so far.
struct Seen {
    is_draining: bool,
    /// When the configuration was last read again.
    reloaded: Option<SystemTime>,
    /// The counts by kind, route and reason.
    counts: HashMap<(&'static str, Option<Arc<str>>, &'static str), u64>,
}

impl Seen {
    fn tell(&mut self, routing: &CurrentRouting, board: &Board) {
        for (route, of) in routing.counters() {
            for reason in Lost::ALL {
                self.count(board, "gaps", Some(&route), reason.word(), of.gaps.value(*reason));
            }
            for reason in [Close::Lag, Close::Stall] {
                self.count(board, "slow_clients", Some(&route), reason.word(), of.closes.value(reason));
            }
            for (reason, count) in of.refused.values() {
                self.count(board, "refusals", Some(&route), reason, count);
            }
        }
        for (reason, count) in process().refusals_without_route.values() {
            self.count(board, "refusals", None, reason, count);
        }
    }

    fn count(&mut self, board: &Board, kind: &'static str, route: Option<&Arc<str>>, reason: &'static str, now: u64) {
        let before = self.counts.insert((kind, route.cloned(), reason), now).unwrap_or(0);
        if now > before {
            let route = route.map(|route| &**route);
            let at = Now::read().wall();
            board.add(kind, &json!({"at": at, "route": route, "reason": reason, "count": now - before}));
        }
    }

    fn tell_reload(&mut self, board: &Board) {
        let Some(last) = process().reloads.last() else { return };
        if self.reloaded.replace(last.at) != Some(last.at) {
            board.add("reload", &shown::reload(&last));
        }
    }

    fn tell_drain(&mut self, lifecycle: &Receiver<Lifecycle>, board: &Board) {
        if let Lifecycle::Draining(by) = *lifecycle.borrow()
            && !std::mem::replace(&mut self.is_draining, true)
        {
            let now = Now::read();
            board.add("drain", &json!({"at": now.wall(), "by": now.time(by)}));
        }
    }
}
