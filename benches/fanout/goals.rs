//! The goals of manifold, and whether it reaches them.

use super::figures::{self, Figure, Runs};
use super::results::Results;
use super::scale::number;
use super::scenarios::Scenario;
use super::statistics::Spread;
use super::target::Target;

/// A case of a scenario on a server.
pub(crate) type Place = (&'static str, Target);

/// One goal.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) scenario: Scenario,
    pub(crate) work: &'static str,
    figure: Figure,
    pub(crate) measured: Measured,
    bound: Bound,
    /// What the number counts, such as "x floor".
    unit: &'static str,
    decimals: usize,
}

/// What is measured of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Measured {
    /// The figure itself.
    At(Place),
    /// The first one by the second one.
    Ratio(Place, Place),
    /// The first one less the second one.
    Difference(Place, Place),
    /// The same for each client that the first one has more than the second one.
    PerFurtherClient(Place, Place),
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Only to be told.
    None,
}

/// A goal and what was measured.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) work: &'static str,
    /// What is to be reached, in words. `None`: nothing, this is only told.
    pub(crate) bound: Option<String>,
    /// The measurement, in words. `None`: there is none.
    pub(crate) measured: Option<String>,
    pub(crate) reached: bool,
}

/// All goals.
pub(crate) fn goals() -> Vec<Goal> {
    let mut goals = costs();
    goals.extend(streams());
    goals.extend(coming());
    goals.extend(neighbourly());
    goals.extend(resources());
    goals.extend(tls());
    goals.extend(http2());
    goals
}

const FLOOR: Target = Target::Floor;
const MANIFOLD: Target = Target::Manifold;
const NCHAN: Target = Target::Nchan;
const TERMINATOR: Target = Target::Terminator;

fn costs() -> Vec<Goal> {
    use Scenario::{Bursts, Cpu, Few, Flood, Latency, Shards, Throughput};
    vec![
        ratio(Cpu, "CPU per delivery: 5,000 clients x 10 events/s x 128 B", "5,000 clients", FLOOR, figures::cpu_us)
            .at_most(0.90, "x floor"),
        ratio(Cpu, "CPU per delivery: 18,000 clients x 1 event/s x 128 B", "18,000 clients", FLOOR, figures::cpu_us)
            .at_most(0.90, "x floor"),
        Goal {
            measured: Measured::Ratio(("5,000 clients", NCHAN), ("5,000 clients", MANIFOLD)),
            ..goal(Cpu, "CPU per delivery: 5,000 clients x 10 events/s, Nchan's", figures::cpu_us)
        }
        .at_least(1.5, "x manifold's"),
        ratio(Few, "CPU per delivery: 100 clients x 10 events/s x 128 B", "100 clients", FLOOR, figures::cpu_us)
            .at_most(1.20, "x floor"),
        ratio(Latency, "p99 latency: 1,000 clients x 10 events/s", "1,000 clients", FLOOR, figures::p99)
            .at_most(1.20, "x floor"),
        at(Throughput, "1,000 clients x 1,000 events/s x 128 B, one shard", "1,000 clients", figures::deliveries)
            .at_least(NEARLY_A_MILLION, "deliveries/s"),
        at(
            Flood,
            "1,000 clients of one stream, as many events as one core delivers",
            "1,000 clients",
            figures::deliveries,
        )
        .at_least(2_000_000.0, "deliveries/s"),
        ratio(Flood, "the same beside Nchan", "1,000 clients", NCHAN, figures::deliveries).at_least(25.0, "x Nchan"),
        cases(Bursts, "CPU per delivery: bursts of 50 events in 50 chunks", "50 chunks", "1 chunk", figures::cpu_us)
            .at_most(1.05, "x one chunk"),
        cases(Shards, "CPU per delivery: 5,000 clients, 4 shards on one core", "4 shards", "1 shard", figures::cpu_us)
            .told("x one shard"),
    ]
}

fn streams() -> Vec<Goal> {
    use Scenario::Streams;
    let (five, one) = ("1,000 x 5 clients", "5,000 x 1 client");
    vec![
        ratio(Streams, "CPU per delivery: 1,000 streams x 5 clients x 10 events/s", five, FLOOR, figures::cpu_us)
            .at_most(1.20, "x floor"),
        ratio(Streams, "p99 of the same", five, FLOOR, figures::p99).at_most(3.0, "x floor"),
        ratio(Streams, "CPU per delivery: 5,000 streams x 1 client x 2 events/s", one, FLOOR, figures::cpu_us)
            .at_most(1.20, "x floor"),
        ratio(Streams, "p99 of the same", one, FLOOR, figures::p99).at_most(3.0, "x floor"),
    ]
}

