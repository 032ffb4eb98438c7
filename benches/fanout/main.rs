//! The cost of a delivery: manifold, a bare loop of `send()`, nginx with Nchan, Pushpin and Varnish, under the same load
//! on the same machine.
//!
//! `make bench` runs everything; `cargo bench --bench fanout -- cpu latency` runs some scenarios. CONTRIBUTING.md
//! explains what the figures mean and what they do not.

mod cases;
mod child;
mod clients;
mod clock;
mod dial;
mod emitter;
mod event;
mod figures;
mod goals;
mod grip;
mod handshakes;
mod hardware;
mod http2;
mod identity;
mod ledger;
mod machine;
mod multiplexed;
mod nchan;
mod nginx;
mod options;
mod pictures;
mod process;
mod publisher;
mod pushes;
mod pushpin;
mod reception;
mod report;
mod results;
mod run;
mod scale;
mod scenarios;
mod schedule;
mod server;
mod socket;
mod source;
mod specs;
mod statistics;
mod suite;
mod svg;
mod tally;
mod target;
mod terminator;
mod text;
mod tls;
mod trial;
mod varnish;
mod wire;

use clap::Parser;
use serde::Serialize;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a run ends, in words.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1).collect::<Vec<_>>();
    let result = match args.split_first() {
        Some((first, role)) if first == "child" => play(role),
        _ => suite::run(&options::Options::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If this fails too, the failure cannot be reported anywhere.
            writeln!(io::stderr(), "fanout: {error}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

/// Plays a role in a run that another process of this program directs.
fn play(role: &[OsString]) -> Result<(), Failure> {
    let text = |place: usize| role.get(place).and_then(|arg| arg.to_str()).ok_or("a role lacks a word");
    match text(0)? {
        "exec" => child::exec(text(1)?, role.get(2).ok_or("a role lacks a word")?, &role[3..]),
        "source" => source::serve(serde_json::from_str(text(1)?)?),
        "grip" => grip::serve(serde_json::from_str(text(1)?)?),
        "publisher" => publisher::publish(&serde_json::from_str(text(1)?)?),
        "handshakes" => handshakes::run(&serde_json::from_str(text(1)?)?),
        "multiplexed" => multiplexed::run(serde_json::from_str(text(1)?)?),
        "clients" => clients::run(serde_json::from_str(text(1)?)?),
        other => Err(format!("there is no role {other}").into()),
    }
}

/// Writes a word and a value to the standard output, for the process that directs the run.
fn say(word: &str, value: &impl Serialize) -> Result<(), Failure> {
    let line = format!("{word} {}\n", serde_json::to_string(value)?);
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    Ok(stdout.flush()?)
}
