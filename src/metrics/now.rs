//! All figures at one moment, as the library of Prometheus writes them.

use super::figures::{Figure, Number, Value};
use super::of_process::{OF_PROCESS, ProcessValues};
use super::of_routes::OF_ROUTES;
use crate::counters::{CountersByRoute, Snapshot};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, MetricEncoder, NativeHistogram, NativeHistogramBuckets, NoLabelSet,
};
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
struct Shown {
    /// The name. A counter's is without the `_total` at its end.
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    figures: Vec<Figure>,
}

impl Now {
    /// What every family shows, in the order in which it is written.
    fn families(&self) -> impl Iterator<Item = Shown> {
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

/// Writes families. `created`: since when the histograms count.
fn write(
    families: impl Iterator<Item = Shown>,
    created: SystemTime,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    for family in families {
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
                Value::Histogram(snapshot) => histogram(&mut to, snapshot, created)?,
                Value::Info => {}
            }
        }
    }
    Ok(())
}

fn histogram(to: &mut MetricEncoder<'_>, snapshot: &Snapshot, created: SystemTime) -> fmt::Result {
    let Snapshot { sum, count, classic, schema, zero: (zero_threshold, zero_count), spans, deltas } = snapshot;
    let native = NativeHistogram {
        schema: *schema,
        zero_threshold: *zero_threshold,
        zero_count: *zero_count,
        negative: NativeHistogramBuckets { spans: &[], deltas: &[] },
        positive: NativeHistogramBuckets { spans, deltas },
        created: Some(created),
    };
    to.encode_histogram_with_native::<NoLabelSet>(*sum, *count, classic, None, native)
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        write(self.families(), self.created, &mut encoder)
    }
}
