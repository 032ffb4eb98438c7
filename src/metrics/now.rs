//! All figures at one moment, and how the library of Prometheus writes them as text.

use super::figures::{Figure, Number, Value};
use super::of_process::{OF_PROCESS, ProcessValues};
use super::of_routes::OF_ROUTES;
use crate::counters::CountersByRoute;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::time::SystemTime;

/// All figures at one moment.
#[derive(Debug)]
pub(super) struct Now {
    pub(super) routes: CountersByRoute,
    pub(super) process: ProcessValues,
    /// Since when the histograms count.
    pub(super) created: SystemTime,
}

/// What a family shows at one moment.
#[derive(Debug)]
pub(super) struct Shown {
    /// The name. A counter's is without the `_total` at its end.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    pub(super) figures: Vec<Figure>,
}

impl Now {
    /// What every family shows, in the order in which it is written.
    pub(super) fn families(&self) -> impl Iterator<Item = Shown> {
        let of_routes = OF_ROUTES.iter().map(|family| {
            let figures = self.routes.iter().flat_map(|(name, of)| family.read.figures(of, &[("route", name)]));
            Shown { name: family.name, help: family.help, kind: family.read.kind(), figures: figures.collect() }
        });
        let of_process = OF_PROCESS.iter().map(|family| {
            let figures = family.read.figures(&self.process, &[]);
            Shown { name: family.name, help: family.help, kind: family.read.kind(), figures }
        });
        of_routes.chain(of_process)
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.families() {
            let mut to = encoder.encode_descriptor(family.name, family.help, None, family.kind)?;
            for Figure { labels, value } in &family.figures {
                if *value == Value::Info {
                    to.encode_info(labels)?;
                    continue;
                }
                let mut to = to.encode_family(labels)?;
                match value {
                    Value::Counter(Number::Whole(n)) => to.encode_counter::<NoLabelSet, u64, u64>(n, None)?,
                    Value::Counter(Number::Real(n)) => to.encode_counter::<NoLabelSet, f64, u64>(n, None)?,
                    Value::Gauge(Number::Whole(n)) => to.encode_gauge(n)?,
                    Value::Gauge(Number::Real(n)) => to.encode_gauge(n)?,
                    // The formats in text have no native buckets.
                    Value::Histogram(of) => to.encode_histogram::<NoLabelSet>(of.sum, of.count, &of.classic, None)?,
                    Value::Info => {}
                }
            }
        }
        Ok(())
    }
}
