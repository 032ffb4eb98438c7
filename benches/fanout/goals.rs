//! The goals of manifold, and whether it reaches them.

use super::figures::{self, Figure, Runs};
use super::results::Results;
use super::scenarios::Scenario;
use super::target::Target;

/// The deliveries per second that count as a million. It is a little less, because some events of the window are
/// still on their way when it ends.
const NEARLY_A_MILLION: f64 = 995_000.0;

/// One goal.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) work: &'static str,
    pub(crate) bound: &'static str,
    /// The measurement, in words. `None`: there is none.
    pub(crate) measured: Option<String>,
    pub(crate) reached: bool,
}

/// All goals.
pub(crate) fn goals(results: &Results) -> Vec<Goal> {
    let mut goals = costs(results);
    goals.extend(neighbourly(results));
    goals.extend(crowds(results));
    goals
}

fn costs(results: &Results) -> Vec<Goal> {
    let (cpu, latency) = (Only::of(results, Scenario::Cpu), Only::of(results, Scenario::Latency));
    let to_floor = cpu.ratio(Target::Manifold, Target::Floor, figures::cpu_us);
    let to_nchan = cpu.ratio(Target::Nchan, Target::Manifold, figures::cpu_us);
    let p99 = latency.ratio(Target::Manifold, Target::Floor, figures::p99);
    vec![
        Goal {
            work: "CPU per delivery: 5,000 clients x 10 events/s x 128 B",
            bound: "at most 1.10 x floor",
            measured: to_floor.map(|ratio| format!("{ratio:.2} x floor")),
            reached: to_floor.is_some_and(|ratio| ratio <= 1.10),
        },
        Goal {
            work: "the same, Nchan beside manifold",
            bound: "Nchan at least 1.5 x manifold",
            measured: to_nchan.map(|ratio| format!("{ratio:.2} x manifold")),
            reached: to_nchan.is_some_and(|ratio| ratio >= 1.5),
        },
        Goal {
            work: "p99 latency: 1,000 clients x 10 events/s",
            bound: "at most 1.2 x floor",
            measured: p99.map(|ratio| format!("{ratio:.2} x floor")),
            reached: p99.is_some_and(|ratio| ratio <= 1.2),
        },
    ]
}

fn neighbourly(results: &Results) -> Vec<Goal> {
    let runs = |scenario| results.runs(scenario);
    let beside = |scenario, combine| {
        let runs: Runs<'_> = runs(scenario);
        let cases = runs.cases();
        let (alone, beside) = (*cases.first()?, *cases.get(1)?);
        runs.paired((beside, Target::Manifold), (alone, Target::Manifold), figures::p99, combine)
    };
    let slow = beside(Scenario::Slow, |beside, alone| beside / alone);
    let small = beside(Scenario::Neighbours, |beside, alone| beside - alone);
    vec![
        Goal {
            work: "p99 of 4,950 clients while 50 more read nothing",
            bound: "at most 1.1 x the same without them",
            measured: slow.map(|ratio| format!("{ratio:.2} x")),
            reached: slow.is_some_and(|ratio| ratio <= 1.1),
        },
        Goal {
            work: "p99 of a stream of 10 clients beside one of 10,000, both 10 events/s",
            bound: "at most 10 ms above alone",
            measured: small.map(|more| format!("{more:+.1} ms")),
            reached: small.is_some_and(|more| more <= 10.0),
        },
    ]
}

fn crowds(results: &Results) -> Vec<Goal> {
    let only = |scenario| Only::of(results, scenario);
    let memory = only(Scenario::Memory).median(figures::memory_kb);
    let idle = only(Scenario::Idle).median(figures::cpu_percent);
    let connect = only(Scenario::Connect).ratio(Target::Manifold, Target::Nchan, figures::connects);
    let throughput = only(Scenario::Throughput);
    let (rate, lost, doubled) = (
        throughput.median(figures::deliveries),
        throughput.worst(figures::lost).unwrap_or(0.0),
        throughput.worst(figures::doubled).unwrap_or(0.0),
    );
    vec![
        Goal {
            work: "memory per connection: 18,000 clients of one stream",
            bound: "at most 0.5 KB",
            measured: memory.map(|kb| format!("{kb:.2} KB")),
            reached: memory.is_some_and(|kb| kb <= 0.5),
        },
        Goal {
            work: "1,000 clients x 1,000 events/s x 128 B, one shard",
            bound: "1,000,000 deliveries/s, none lost, none doubled",
            measured: rate.map(|rate| format!("{rate:.0}/s, {lost:.0} lost, {doubled:.0} doubled")),
            reached: rate.is_some_and(|rate| rate >= NEARLY_A_MILLION) && lost + doubled == 0.0,
        },
        Goal {
            work: "connecting 18,000 clients",
            bound: "at least Nchan's rate",
            measured: connect.map(|ratio| format!("{ratio:.2} x Nchan")),
            reached: connect.is_some_and(|ratio| ratio >= 1.0),
        },
        Goal {
            work: "18,000 clients, no events, a heartbeat every 15 s",
            bound: "under 3 % of a core",
            measured: idle.map(|percent| format!("{percent:.1} %")),
            reached: idle.is_some_and(|percent| percent < 3.0),
        },
    ]
}

/// The runs of a scenario with only one case.
struct Only<'a> {
    runs: Runs<'a>,
    case: &'a str,
}

impl<'a> Only<'a> {
    fn of(results: &'a Results, scenario: Scenario) -> Self {
        let runs = results.runs(scenario);
        Self { runs, case: runs.0.first().map_or("", |trial| &trial.case) }
    }

    fn ratio(&self, left: Target, right: Target, figure: Figure) -> Option<f64> {
        self.runs.paired((self.case, left), (self.case, right), figure, |left, right| left / right)
    }

    fn median(&self, figure: Figure) -> Option<f64> {
        self.runs.median(self.case, Target::Manifold, figure)
    }

    fn worst(&self, figure: Figure) -> Option<f64> {
        self.runs.worst(self.case, Target::Manifold, figure)
    }
}
