//! The report for readers: benches/results/README.md and its pictures.

use super::Failure;
use super::figures::{self, Figure, Runs};
use super::goals::{Verdict, verdicts};
use super::pictures::{Picture, pictures};
use super::results::{Results, folder};
use super::scenarios::Scenario;
use super::target::Target;
use clap::ValueEnum;
use std::fmt::Write as _;
use std::fs;

const INTRODUCTION: &str = "# What a delivery costs\n\n\
    Written by `make bench`. [CONTRIBUTING.md](../../CONTRIBUTING.md#benchmarks) describes how it measures, and what\n\
    one machine can show. `floor` is a bare loop of `send()` over the sockets, which is the kernel's cost. The\n\
    server has one core, and the clients another. Ratios are between runs of the same turn. Every figure is the\n\
    median of the repeats, with the smallest and the largest of them in brackets. Faults are the most in any repeat.\n\
    [results.json](results.json) has every run.\n";

/// The columns of each table: a heading, the decimals, and the figure.
const COLUMNS: [(&str, usize, Figure); 14] = [
    ("us/delivery", 2, figures::cpu_us),
    ("deliveries/s", 0, figures::deliveries),
    ("p50 ms", 2, figures::p50),
    ("p99 ms", 2, figures::p99),
    ("p99.9 ms", 2, figures::p999),
    ("max ms", 1, figures::slowest),
    ("KB/connection", 2, figures::memory_kb),
    ("KB/stream", 1, figures::stream_kb),
    ("connections/s", 0, figures::connects),
    ("us/arrival", 1, figures::coming_us),
    ("handshakes/s", 0, figures::handshakes),
    ("comments/client", 1, figures::comments),
    ("CPU %", 1, figures::cpu_percent),
    ("clients' CPU %", 0, figures::load_percent),
];

/// The figures that must be 0, and the noise: the maximum over all repeats.
const WORST: [(&str, Figure); 4] = [
    ("lost", figures::lost),
    ("duplicates", figures::doubled),
    ("other faults", figures::other_faults),
    ("others on the core, %", figures::foreign_percent),
];

/// Writes the report and draws its pictures.
pub(crate) fn write(results: &Results) -> Result<(), Failure> {
    fs::create_dir_all(folder())?;
    fs::write(folder().join("README.md"), page(results)?)?;
    for picture in pictures(results) {
        fs::write(folder().join(picture.file), picture.svg)?;
    }
    Ok(())
}

/// The report.
pub(crate) fn page(results: &Results) -> Result<String, Failure> {
    let machine = &results.machine;
    let mut page = INTRODUCTION.to_owned();
    writeln!(page, "\n{} ({} cores), Linux {}; {};", machine.cpu, machine.cores, machine.kernel, machine.programs())?;
    writeln!(page, "{}. {}.\n", machine.rustc, results.date)?;
    writeln!(page, "| work | to reach | measured | |\n|---|---|---|---|")?;
    for Verdict { work, bound, measured, reached } in verdicts(results) {
        let verdict = match (&measured, &bound, reached) {
            (None, ..) => "not run",
            (Some(_), None, true) => "",
            (Some(_), Some(_), true) => "reached",
            (Some(_), _, false) => "**not reached**",
        };
        let (bound, measured) = (bound.unwrap_or_default(), measured.unwrap_or_default());
        writeln!(page, "| {work} | {bound} | {measured} | {verdict} |")?;
    }
    for Picture { file, title, .. } in pictures(results) {
        writeln!(page, "\n![{title}]({file})")?;
    }
    for scenario in Scenario::value_variants() {
        let runs = results.runs(*scenario);
        if let Some(trial) = runs.0.first() {
            let repeats = runs.0.iter().map(|trial| trial.repeat).max().unwrap_or(0) + 1;
            let (name, about) = (scenario.name(), scenario.about());
            writeln!(page, "\n## {name}\n\n{about}; {} s, {repeats} x.\n", trial.secs)?;
            table(&mut page, runs)?;
        }
    }
    Ok(page)
}

fn table(page: &mut String, runs: Runs<'_>) -> Result<(), Failure> {
    // A column without measurements is left out.
    let targets = Target::value_variants();
    let filled = |figure: Figure| {
        let cases = runs.cases();
        let mut cells = cases.iter().flat_map(|case| targets.iter().map(move |target| (case, target)));
        cells.any(|(case, target)| runs.median(case, *target, figure).is_some_and(|value| value.abs() > 1e-9))
    };
    let columns = COLUMNS.iter().filter(|column| filled(column.2)).collect::<Vec<_>>();
    let names = columns.iter().map(|column| column.0).chain(WORST.iter().map(|worst| worst.0));
    let names = names.collect::<Vec<_>>();
    writeln!(page, "| | | {} |\n|---|---|{}", names.join(" | "), "--:|".repeat(names.len()))?;
    for case in runs.cases() {
        for &target in targets {
            let cell =
                |decimals: usize, value: Option<f64>| value.map_or_else(String::new, |it| format!("{it:.decimals$}"));
            let cells = columns.iter().map(|column| cell(column.1, runs.median(case, target, column.2)));
            let worst = WORST.iter().map(|column| cell(0, runs.worst(case, target, column.1)));
            let cells = cells.chain(worst).collect::<Vec<_>>();
            if runs.0.iter().any(|trial| trial.case == case && trial.target == target) {
                writeln!(page, "| {case} | {} | {} |", target.name(), cells.join(" | "))?;
            }
        }
    }
    Ok(())
}
