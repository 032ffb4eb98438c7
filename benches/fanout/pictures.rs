//! The pictures of the report, and what each shows.

use super::figures::{self, Figure};
use super::process::float;
use super::results::Results;
use super::scenarios::Scenario;
use super::svg::{self, Bars, Caption, Series};
use super::target::Target;
use clap::ValueEnum;

/// A picture of the report.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The name of its file.
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    pub(crate) svg: String,
}

/// One bar per server, for one case.
struct OfCase {
    file: &'static str,
    title: &'static str,
    subtitle: &'static str,
    scenario: Scenario,
    case: &'static str,
    figure: Figure,
    bars: Bars,
}

const BARS: [OfCase; 5] = [
    OfCase {
        file: "memory.svg",
        title: "Memory per connection",
        subtitle: "resident memory of the server, without the kernel's, 5 s after 18,000 clients of one stream came at once",
        scenario: Scenario::Memory,
        case: "all at once",
        figure: figures::memory_kb,
        bars: Bars { unit: "KB", decimals: 2 },
    },
    OfCase {
        file: "streams.svg",
        title: "CPU time per delivery, 1,000 streams",
        subtitle: "microseconds of one core, five clients on each stream, 10 events/s of 128 bytes to every client",
        scenario: Scenario::Streams,
        case: "1,000 x 5 clients",
        figure: figures::cpu_us,
        bars: Bars { unit: "us", decimals: 1 },
    },
    OfCase {
        file: "flood.svg",
        title: "Deliveries a second of one core",
        subtitle: "1,000 clients of one stream, events of 128 bytes, as many as the server delivers",
        scenario: Scenario::Flood,
        case: "1,000 clients",
        figure: figures::deliveries,
        bars: Bars { unit: "/s", decimals: 0 },
    },
    OfCase {
        file: "connect.svg",
        title: "Connections a second",
        subtitle: "18,000 clients that connect at once, until the last one has its response's head",
        scenario: Scenario::Connect,
        case: "all at once",
        figure: figures::connects,
        bars: Bars { unit: "/s", decimals: 0 },
    },
    OfCase {
        file: "idle.svg",
        title: "CPU of 18,000 idle clients",
        subtitle: "percent of one core; the clients get nothing but a heartbeat every 15 s",
        scenario: Scenario::Idle,
        case: "18,000 clients",
        figure: figures::cpu_percent,
        bars: Bars { unit: "%", decimals: 1 },
    },
];

/// The pictures for which there are figures.
pub(crate) fn pictures(results: &Results) -> Vec<Picture> {
    let of_case = |it: &OfCase| {
        let runs = results.runs(it.scenario);
        let series =
            series(|target| runs.median(it.case, target, it.figure).map(|value| (0.0, value)).into_iter().collect())?;
        let caption = Caption { title: it.title, subtitle: it.subtitle.to_owned() };
        Some(Picture { file: it.file, title: it.title, svg: svg::bars(&caption, &it.bars, &series) })
    };
    over_clients(results).into_iter().chain(BARS.iter().filter_map(of_case)).collect()
}

/// Draws the processor time per delivery over the number of clients.
fn over_clients(results: &Results) -> Option<Picture> {
    let runs = results.runs(Scenario::Clients);
    let clients = |case: &str| runs.0.iter().find(|trial| trial.case == case).map_or(0, |trial| trial.clients);
    let points = |target| {
        let point = |case: &&str| {
            let clients = float(u64::try_from(clients(case)).ok()?);
            Some((clients, runs.median(case, target, figures::cpu_us)?))
        };
        runs.cases().iter().filter_map(point).collect::<Vec<_>>()
    };
    let series = series(points)?;
    let subtitle =
        format!("microseconds of one core, 10 events/s of 128 bytes to every client; {}", results.machine.cpu);
    let title = "CPU time per delivery";
    Some(Picture { file: "clients.svg", title, svg: svg::lines(&Caption { title, subtitle }, "clients", &series) })
}

/// The servers that have points. `None`: no server has.
fn series(points: impl Fn(Target) -> Vec<(f64, f64)>) -> Option<Vec<Series>> {
    let all = Target::value_variants().iter().map(|&target| Series {
        class: target.name(),
        name: target.title().to_owned(),
        points: points(target),
    });
    Some(all.filter(|series| !series.points.is_empty()).collect::<Vec<_>>()).filter(|series| !series.is_empty())
}
