//! Who listens: clients of each kind, over each protocol.

use super::clients::{Client, Habit, Plan, Surroundings, random};
use super::connection::{Shared, Transport};
use super::credentials::Credentials;
use super::reader::Gaps;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// The clients of a run.
pub(crate) struct Crowd {
    tasks: JoinSet<()>,
    /// The paths of those who read all, and their last events.
    steady: Vec<(String, Arc<AtomicU64>)>,
    shared: Vec<Shared>,
}

/// The streams of each kind.
const STREAMS: usize = 4;

/// What is special about the clients of a route.
struct Part {
    route: &'static str,
    gaps: Gaps,
    habits: &'static [Habit],
    credentials: Credentials,
}

const PARTS: [Part; 7] = [
    Part { route: "ids", gaps: Gaps::Never, habits: &[Habit::Stays, Habit::Leaves], credentials: Credentials::None },
    Part {
        route: "plain",
        gaps: Gaps::OfTheOrigin,
        habits: &[Habit::Stays, Habit::Leaves],
        credentials: Credentials::None,
    },
    Part { route: "own", gaps: Gaps::Never, habits: &[Habit::Stays, Habit::Leaves], credentials: Credentials::None },
    Part { route: "fat", gaps: Gaps::Any, habits: &[Habit::Stays, Habit::Slow], credentials: Credentials::None },
    Part { route: "cut", gaps: Gaps::Any, habits: &[Habit::Stays, Habit::Slow], credentials: Credentials::None },
    Part {
        route: "tokens",
        gaps: Gaps::Never,
        habits: &[Habit::Stays, Habit::Leaves],
        credentials: Credentials::Token(20),
    },
    Part { route: "tokens", gaps: Gaps::Never, habits: &[Habit::Leaves], credentials: Credentials::Ticket(20) },
];

/// The plans of so many clients of each kind over each protocol.
pub(crate) fn plans(clients: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    for part in &PARTS {
        for &habit in part.habits {
            // A connection of HTTP/2 has a window for all of its streams, so a client that reads slowly has its own.
            let shared = Shared::default();
            for n in 0..clients {
                let transport = match n % 3 {
                    0 => Transport::Clear,
                    1 => Transport::Tls,
                    _ if habit == Habit::Slow => Transport::Http2(Shared::default()),
                    _ => Transport::Http2(shared.clone()),
                };
                let path = format!("/{}/{}", part.route, n % STREAMS);
                plans.push(Plan { path, gaps: part.gaps, habit, transport, credentials: part.credentials });
            }
        }
    }
    plans
}

impl Crowd {
    /// They come within a few seconds.
    pub(crate) fn start(plans: Vec<Plan>, around: &Arc<Surroundings>) -> Self {
        let mut crowd = Self { tasks: JoinSet::new(), steady: Vec::new(), shared: Vec::new() };
        for plan in plans {
            if let Transport::Http2(shared) = &plan.transport {
                crowd.shared.push(shared.clone());
            }
            let client = Client::new(plan, around.clone());
            // An origin without ids sends the last events once, whether the gateway is there or not.
            if client.plan.habit == Habit::Stays && client.plan.gaps != Gaps::OfTheOrigin {
                crowd.steady.push((client.plan.path.clone(), client.last.clone()));
            }
            crowd.tasks.spawn(async move {
                sleep(random(0, 3_000)).await;
                client.run().await;
            });
        }
        crowd
    }

    /// Waits until all who read everything have this event. Returns the streams of those who do not get it in time.
    pub(crate) async fn have(&self, number: u64, patience: Duration) -> Vec<String> {
        let until = Instant::now() + patience;
        loop {
            let missing = self.steady.iter().filter(|(_, last)| last.load(Ordering::Relaxed) != number);
            let missing = missing.map(|(path, last)| format!("{path}: {}", last.load(Ordering::Relaxed)));
            let missing = missing.collect::<Vec<_>>();
            if missing.is_empty() || Instant::now() > until {
                return missing;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until all have left.
    pub(crate) async fn left(mut self) {
        while self.tasks.join_next().await.is_some() {}
        for shared in &self.shared {
            shared.close().await;
        }
    }
}
