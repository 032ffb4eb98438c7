//! The gateway's own files, compiled with primitives that shuttle schedules, and the models that try them.
//!
//! `parking_lot` and `tokio` are shuttle's here, and so is [`sync`]. Time is not modelled: a sleep may be over as soon as it
//! begins, which is the worst that a clock can do to `linger_secs`.

#![allow(dead_code, reason = "the gateway's files hold more than the models use")]

#[path = "../../src/counters.rs"]
pub mod counters;
#[path = "../../src/hub/mod.rs"]
pub mod hub;
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

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};
use std::sync::Arc;

/// Every run tries the same schedules.
const SEED: u64 = 0x6d61_6e69_666f_6c64;

/// Schedules of each kind that a model is run with.
const SCHEDULES: usize = 1000;

/// Preemptions, less one, at the worst places that the second kind of schedule is made for.
const DEPTH: usize = 3;

/// Runs a model with many schedules: one where threads change places at random, one where they rarely do.
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
