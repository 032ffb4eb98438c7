//! Tests of the pure parts of `benches/fanout` and `benches/soak`. They are here because a benchmark without a harness runs no tests.

#![allow(dead_code, reason = "the benchmark uses more of its parts than the tests do")]

#[path = "../../benches/fanout/cases.rs"]
mod cases;
#[path = "../../benches/fanout/clock.rs"]
mod clock;
#[path = "../../benches/fanout/event.rs"]
mod event;
#[path = "../../benches/fanout/figures.rs"]
mod figures;
#[path = "../../benches/fanout/goals.rs"]
mod goals;
#[path = "../../benches/fanout/hardware.rs"]
mod hardware;
#[path = "../../benches/fanout/http2/mod.rs"]
mod http2;
#[path = "../../benches/fanout/identity.rs"]
mod identity;
#[path = "../../benches/fanout/ledger.rs"]
mod ledger;
#[path = "../../benches/fanout/machine.rs"]
mod machine;
#[path = "../../benches/fanout/pictures.rs"]
mod pictures;
#[path = "../../benches/fanout/process.rs"]
mod process;
#[path = "../../benches/fanout/report.rs"]
mod report;
#[path = "../../benches/fanout/results.rs"]
mod results;
#[path = "../../benches/fanout/scale.rs"]
mod scale;
#[path = "../../benches/fanout/scenarios.rs"]
mod scenarios;
#[path = "../../benches/fanout/schedule.rs"]
mod schedule;
#[path = "../../benches/fanout/specs.rs"]
mod specs;
#[path = "../../benches/fanout/statistics.rs"]
mod statistics;
#[path = "../../benches/fanout/svg.rs"]
mod svg;
#[path = "../../benches/fanout/tally.rs"]
mod tally;
#[path = "../../benches/fanout/target.rs"]
mod target;
#[path = "../../benches/fanout/text.rs"]
mod text;
#[path = "../../benches/fanout/trial.rs"]
mod trial;
#[path = "../../benches/fanout/wire.rs"]
mod wire;

#[path = "../../benches/soak/events.rs"]
mod events;
#[path = "../../benches/soak/parser.rs"]
mod parser;
#[path = "../../benches/soak/reader.rs"]
mod reader;
#[path = "../../benches/soak/samples.rs"]
mod samples;

#[path = "event.rs"]
mod event_tests;
#[path = "goals.rs"]
mod goal_tests;
#[path = "http2.rs"]
mod http2_tests;
#[path = "ledger.rs"]
mod ledger_tests;
#[path = "pictures.rs"]
mod picture_tests;
#[path = "report.rs"]
mod report_tests;
#[path = "schedule.rs"]
mod schedule_tests;
#[path = "soak.rs"]
mod soak_tests;
#[path = "tally.rs"]
mod tally_tests;
#[path = "wire.rs"]
mod wire_tests;

/// What the parts name by `super`, as in the benchmark.
type Failure = Box<dyn std::error::Error + Send + Sync>;