fn coming() -> Vec<Goal> {
    use Scenario::{Connect, Return};
    let (ids, id, nobody) = ("50 ids", "1 id", "nobody returns");
    vec![
        ratio(Connect, "connecting 18,000 clients, 128 at a time", "128 at a time", NCHAN, figures::connects)
            .at_least(1.20, "x Nchan's rate"),
        ratio(Connect, "connecting 18,000 clients, all at once", "all at once", NCHAN, figures::connects)
            .at_least(1.20, "x Nchan's rate"),
        cases(Return, "CPU while 17,500 return with 50 ids, 100 events behind", ids, id, figures::coming_us)
            .at_most(1.5, "x with one id"),
        cases(Return, "p99 of 500 live clients meanwhile", ids, nobody, figures::p99)
            .at_most(2.0, "x while nobody returns"),
    ]
}

fn neighbourly() -> Vec<Goal> {
    use Scenario::{Departure, Neighbours, Quiet, Slow};
    let above = |goal: Goal| match goal.measured {
        Measured::Ratio(left, right) => Goal { measured: Measured::Difference(left, right), decimals: 1, ..goal },
        Measured::At(_) | Measured::Difference(..) | Measured::PerFurtherClient(..) => goal,
    };
    vec![
        above(cases(
            Quiet,
            "p99 of 10 clients beside 16,000 quiet ones, heartbeats included",
            "10 beside",
            "10 alone",
            figures::p99,
        ))
        .at_most(2.0, "ms above alone"),
        above(cases(
            Quiet,
            "p99 of 1,000 clients beside 16,000 quiet ones",
            "1,000 beside",
            "1,000 alone",
            figures::p99,
        ))
        .told("ms above alone"),
        above(ratio(
            Departure,
            "p99 of 10 clients while 9,000 others leave at once and return",
            "beside 9,000",
            FLOOR,
            figures::p99,
        ))
        .told("ms above floor"),
        above(cases(
            Neighbours,
            "p99 of a stream of 10 clients beside one of 10,000, both 10 events/s",
            "beside 10,000",
            "10 alone",
            figures::p99,
        ))
        .at_most(10.0, "ms above alone"),
        cases(Slow, "p99 of 4,950 clients while 50 more read nothing", "beside 50 slow", "4,950 alone", figures::p99)
            .at_most(1.1, "x without them"),
    ]
}

fn resources() -> Vec<Goal> {
    use Scenario::{Idle, Logs, Memory};
    vec![
        at(Memory, "memory per connection: 18,000 at once, 5 s later", "all at once", figures::memory_kb)
            .at_most(0.25, "KB"),
        at(Memory, "memory per connection: 18,000 after others", "after others", figures::memory_kb)
            .at_most(0.25, "KB"),
        at(Logs, "memory of an idle stream with its client", "1,000 x 1 client, no events", figures::stream_kb)
            .at_most(12.0, "KB"),
        at(
            Logs,
            "memory of a stream with five clients and 100 events of 128 B",
            "1,000 x 5 clients, full logs",
            figures::stream_kb,
        )
        .at_most(35.0, "KB"),
        at(Idle, "18,000 clients, no events, a heartbeat every 15 s", "18,000 clients", figures::cpu_percent)
            .at_most(1.5, "% of a core"),
        at(Idle, "no client", "no client", figures::cpu_percent).at_most(0.1, "% of a core"),
    ]
}

