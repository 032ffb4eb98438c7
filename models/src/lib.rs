//! The models: they run the gateway's own files with primitives that shuttle, a model checker, schedules.
//!
//! `parking_lot` and `tokio` are replaced by shuttle's here, and so is [`sync`]. Time is not modelled. A sleep may
//! end as soon as it begins, which is the worst that a clock can do to `linger_secs`.

#![allow(dead_code, reason = "the gateway's files hold more than the models use")]

#[path = "../../src/caller/mod.rs"]
#[allow(unused_imports, reason = "the gateway's files hold more than the models use")]
pub mod caller;
#[path = "../../src/counters/mod.rs"]
pub mod counters;
#[path = "../../src/digest.rs"]
pub mod digest;
#[path = "../../src/fields/mod.rs"]
#[allow(unused_imports, reason = "the gateway's files hold more than the models use")]
pub mod fields;
#[path = "../../src/service/handover/hand.rs"]
mod hand;
#[path = "../../src/hub/mod.rs"]
pub mod hub;
#[path = "../../src/millis.rs"]
pub mod millis;
#[path = "../../src/quoted.rs"]
pub mod quoted;
#[path = "../../src/replay/mod.rs"]
pub mod replay;
#[path = "../../src/sse/mod.rs"]
pub mod sse;

mod bell;
pub mod fanout;
pub mod hand_over;
mod stage;
pub mod streams;
mod sync;
pub mod upgrade;

/// The models have no sockets, and so no TLS.
pub mod tls {
    /// A connection of TLS.
    #[derive(Debug)]
    pub struct Channel;
}

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};
use std::sync::Arc;

/// Every run tries the same schedules.
const SEED: u64 = 0x6d61_6e69_666f_6c64;

/// The number of schedules of each kind that a model is run with.
const SCHEDULES: usize = 1000;

/// The depth of the second kind of schedule: one more than its preemptions, which are at the worst places.
const DEPTH: usize = 3;

/// Runs a model with many schedules of two kinds: threads are switched at random, or they are rarely switched.
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    let model = Arc::new(model);
    run(RandomScheduler::new_from_seed(SEED, SCHEDULES), Arc::clone(&model));
    run(PctScheduler::new_from_seed(SEED, DEPTH, SCHEDULES), model);
}

fn run(scheduler: impl Scheduler + 'static, model: Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(100_000);
    Runner::new(scheduler, config).run(move || model());
}
