//! Scenarios, one after the other, each server in turn.

use super::options::Options;
use super::process::float;
use super::scenarios::Scenario;
use super::server::{Bench, Target};
use super::trial::Trial;
use super::{Failure, child, nchan};
use clap::ValueEnum;
use std::io::{self, Write};

/// Runs what `options` asks for.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if !options.bench {
        return print("this is a benchmark: run it by `make bench`, or by `cargo bench --bench fanout -- --help`");
    }
    let cpus = child::cpus()?;
    let first = cpus.first().copied().unwrap_or(0);
    let last = cpus.last().copied().unwrap_or(0);
    let bench = Bench {
        manifold: options.manifold.clone(),
        server_cpu: options.server_cpu.unwrap_or(first),
        load_cpu: options.load_cpu.unwrap_or(last),
    };
    let mut targets = options.targets.clone().unwrap_or_else(|| Target::value_variants().to_vec());
    if nchan::version().is_none() && targets.contains(&Target::Nchan) {
        print("Nchan is left out: the packages nginx and libnginx-mod-nchan are not installed")?;
        targets.retain(|&target| target != Target::Nchan);
    }
    for scenario in options.scenarios() {
        measure(scenario, &targets, &bench, options)?;
    }
    Ok(())
}

/// Runs every case of `scenario` on every server that it is for.
fn measure(scenario: Scenario, targets: &[Target], bench: &Bench, options: &Options) -> Result<Vec<Trial>, Failure> {
    let name = scenario.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let mut turns = scenario.targets().iter().copied().filter(|target| targets.contains(target)).collect::<Vec<_>>();
    let mut trials = Vec::new();
    print(&format!("\n{name}\n{}", HEADING.trim_end()))?;
    for repeat in 0..options.repeats() {
        for case in scenario.cases(options.quick, options.secs) {
            for &target in &turns {
                let trial = Trial::run(target, &case, bench, repeat)
                    .map_err(|error| format!("{name}, {}, {}: {error}", case.name, target.name()))?;
                print(&row(&trial))?;
                trials.push(trial);
            }
        }
        // What drifts shall not always be to the advantage of the same one.
        turns.reverse();
    }
    Ok(trials)
}

const HEADING: &str = "  case             server    us/delivery deliveries/s  p50 ms  p99 ms  max ms KB/conn conn/s  \
    cpu % load %  late ms  lost doubled disorder damaged closed unfinished";

fn row(trial: &Trial) -> String {
    let mut rows = Vec::new();
    let clients = float(u64::try_from(trial.clients).unwrap_or(u64::MAX));
    let memory = (float(trial.busy_kb) - float(trial.idle_kb)) / clients;
    for (name, received) in &trial.received {
        let latency = &received.latency;
        let case = if trial.received.len() > 1 { format!("{}: {name}", trial.case) } else { trial.case.clone() };
        rows.push(format!(
            "  {case:16} {:9} {:11.2} {:12.0} {:7.2} {:7.2} {:7.1} {memory:7.2} {:6.0} {:6.1} {:6.1} {:8.1} {:5} {:7} {:8} {:7} {:6} {:10}",
            trial.target.name(),
            trial.cpu_secs * 1e6 / trial.deliveries(),
            float(received.in_window) / trial.secs,
            latency.p50,
            latency.p99,
            latency.max,
            clients / trial.connect_secs,
            trial.cpu_secs / trial.secs * 100.0,
            trial.load_cpu_secs / trial.secs * 100.0,
            trial.sent.latest_ms,
            received.lost,
            received.doubled,
            received.out_of_order,
            received.damaged,
            received.closed,
            received.unfinished,
        ));
    }
    rows.join("\n")
}

fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