fn tls() -> Vec<Goal> {
    use Scenario::Tls;
    let beside = |work, case, other, figure| Goal {
        measured: Measured::Ratio((case, other), (case, MANIFOLD)),
        ..goal(Tls, work, figure)
    };
    let (small, large, crowd) = ("128 B, TLS", "1 KB, TLS", "18,000, TLS");
    let (full, resumed) = ("full handshakes", "resumed handshakes");
    let (coming, alone) = ("1,000 beside 2,000", "1,000 alone");
    vec![
        cases(Tls, "CPU per delivery over TLS: 5,000 clients x 10/s x 128 B", small, "128 B, plain", figures::cpu_us)
            .at_most(1.20, "x plain"),
        beside("the same, Nchan's over TLS", small, NCHAN, figures::cpu_us).at_least(1.80, "x manifold's"),
        beside("the same, nginx's and plain manifold's", small, TERMINATOR, figures::cpu_us).told("x manifold's"),
        cases(Tls, "CPU per delivery over TLS: 5,000 clients x 10/s x 1 KB", large, "1 KB, plain", figures::cpu_us)
            .at_most(1.20, "x plain"),
        beside("the same, Nchan's over TLS", large, NCHAN, figures::cpu_us).at_least(1.80, "x manifold's"),
        beside("the same, nginx's and plain manifold's", large, TERMINATOR, figures::cpu_us).told("x manifold's"),
        at(Tls, "memory per connection over TLS: 18,000 at once, 5 s later", crowd, figures::memory_kb)
            .at_most(0.50, "KB"),
        at(Tls, "the same after others", "18,000, TLS, after others", figures::memory_kb).at_most(0.50, "KB"),
        Goal {
            measured: Measured::At(("18,000, TLS, 128 at a time", NCHAN)),
            ..goal(Tls, "the same for clients that come 128 at a time, Nchan's", figures::memory_kb)
        }
        .told("KB"),
        ratio(Tls, "full handshakes of one core, ECDSA on P-256", full, FLOOR, figures::handshakes)
            .at_least(0.90, "x bare rustls"),
        ratio(Tls, "resumed handshakes of one core", resumed, FLOOR, figures::handshakes).told("x bare rustls"),
        cases(Tls, "p99 of 1,000 clients while 2,000 others come over TLS", coming, alone, figures::p99)
            .at_most(2.0, "x alone"),
        Goal {
            measured: Measured::Ratio((coming, FLOOR), (alone, FLOOR)),
            ..goal(Tls, "the same, the floor's", figures::p99)
        }
        .told("x alone"),
    ]
}

fn http2() -> Vec<Goal> {
    use Scenario::Http2;
    let (plain, one, five, hundred) = ("5,000 x 1, HTTP/1.1", "5,000 x 1, h2c", "1,000 x 5, h2c", "50 x 100, h2c");
    let (plain_tls, one_tls, hundred_tls) = ("5,000 x 1, TLS, HTTP/1.1", "5,000 x 1, TLS, h2", "50 x 100, TLS, h2");
    let (idle, idle_one, idle_hundred) = ("5,000 x 1, no events", "50 x 1, no events", "50 x 100, no events");
    let beside = |work, case| Goal {
        measured: Measured::Ratio((case, NCHAN), (case, MANIFOLD)),
        ..goal(Http2, work, figures::cpu_us)
    };
    let cases = |work, case, other, figure| cases(Http2, work, case, other, figure);
    vec![
        cases("CPU per delivery over h2c: 5,000 connections x 1 stream x 10/s x 128 B", one, plain, figures::cpu_us)
            .at_most(1.05, "x HTTP/1.1"),
        beside("the same, Nchan's over h2c", one).at_least(2.0, "x manifold's"),
        cases("CPU per delivery over h2c: 1,000 connections x 5 streams", five, plain, figures::cpu_us)
            .told("x HTTP/1.1"),
        cases("CPU per delivery over h2c: 50 connections x 100 streams", hundred, plain, figures::cpu_us)
            .at_most(0.05, "x HTTP/1.1"),
        beside("the same, Nchan's over h2c", hundred).told("x manifold's"),
        at(Http2, "memory of a connection of h2c with one stream, 5,000 at once", idle, figures::memory_kb)
            .at_most(0.50, "KB"),
        at(Http2, "the same after others", "5,000 x 1, after others", figures::memory_kb).at_most(0.50, "KB"),
        Goal {
            measured: Measured::PerFurtherClient((idle_hundred, MANIFOLD), (idle_one, MANIFOLD)),
            ..goal(Http2, "memory of a further stream, 50 connections with 100 instead of 1", figures::growth_kb)
        }
        .at_most(0.12, "KB"),
        at(
            Http2,
            "memory of a stream, 50 connections with 100 streams each after others",
            "50 x 100, after others",
            figures::memory_kb,
        )
        .at_most(0.12, "KB"),
        cases("CPU per delivery over TLS and h2: 5,000 connections x 1 stream", one_tls, plain_tls, figures::cpu_us)
            .at_most(1.30, "x TLS and HTTP/1.1"),
        beside("the same, Nchan's over TLS and h2", one_tls).told("x manifold's"),
        cases("CPU per delivery over TLS and h2: 50 connections x 100", hundred_tls, plain_tls, figures::cpu_us)
            .told("x TLS and HTTP/1.1"),
        beside("the same, Nchan's over TLS and h2", hundred_tls).told("x manifold's"),
        cases(
            "p99 of 99 streams of a connection beside one that stalled, 20 connections",
            "20 x 99 beside a stalled one",
            "20 x 99 alone",
            figures::p99,
        )
        .at_most(1.1, "x without it"),
    ]
}

