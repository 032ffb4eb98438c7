//! Runs the scenarios one after the other, with each server in turn.

use super::figures::{self, Figure, Runs};
use super::goals::{Goal, Verdict, goals};
use super::machine::Machine;
use super::options::Options;
use super::results::Results;
use super::run::run as run_case;
use super::scenarios::Scenario;
use super::server::{self, Bench};
use super::target::Target;
use super::trial::{Case, Trial};
use super::{Failure, child, clock, report};
use clap::ValueEnum;
use std::collections::BTreeMap;
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
        pause: if options.quick { clock::SECOND / 2 } else { clock::SECOND },
        chooses_http2: server::chooses_http2(&options.manifold)?,
    };
    let others = server::others();
    let targets = Targets::of(options, &others, bench.chooses_http2)?;
    let mut failed = 0;
    for scenario in options.scenarios() {
        let trials = measure(scenario, &targets, &bench, options, &mut failed)?;
        if options.save {
            // Stored after each scenario, so that its figures stay if the next one fails.
            let mut results = Results::of(Machine::here(&bench.manifold, cpus.len(), others.clone()))?;
            results.put(scenario, trials);
            results.save()?;
            report::write(&results)?;
        }
    }
    if failed > 0 { Err(format!("{failed} runs failed").into()) } else { Ok(()) }
}

/// The servers that are measured.
struct Targets {
    installed: Vec<Target>,
    /// Only what the goals are about.
    only_goals: bool,
}

impl Targets {
    /// Those that were asked for and are installed. If none were asked for and the run is quick, those that the goals
    /// are about.
    fn of(options: &Options, others: &BTreeMap<Target, String>, chooses_http2: bool) -> Result<Self, Failure> {
        let mut asked = options.targets.clone().unwrap_or_else(|| Target::value_variants().to_vec());
        if !chooses_http2 {
            // The gateway serves HTTP/2 in one way, and is measured once.
            asked.retain(|&target| target != Target::Session);
        }
        let missing = |target: &Target| target.needs().is_some_and(|program| !others.contains_key(&program));
        let (absent, installed) = asked.into_iter().partition::<Vec<_>, _>(missing);
        for target in absent {
            print(&format!("{} is left out: it is not installed (scripts/setup --bench)", target.title()))?;
        }
        Ok(Self { installed, only_goals: options.quick && options.targets.is_none() })
    }

    /// Those that do the work of `case`.
    fn of_case(&self, scenario: Scenario, case: &Case) -> Vec<Target> {
        let goals = goals();
        let goals = goals.iter().filter(|goal| goal.scenario == scenario);
        let places = goals.flat_map(Goal::places).collect::<Vec<_>>();
        let counts = |target| target == Target::Manifold || places.contains(&(case.name.as_str(), target));
        let targets = case.targets.iter().copied().filter(|target| self.installed.contains(target));
        targets.filter(|&target| !self.only_goals || counts(target)).collect()
    }
}

/// Runs every case of `scenario` on every server that it applies to, and says what that means for the goals. A run
/// that fails is counted, and the others go on.
fn measure(
    scenario: Scenario,
    targets: &Targets,
    bench: &Bench,
    options: &Options,
    failed: &mut usize,
) -> Result<Vec<Trial>, Failure> {
    let mut trials = Vec::new();
    print(&format!("\n{}\n{}", scenario.name(), heading()))?;
    for repeat in 0..options.repeats(scenario) {
        for case in scenario.cases(options.quick, options.secs) {
            if !options.wants(&case) {
                continue;
            }
            let mut turns = targets.of_case(scenario, &case);
            if repeat % 2 == 1 {
                // The order changes, so that a drift of the machine does not always favour the same server.
                turns.reverse();
            }
            for target in turns {
                match run_case(target, &case, bench, repeat) {
                    Ok(trial) => {
                        print(&row(&trial))?;
                        trials.push(trial);
                    }
                    Err(error) => {
                        *failed += 1;
                        print(&format!("  {:30} {:10} failed: {error}", case.name, target.name()))?;
                    }
                }
            }
        }
    }
    for goal in goals().iter().filter(|goal| goal.scenario == scenario) {
        let Verdict { work, bound, measured, reached } = goal.judge(Runs(&trials));
        let Some(measured) = measured else { continue };
        let verdict = match bound {
            None => String::new(),
            Some(bound) if reached => format!("; to reach: {bound}: reached"),
            Some(bound) => format!("; to reach: {bound}: not reached"),
        };
        print(&format!("  {work}: {measured}{verdict}"))?;
    }
    Ok(trials)
}

/// The columns that are printed after each run: a heading, the width, the decimals, and the figure.
const COLUMNS: [(&str, usize, usize, Figure); 16] = [
    ("us/delivery", 11, 2, figures::cpu_us),
    ("deliveries/s", 12, 0, figures::deliveries),
    ("p50 ms", 8, 2, figures::p50),
    ("p99 ms", 8, 2, figures::p99),
    ("max ms", 8, 1, figures::slowest),
    ("KB/conn", 8, 2, figures::memory_kb),
    ("KB/stream", 9, 1, figures::stream_kb),
    ("conn/s", 7, 0, figures::connects),
    ("us/arrival", 10, 1, figures::coming_us),
    ("handshakes/s", 12, 0, figures::handshakes),
    ("cpu %", 6, 1, figures::cpu_percent),
    ("load %", 6, 0, figures::load_percent),
    ("others %", 8, 0, figures::foreign_percent),
    ("lost", 6, 0, figures::lost),
    ("duplicates", 10, 0, figures::doubled),
    ("other faults", 12, 0, figures::other_faults),
];

fn heading() -> String {
    let columns = COLUMNS.iter().map(|&(name, width, ..)| format!("{name:>width$}"));
    format!("  {:30} {:10} {}", "", "", columns.collect::<Vec<_>>().join(" "))
}

fn row(trial: &Trial) -> String {
    let cell = |&(_, width, decimals, figure): &(&str, usize, usize, Figure)| match figure(trial) {
        value if value.is_finite() => format!("{value:width$.decimals$}"),
        _ => format!("{:>width$}", "-"),
    };
    let columns = COLUMNS.iter().map(cell).collect::<Vec<_>>().join(" ");
    format!("  {:30} {:10} {columns}", trial.case, trial.target.name())
}

fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
