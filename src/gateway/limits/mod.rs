//! Who is refused for now, and when they come back: the limits of addresses, and the paces of refusals.

mod addresses;
mod returns;

pub(super) use addresses::{Addresses, Over, Seat};

use crate::config::{Refuse, ServerLimits};
use crate::counters::{Label, Refused};
use crate::log_limit::{LogLimit, Untold};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use returns::Returns;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most log lines about refusals of one reason, and the period for which this holds.
const LINES: (u32, Duration) = (1, Duration::from_secs(10));

/// The limits of addresses, and what refusals have in common.
#[derive(Debug)]
pub(super) struct Limits {
    now: ArcSwap<Now>,
    returns: Mutex<Returns>,
    lines: Vec<LogLimit>,
}

/// The limits in force.
#[derive(Debug)]
struct Now {
    refuse: Refuse,
    /// `None`: addresses have no limits, and nothing is counted.
    addresses: Option<Arc<Addresses>>,
}

impl Now {
    /// The limits of a configuration. What addresses have taken still counts, if it was counted before.
    fn after(before: Option<&Self>, limits: ServerLimits) -> Self {
        let ServerLimits { per_address, new_per_address, refuse } = limits;
        let [most, rate] = [per_address, new_per_address].map(|limit| limit.map(NonZeroUsize::get));
        let counted = before.and_then(|before| before.addresses.clone());
        let addresses = (most.is_some() || rate.is_some()).then(|| match counted {
            Some(addresses) => {
                addresses.allow(most, rate);
                addresses
            }
            None => Addresses::new(most, rate),
        });
        Self { refuse, addresses }
    }
}

impl Limits {
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self {
            now: ArcSwap::from_pointee(Now::after(None, limits)),
            returns: Mutex::default(),
            lines: Refused::ALL.iter().map(|_| LogLimit::new(LINES.0, LINES.1)).collect(),
        }
    }

    /// Counts a connection or a request of an address. An address that is not known has no limit.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Result<Option<Seat>, Over> {
        match self.now.load().addresses.as_ref().zip(address) {
            Some((addresses, address)) => addresses.take(address, Instant::now()).map(Some),
            None => Ok(None),
        }
    }

    /// Whether addresses have limits.
    pub(super) fn are_of_addresses(&self) -> bool {
        self.now.load().addresses.is_some()
    }

    /// How a client that asks for an event stream is refused for now.
    pub(super) fn refuse(&self) -> Refuse {
        self.now.load().refuse
    }

    /// Puts the limits of another configuration in force.
    pub(super) fn set(&self, limits: ServerLimits) {
        self.now.store(Arc::new(Now::after(Some(&self.now.load()), limits)));
    }

    /// When a client that is refused now is to come back.
    pub(super) fn return_after(&self) -> Duration {
        self.returns.lock().next(Instant::now(), fastrand::f64())
    }

    /// Asks to log a refusal of this reason.
    pub(super) fn line(&self, reason: Refused) -> Option<Untold> {
        self.lines.get(reason.index())?.next(Instant::now())
    }
}