/// The deliveries per second that count as a million. It is a little less, because some events of the window are
/// still on their way when it ends.
const NEARLY_A_MILLION: f64 = 995_000.0;

/// A goal of which only the scenario, the work and the figure are known.
fn goal(scenario: Scenario, work: &'static str, figure: Figure) -> Goal {
    let measured = Measured::At(("", MANIFOLD));
    Goal { scenario, work, figure, measured, bound: Bound::AtMost(0.0), unit: "", decimals: 2 }
}

/// A figure of manifold.
fn at(scenario: Scenario, work: &'static str, case: &'static str, figure: Figure) -> Goal {
    Goal { measured: Measured::At((case, MANIFOLD)), ..goal(scenario, work, figure) }
}

/// Manifold beside another server, in the same case.
fn ratio(scenario: Scenario, work: &'static str, case: &'static str, other: Target, figure: Figure) -> Goal {
    Goal { measured: Measured::Ratio((case, MANIFOLD), (case, other)), ..goal(scenario, work, figure) }
}

/// Manifold in one case beside manifold in another.
fn cases(scenario: Scenario, work: &'static str, case: &'static str, other: &'static str, figure: Figure) -> Goal {
    Goal { measured: Measured::Ratio((case, MANIFOLD), (other, MANIFOLD)), ..goal(scenario, work, figure) }
}

impl Goal {
    fn at_most(self, most: f64, unit: &'static str) -> Self {
        Self { bound: Bound::AtMost(most), unit, ..self }
    }

    fn at_least(self, least: f64, unit: &'static str) -> Self {
        Self { bound: Bound::AtLeast(least), unit, ..self }
    }

    fn told(self, unit: &'static str) -> Self {
        Self { bound: Bound::None, unit, ..self }
    }

    /// The cases and servers that are measured.
    pub(crate) fn places(&self) -> Vec<Place> {
        match self.measured {
            Measured::At(place) => vec![place],
            Measured::Ratio(left, right)
            | Measured::Difference(left, right)
            | Measured::PerFurtherClient(left, right) => vec![left, right],
        }
    }

    /// Judges the runs of the goal's scenario. A run of manifold with faults reaches nothing.
    pub(crate) fn judge(&self, runs: Runs<'_>) -> Verdict {
        let spread = self.spread(runs);
        let faults = self.faults(runs);
        let (bound, is_within) = match self.bound {
            Bound::AtMost(most) => (Some(("at most", most)), spread.is_some_and(|spread| spread.median <= most)),
            Bound::AtLeast(least) => (Some(("at least", least)), spread.is_some_and(|spread| spread.median >= least)),
            Bound::None => (None, spread.is_some()),
        };
        Verdict {
            work: self.work,
            bound: bound.map(|(words, bound)| format!("{words} {} {}", self.value(bound), self.unit)),
            measured: spread.map(|spread| self.words(spread, faults)),
            reached: is_within && faults == 0.0,
        }
    }

    fn spread(&self, runs: Runs<'_>) -> Option<Spread> {
        let figure = self.figure;
        match self.measured {
            Measured::At((case, target)) => runs.spread(case, target, figure),
            Measured::Ratio(left, right) => runs.paired(left, right, |left, right| figure(left) / figure(right)),
            Measured::Difference(left, right) => runs.paired(left, right, |left, right| figure(left) - figure(right)),
            Measured::PerFurtherClient(left, right) => runs.paired(left, right, |left, right| {
                (figure(left) - figure(right)) / (figures::clients(left) - figures::clients(right))
            }),
        }
    }

    /// The faults of manifold, in the worst of the runs.
    fn faults(&self, runs: Runs<'_>) -> f64 {
        let places = self.places().into_iter().filter(|place| place.1 == MANIFOLD);
        places.filter_map(|(case, target)| runs.worst(case, target, figures::faults)).fold(0.0, f64::max)
    }

    fn words(&self, spread: Spread, faults: f64) -> String {
        let Spread { median, least, most } = spread;
        let mut words = format!("{} {}", self.value(median), self.unit);
        if least < most {
            words += &format!(" ({} to {})", self.value(least), self.value(most));
        }
        if faults > 0.0 {
            words += &format!(", {} faults", number(faults));
        }
        words
    }

    fn value(&self, value: f64) -> String {
        if value.abs() >= 1_000.0 { number(value) } else { format!("{value:.*}", self.decimals) }
    }
}

/// What was measured for each goal.
pub(crate) fn verdicts(results: &Results) -> Vec<Verdict> {
    goals().iter().map(|goal| goal.judge(results.runs(goal.scenario))).collect()
}
