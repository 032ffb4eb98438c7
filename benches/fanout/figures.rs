//! Figures of many runs: medians, and ratios within one turn of all servers.

use super::process::float;
use super::scenarios::READERS;
use super::specs::Received;
use super::statistics::Spread;
use super::target::Target;
use super::trial::Trial;

/// From this many streams on, memory is counted per stream too.
const MANY_STREAMS: u64 = 100;

/// From this many clients on, memory is counted per connection.
const MANY_CLIENTS: usize = 1_000;

/// A figure of a run, as a number.
pub(crate) type Figure = fn(&Trial) -> f64;

/// Microseconds of processor time per delivery.
pub(crate) fn cpu_us(trial: &Trial) -> f64 {
    trial.cpu_secs * 1e6 / trial.deliveries()
}

/// Deliveries per second.
pub(crate) fn deliveries(trial: &Trial) -> f64 {
    trial.deliveries() / trial.secs
}

/// Latency of the crowd that is measured, in milliseconds.
pub(crate) fn p50(trial: &Trial) -> f64 {
    readers(trial).map_or(f64::NAN, |it| it.latency.p50)
}

/// Latency of the crowd that is measured, in milliseconds.
pub(crate) fn p99(trial: &Trial) -> f64 {
    readers(trial).map_or(f64::NAN, |it| it.latency.p99)
}

/// Latency of the crowd that is measured, in milliseconds.
pub(crate) fn p999(trial: &Trial) -> f64 {
    readers(trial).map_or(f64::NAN, |it| it.latency.p999)
}

/// Latency of the crowd that is measured, in milliseconds.
pub(crate) fn slowest(trial: &Trial) -> f64 {
    readers(trial).map_or(f64::NAN, |it| it.latency.max)
}

/// The server's own memory per client, in KB, if there are so many that what else changes does not count.
pub(crate) fn memory_kb(trial: &Trial) -> f64 {
    if trial.clients - trial.left < MANY_CLIENTS {
        return f64::NAN;
    }
    growth_kb(trial) / (clients(trial) - count(trial.left))
}

/// The server's own memory per stream with its clients, in KB, if there are many streams.
pub(crate) fn stream_kb(trial: &Trial) -> f64 {
    if trial.streams < MANY_STREAMS {
        return f64::NAN;
    }
    growth_kb(trial) / float(trial.streams)
}

/// What the server's own memory grew by, in KB.
pub(crate) fn growth_kb(trial: &Trial) -> f64 {
    float(trial.busy_kb) - float(trial.idle_kb)
}

/// Connections per second, each counted until its response's head.
pub(crate) fn connects(trial: &Trial) -> f64 {
    clients(trial) / trial.connect_secs
}

/// Processor time of the server for each client that came within the window, in microseconds.
pub(crate) fn coming_us(trial: &Trial) -> f64 {
    if trial.coming_cpu_secs > 0.0 { trial.coming_cpu_secs * 1e6 / clients(trial) } else { f64::NAN }
}

/// TLS handshakes for each second of the server's processor time, by clients that do nothing else.
pub(crate) fn handshakes(trial: &Trial) -> f64 {
    let handshakes = sum(trial, |it| it.handshakes);
    if handshakes > 0.0 { handshakes / trial.cpu_secs } else { f64::NAN }
}

/// Processor time of the server, in percent of a core.
pub(crate) fn cpu_percent(trial: &Trial) -> f64 {
    trial.cpu_secs / trial.secs * 100.0
}

/// Processor time of the clients and the origin, in percent of a core.
pub(crate) fn load_percent(trial: &Trial) -> f64 {
    trial.load_cpu_secs / trial.secs * 100.0
}

/// Time of the server's core that other processes used, in percent of it.
pub(crate) fn foreign_percent(trial: &Trial) -> f64 {
    (trial.foreign_secs / trial.secs * 100.0).max(0.0)
}

/// Comment lines that each client got since it connected: the first one, and heartbeats.
pub(crate) fn comments(trial: &Trial) -> f64 {
    sum(trial, |it| it.comments) / clients(trial)
}

/// Events that never came, over all crowds.
pub(crate) fn lost(trial: &Trial) -> f64 {
    sum(trial, |it| it.lost + it.unfinished)
}

/// Events that came more than once.
pub(crate) fn doubled(trial: &Trial) -> f64 {
    sum(trial, |it| it.doubled)
}

/// Other faults: events out of order or damaged, and connections that ended.
pub(crate) fn other_faults(trial: &Trial) -> f64 {
    sum(trial, |it| it.out_of_order + it.damaged + it.closed)
}

/// All faults.
pub(crate) fn faults(trial: &Trial) -> f64 {
    lost(trial) + doubled(trial) + other_faults(trial)
}

/// A count over all crowds.
fn sum(trial: &Trial, count: impl Fn(&Received) -> u64) -> f64 {
    float(trial.received.values().map(count).sum())
}

fn readers(trial: &Trial) -> Option<&Received> {
    trial.received.get(READERS)
}

/// The clients that connected.
pub(crate) fn clients(trial: &Trial) -> f64 {
    count(trial.clients)
}

fn count(count: usize) -> f64 {
    float(u64::try_from(count).unwrap_or(u64::MAX))
}

/// The runs of one scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runs<'a>(pub(crate) &'a [Trial]);

impl Runs<'_> {
    /// The median of a figure over all repeats. `None`: this was not run, or the figure is meaningless.
    pub(crate) fn median(&self, case: &str, target: Target, figure: Figure) -> Option<f64> {
        Some(self.spread(case, target, figure)?.median)
    }

    /// A figure over all repeats.
    pub(crate) fn spread(&self, case: &str, target: Target, figure: Figure) -> Option<Spread> {
        Spread::of(self.of(case, target).map(figure).collect())
    }

    /// The maximum of a figure over all repeats.
    pub(crate) fn worst(&self, case: &str, target: Target, figure: Figure) -> Option<f64> {
        self.of(case, target).map(figure).reduce(f64::max)
    }

    /// `combine` over two runs of the same repeat.
    pub(crate) fn paired(
        &self,
        left: (&str, Target),
        right: (&str, Target),
        combine: impl Fn(&Trial, &Trial) -> f64,
    ) -> Option<Spread> {
        let pairs = self.of(left.0, left.1).filter_map(|trial| {
            let other = self.of(right.0, right.1).find(|other| other.repeat == trial.repeat)?;
            Some(combine(trial, other))
        });
        Spread::of(pairs.collect())
    }

    /// The names of the cases, in the order of their first runs.
    pub(crate) fn cases(&self) -> Vec<&str> {
        let mut cases = Vec::new();
        for trial in self.0 {
            if !cases.contains(&&*trial.case) {
                cases.push(&*trial.case);
            }
        }
        cases
    }

    fn of(&self, case: &str, target: Target) -> impl Iterator<Item = &Trial> {
        self.0.iter().filter(move |trial| trial.case == case && trial.target == target)
    }
}
