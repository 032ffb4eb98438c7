//! Endurance: everything that a gateway meets in months, in minutes and at once. `make soak MINUTES=n` runs it.
//!
//! The origin goes away and comes back. Clients leave and return, read too slowly, and reset their connections. Tokens and
//! tickets expire. The configuration changes, new processes take over, and bad requests come. Every client checks every
//! byte of its stream. At the end the memory must be flat, and the descriptors must be as many as at the start.
//! CONTRIBUTING.md says how to read the figures.

mod clients;
mod connection;
mod credentials;
mod crowd;
mod curve;
mod events;
mod gateway;
#[path = "../fanout/hardware.rs"]
mod hardware;
mod identity;
mod origin;
mod parser;
#[path = "../fanout/process.rs"]
#[expect(dead_code, reason = "the benchmark uses more of it")]
mod process;
mod reader;
mod record;
mod report;
mod rubbish;
mod samples;
#[path = "../fanout/scale.rs"]
mod scale;
mod soak;
#[path = "../fanout/svg.rs"]
#[expect(dead_code, reason = "the benchmark uses more of it")]
mod svg;

use clap::Parser;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Why a run ends, in words.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The time between two events of a stream.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Runs the gateway with everything at once, and checks all that it does.
#[derive(Debug, Parser)]
#[command(name = "soak")]
pub(crate) struct Options {
    /// Minutes of the run
    #[arg(long, default_value_t = 1.0)]
    pub(crate) minutes: f64,
    /// Clients of each kind
    #[arg(long, default_value_t = 10)]
    pub(crate) clients: usize,
    /// Another binary of the gateway
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_manifold"))]
    pub(crate) manifold: PathBuf,
    /// Keep the figures and the picture in benches/results
    #[arg(long)]
    pub(crate) save: bool,
    /// The argument that cargo passes to every benchmark
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// Prints a line.
pub(crate) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn main() -> ExitCode {
    let run = || -> Result<bool, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
        runtime.block_on(soak::run(&Options::parse()))
    };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            writeln!(io::stderr(), "soak: {error}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}
