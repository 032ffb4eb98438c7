//! The report for readers: benches/results/README.md and its pictures.

use super::figures::{self, Figure, Runs};
use super::goals::goals;
use super::results::{Results, folder};
use super::scenarios::Scenario;
use super::svg::{self, Caption, Series};
use super::target::Target;
use super::{Failure, process};
use clap::ValueEnum;
use std::fmt::Write as _;
use std::fs;

const INTRODUCTION: &str = "# What a delivery costs\n\n\
    Written by `make bench`; how it measures, and what one machine can tell, is in\n\
    [CONTRIBUTING.md](../../CONTRIBUTING.md#benchmarks). `floor` is a bare loop of `send()` over the sockets, which is what\n\
    the kernel costs. The server has one core and the clients another. Ratios are between runs of the same turn; every\n\
    figure is the median of the repeats, and faults are the most of any. All runs, one by one: [results.json](results.json).\n";

/// The columns of each table: a heading, the decimals, and the figure.
const COLUMNS: [(&str, usize, Figure); 11] = [
    ("us/delivery", 2, figures::cpu_us),
    ("deliveries/s", 0, figures::deliveries),
    ("p50 ms", 2, figures::p50),
    ("p99 ms", 2, figures::p99),
    ("p99.9 ms", 2, figures::p999),
    ("max ms", 1, figures::slowest),
    ("KB/connection", 2, figures::memory_kb),
    ("connections/s", 0, figures::connects),
    ("comments/client", 1, figures::comments),
    ("CPU %", 1, figures::cpu_percent),
    ("clients' CPU %", 0, figures::load_percent),
];

/// The figures that must be 0, and the noise: the maximum over all repeats.
const WORST: [(&str, Figure); 4] = [
    ("lost", figures::lost),
    ("doubled", figures::doubled),
    ("other faults", figures::other_faults),
    ("others on the core, %", figures::foreign_percent),
];

/// Writes the report and draws its pictures.
pub(crate) fn write(results: &Results) -> Result<(), Failure> {
    fs::create_dir_all(folder())?;
    fs::write(folder().join("README.md"), page(results)?)?;
    for (name, picture) in [("clients.svg", over_clients(results)), ("memory.svg", memory(results))] {
        if let Some(picture) = picture {
            fs::write(folder().join(name), picture)?;
        }
    }
    Ok(())
}

fn page(results: &Results) -> Result<String, Failure> {
    let machine = &results.machine;
    let nchan = machine.nchan.as_deref().unwrap_or("without Nchan, which was not installed");
    let mut page = INTRODUCTION.to_owned();
    writeln!(
        page,
        "\n{} ({} cores), Linux {}; {}; {};",
        machine.cpu, machine.cores, machine.kernel, machine.manifold, nchan
    )?;
    writeln!(page, "{}. {}.\n", machine.rustc, results.date)?;
    writeln!(page, "| work | to reach | measured | |\n|---|---|---|---|")?;
    for goal in goals(results) {
        let verdict = match (&goal.measured, goal.reached) {
            (None, _) => "not run",
            (Some(_), true) => "reached",
            (Some(_), false) => "**not reached**",
        };
        let measured = goal.measured.as_deref().unwrap_or("");
        writeln!(page, "| {} | {} | {measured} | {verdict} |", goal.work, goal.bound)?;
    }
    writeln!(page, "\n![CPU per delivery](clients.svg)\n\n![Memory per connection](memory.svg)")?;
    for scenario in Scenario::value_variants() {
        let runs = results.runs(*scenario);
        if let (Some(trial), Some(about)) = (runs.0.first(), scenario.to_possible_value()) {
            let repeats = runs.0.iter().map(|trial| trial.repeat).max().unwrap_or(0) + 1;
            let help = about.get_help().map(ToString::to_string).unwrap_or_default();
            writeln!(page, "\n## {}\n\n{help}; {} s, {repeats} x.\n", about.get_name(), trial.secs)?;
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

/// Draws the processor time per delivery over the number of clients.
fn over_clients(results: &Results) -> Option<String> {
    let runs = results.runs(Scenario::Clients);
    let clients = |case: &str| runs.0.iter().find(|trial| trial.case == case).map_or(0, |trial| trial.clients);
    let points = |target| {
        let point = |case: &&str| {
            let clients = process::float(u64::try_from(clients(case)).ok()?);
            Some((clients, runs.median(case, target, figures::cpu_us)?))
        };
        runs.cases().iter().filter_map(point).collect::<Vec<_>>()
    };
    let series = series(points)?;
    let subtitle =
        format!("microseconds of one core, 10 events/s of 128 bytes to every client; {}", results.machine.cpu);
    let caption = Caption { title: "CPU time per delivery", subtitle };
    Some(svg::lines(&caption, "clients", &series))
}

/// Draws the memory per connection.
fn memory(results: &Results) -> Option<String> {
    let runs = results.runs(Scenario::Memory);
    let case = *runs.cases().first()?;
    let series =
        series(|target| runs.median(case, target, figures::memory_kb).map(|kb| (0.0, kb)).into_iter().collect())?;
    let subtitle =
        "resident memory of the server process, without the kernel's, at 18,000 clients of one stream".to_owned();
    Some(svg::bars(&Caption { title: "Memory per connection", subtitle }, "KB", &series))
}

/// The servers that have points. `None`: no server has.
fn series(points: impl Fn(Target) -> Vec<(f64, f64)>) -> Option<Vec<Series>> {
    let name = |target| match target {
        Target::Floor => "bare send()",
        Target::Manifold => "manifold",
        Target::Nchan => "nginx + Nchan",
    };
    let all = Target::value_variants().iter().map(|&target| Series {
        class: target.name(),
        name: name(target).to_owned(),
        points: points(target),
    });
    Some(all.filter(|series| !series.points.is_empty()).collect::<Vec<_>>()).filter(|series| !series.is_empty())
}
