//! The command line.

use super::scenarios::Scenario;
use super::target::Target;
use super::trial::Case;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Measures manifold beside a bare loop of send(), nginx with Nchan, Pushpin and Varnish.
#[derive(Debug, Parser)]
#[command(name = "fanout")]
pub(crate) struct Options {
    /// The scenarios to measure; all by default
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<Scenario>,
    /// Measure only the cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) cases: Option<String>,
    /// Seconds of each window; by default as many as the scenario needs
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) secs: Option<u64>,
    /// How often each case is run, 3 times by default and sweeps once; the medians count
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) repeats: Option<u16>,
    /// Short windows, one repeat and only the servers that the goals are about, to try whether it works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure only these servers
    #[arg(long, value_delimiter = ',')]
    pub(crate) targets: Option<Vec<Target>>,
    /// Another binary of the gateway
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_manifold"))]
    pub(crate) manifold: PathBuf,
    /// The core of the server; the first one by default
    #[arg(long)]
    pub(crate) server_cpu: Option<usize>,
    /// The core of the clients and of the origin; the last one by default
    #[arg(long)]
    pub(crate) load_cpu: Option<usize>,
    /// Keep the figures in benches/results, and draw its pictures again
    #[arg(long)]
    pub(crate) save: bool,
    /// Measure nothing: draw benches/results again from its figures
    #[arg(long)]
    pub(crate) redraw: bool,
    /// The argument that cargo passes to every benchmark
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

impl Options {
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        if self.scenarios.is_empty() { Scenario::value_variants().to_vec() } else { self.scenarios.clone() }
    }

    pub(crate) fn wants(&self, case: &Case) -> bool {
        self.cases.as_ref().is_none_or(|part| case.name.contains(part))
    }

    pub(crate) fn repeats(&self, scenario: Scenario) -> usize {
        let usual = if self.quick || scenario.is_sweep() { 1 } else { 3 };
        self.repeats.map_or(usual, usize::from)
    }
}
