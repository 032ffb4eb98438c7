//! Runs the scenarios one after the other, with each server in turn.

use super::figures::{self, Figure};
use super::machine::Machine;
use super::options::Options;
use super::results::Results;
use super::scenarios::Scenario;
use super::server::Bench;
use super::target::Target;
use super::trial::Trial;
use super::{Failure, child, nchan, report};
use clap::ValueEnum;
use std::io::{self, Write};

/// Runs what `options` asks for.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if !options.bench {
        return print("this is a benchmark: run it by `make bench`, or by `cargo bench --bench fanout -- --help`");
    }
    if options.redraw {
        let kept = Results::kept()?.ok_or("there are no figures: run with --save first")?;
        return report::write(&kept);
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
        let trials = measure(scenario, &targets, &bench, options)?;
        if options.save {
            // Stored after each scenario, so that its figures stay if the next one fails.
            let mut results = Results::of(Machine::here(&bench.manifold, cpus.len()))?;
            results.put(scenario, trials);
            results.save()?;
            report::write(&results)?;
        }
    }
    Ok(())
}

/// Runs every case of `scenario` on every server that it applies to.
fn measure(scenario: Scenario, targets: &[Target], bench: &Bench, options: &Options) -> Result<Vec<Trial>, Failure> {
    let name = scenario.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let mut turns = scenario.targets().iter().copied().filter(|target| targets.contains(target)).collect::<Vec<_>>();
    let mut trials = Vec::new();
    print(&format!("\n{name}\n{}", heading()))?;
    for repeat in 0..options.repeats() {
        for case in scenario.cases(options.quick, options.secs) {
            for &target in &turns {
                let trial = Trial::run(target, &case, bench, repeat)
                    .map_err(|error| format!("{name}, {}, {}: {error}", case.name, target.name()))?;
                print(&row(&trial))?;
                trials.push(trial);
            }
        }
        // The order changes, so that a drift of the machine does not always favour the same server.
        turns.reverse();
    }
    Ok(trials)
}

/// The columns that are printed after each run: a heading, the width, the decimals, and the figure.
const COLUMNS: [(&str, usize, usize, Figure); 13] = [
    ("us/delivery", 11, 2, figures::cpu_us),
    ("deliveries/s", 12, 0, figures::deliveries),
    ("p50 ms", 8, 2, figures::p50),
    ("p99 ms", 8, 2, figures::p99),
    ("max ms", 8, 1, figures::slowest),
    ("KB/conn", 8, 2, figures::memory_kb),
    ("conn/s", 7, 0, figures::connects),
    ("cpu %", 6, 1, figures::cpu_percent),
    ("load %", 6, 0, figures::load_percent),
    ("others %", 8, 0, figures::foreign_percent),
    ("lost", 6, 0, figures::lost),
    ("doubled", 7, 0, figures::doubled),
    ("other faults", 12, 0, figures::other_faults),
];

fn heading() -> String {
    let columns = COLUMNS.iter().map(|&(name, width, ..)| format!("{name:>width$}"));
    format!("  {:16} {:9} {}", "", "", columns.collect::<Vec<_>>().join(" "))
}

fn row(trial: &Trial) -> String {
    let cell = |&(_, width, decimals, figure): &(&str, usize, usize, Figure)| match figure(trial) {
        value if value.is_finite() => format!("{value:width$.decimals$}"),
        _ => format!("{:>width$}", "-"),
    };
    let columns = COLUMNS.iter().map(cell).collect::<Vec<_>>().join(" ");
    format!("  {:16} {:9} {columns}", trial.case, trial.target.name())
}

fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
