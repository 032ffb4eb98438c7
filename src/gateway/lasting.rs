//! What outlives a change of the configuration: what a route's instances have in common, and what they learn of each
//! other. Each change of a route's policy makes another instance.
//!
//! ```text
//!   instance ── a change of policy ──▶ instance ── removed, or another origin ──▶ Over
//!      ▲ clients of streams follow, one instance after the other      ▲ clients get their end
//! ```

use super::served::StreamRoute;
use crate::auth::Record;
use crate::counters::RouteCounters;
use crate::upstream::DriverSettings;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::watch;
use tokio::time::Instant;

/// What the instances of a route of one name and identity have in common.
#[derive(Debug)]
pub(super) struct Lasting {
    /// The route's counters. They live as long as its name, so that none goes backwards.
    pub(super) counters: Arc<RouteCounters>,
    /// What the process remembers of credentials.
    pub(super) record: Arc<Record>,
    /// The clients of a private route that are served or wait for the origin. Each instance keeps it, so it also says
    /// whether one is left.
    pub(super) private_clients: Arc<AtomicUsize>,
    pub(super) standing: watch::Sender<Standing>,
    /// How many instances there were.
    instances: AtomicU64,
    /// Empty before the first instance, and on plain proxies.
    driver: OnceLock<watch::Sender<DriverSettings>>,
}

/// What has become of a route.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is served by this instance, or by a later one of which the clients are about to be told. Empty before the first
    /// change.
    Current(Weak<StreamRoute>),
    /// It is gone. Its clients are given their end by this time.
    Over(Instant),
}

/// What an instance learns of those after it.
#[derive(Debug)]
pub(super) enum Newer {
    /// It is the newest.
    None,
    /// This one holds now.
    Terms(Arc<StreamRoute>),
    /// The route is gone.
    Over(Instant),
}

impl Lasting {
    pub(super) fn new(counters: Arc<RouteCounters>, record: Arc<Record>) -> Self {
        let standing = watch::channel(Standing::Current(Weak::new())).0;
        Self {
            counters,
            record,
            private_clients: Arc::default(),
            standing,
            instances: AtomicU64::new(0),
            driver: OnceLock::new(),
        }
    }

    /// The number of another instance.
    pub(super) fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed)
    }

    /// The drivers of the route's streams get these settings from now on.
    pub(super) fn announce(&self, driver: DriverSettings) -> watch::Receiver<DriverSettings> {
        let sender = self.driver.get_or_init(|| watch::channel(driver.clone()).0);
        sender.send_replace(driver);
        sender.subscribe()
    }

    /// The settings for the drivers of the route's streams. `None`: it has none.
    pub(super) fn driver(&self) -> Option<watch::Receiver<DriverSettings>> {
        self.driver.get().map(watch::Sender::subscribe)
    }
}

impl Standing {
    /// What the instance `route` learns of those after it.
    pub(super) fn newer(&self, route: &StreamRoute) -> Newer {
        match self {
            Self::Over(by) => Newer::Over(*by),
            Self::Current(told) => {
                let newer = told.upgrade().filter(|told| told.instance > route.instance);
                newer.map_or(Newer::None, Newer::Terms)
            }
        }
    }
}

/// What a client in a session learns of changes of its route.
#[derive(Debug)]
pub(super) struct News(watch::Receiver<Standing>);

impl News {
    /// The news of the route that `served` is an instance of.
    pub(super) fn of(served: &StreamRoute) -> Self {
        Self(served.standing())
    }

    /// Resolves when another instance took the place of `served`, or the route is gone. Cancel-safe.
    pub(super) async fn next(&mut self, served: &StreamRoute) -> Newer {
        loop {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            match self.0.borrow_and_update().newer(served) {
                Newer::None => {}
                newer => return newer,
            }
        }
    }
}
