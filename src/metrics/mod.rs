//! The figures of the process as Prometheus reads them: which there are, their names, and the formats.
//!
//! A scrape reads numbers that are counted already. It takes no lock of a stream and walks over none, so it costs the
//! same whatever the number of streams and clients is.

mod format;
mod of_process;
mod of_routes;
mod system;

pub use format::Format;
pub use of_process::ProcessValues;
pub use system::SystemValues;

use crate::counters::{CountersByRoute, Snapshot};
use crate::fanout::Engine;
use crate::gateway::CurrentRouting;
use crate::hub::Hub;
use bytes::Bytes;
use of_process::OF_PROCESS;
use of_routes::OF_ROUTES;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, MetricEncoder, NativeHistogram, NativeHistogramBuckets, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::time::SystemTime;

/// What the figures are read from.
#[derive(Debug, Clone)]
pub struct Metrics {
    routing: CurrentRouting,
    hub: Hub,
    engine: Option<Engine>,
    /// The most connections of clients at once.
    most_connections: usize,
    started: SystemTime,
}

/// The figures cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be written: {0}")]
pub struct EncodeError(String);

/// A family of figures. A counter's name is without the `_total` at its end.
#[derive(Debug)]
struct Family<S: 'static> {
    name: &'static str,
    help: &'static str,
    read: Read<S>,
}

/// How the figures of a family are read.
#[derive(Debug, Clone, Copy)]
enum Read<S: 'static> {
    Counter(fn(&S) -> u64),
    Gauge(fn(&S) -> u64),
    /// A number with digits behind the point. `None`: there is none yet, so nothing is shown.
    Measure(fn(&S) -> Option<f64>),
    /// A counter of seconds.
    Seconds(fn(&S) -> Option<f64>),
    /// A counter for each value of a label, which has this name.
    CounterBy(&'static str, fn(&S) -> Vec<(&'static str, u64)>),
    /// A gauge for each value of a label.
    GaugeBy(&'static str, fn(&S) -> Vec<(&'static str, u64)>),
    /// A counter of seconds for each of several things with numbers.
    SecondsOfEach(&'static str, fn(&S) -> Vec<f64>),
    Histogram(fn(&S) -> Snapshot),
    /// Words about the process, as labels.
    Info(fn(&S) -> Vec<(&'static str, String)>),
}

impl<S> Read<S> {
    fn kind(&self) -> MetricType {
        match self {
            Self::Counter(_) | Self::CounterBy(..) | Self::Seconds(_) | Self::SecondsOfEach(..) => MetricType::Counter,
            Self::Gauge(_) | Self::GaugeBy(..) | Self::Measure(_) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
            Self::Info(_) => MetricType::Info,
        }
    }
}

impl Metrics {
    /// The figures of a process that has just started.
    #[must_use]
    pub fn new(routing: CurrentRouting, hub: Hub, engine: Option<Engine>, most_connections: usize) -> Self {
        Self { routing, hub, engine, most_connections, started: SystemTime::now() }
    }

    /// The hub that is looked at.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The routes that are looked at.
    #[must_use]
    pub fn routing(&self) -> &CurrentRouting {
        &self.routing
    }

    /// The counters of every route, with the route's name.
    #[must_use]
    pub fn counters(&self) -> CountersByRoute {
        self.routing.counters()
    }

    /// The values of the process as they are now. It may read files of the kernel, so it is not for a thread that must
    /// not block.
    #[must_use]
    pub fn process(&self) -> ProcessValues {
        ProcessValues::read(self)
    }

    /// All figures as they are now. It may read files of the kernel, so it is not for a thread that must not block.
    ///
    /// # Errors
    /// When the library fails to write them, which is a defect.
    pub fn encode(&self, format: Format) -> Result<Bytes, EncodeError> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Now {
            routes: self.routing.counters(),
            process: ProcessValues::read(self),
            created: self.started,
        }));
        format.encode(&registry).map_err(EncodeError)
    }
}

/// All figures at one moment.
#[derive(Debug)]
struct Now {
    routes: CountersByRoute,
    process: ProcessValues,
    /// Since when the histograms count.
    created: SystemTime,
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in OF_ROUTES {
            let mut to = encoder.encode_descriptor(family.name, family.help, None, family.read.kind())?;
            for (route, counters) in &self.routes {
                self.figures(&mut to, &[("route", route)], family, &**counters)?;
            }
        }
        for family in OF_PROCESS {
            let mut to = encoder.encode_descriptor(family.name, family.help, None, family.read.kind())?;
            self.figures(&mut to, &[], family, &self.process)?;
        }
        Ok(())
    }
}

impl Now {
    /// Writes the figures of a family for one route, or for the process. `labels`: those of all these figures.
    fn figures<S>(
        &self,
        to: &mut MetricEncoder<'_>,
        labels: &[(&str, &str)],
        family: &Family<S>,
        source: &S,
    ) -> fmt::Result {
        match family.read {
            Read::Counter(read) => counter(&mut to.encode_family(&labels)?, read(source)),
            Read::Gauge(read) => to.encode_family(&labels)?.encode_gauge(&read(source)),
            Read::Measure(read) => read(source).map_or(Ok(()), |value| to.encode_family(&labels)?.encode_gauge(&value)),
            Read::Seconds(read) => read(source).map_or(Ok(()), |value| seconds(&mut to.encode_family(&labels)?, value)),
            Read::CounterBy(label, read) => read(source)
                .into_iter()
                .try_for_each(|(word, n)| counter(&mut to.encode_family(&with(labels, label, word))?, n)),
            Read::GaugeBy(label, read) => read(source)
                .into_iter()
                .try_for_each(|(word, n)| to.encode_family(&with(labels, label, word))?.encode_gauge(&n)),
            Read::SecondsOfEach(label, read) => (0_u64..).zip(read(source)).try_for_each(|(number, value)| {
                seconds(&mut to.encode_family(&with(labels, label, &number.to_string()))?, value)
            }),
            Read::Histogram(read) => self.histogram(&mut to.encode_family(&labels)?, &read(source)),
            Read::Info(read) => to.encode_info(&read(source)),
        }
    }

    fn histogram(&self, to: &mut MetricEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
        let Snapshot { sum, count, classic, schema, zero: (zero_threshold, zero_count), spans, deltas } = snapshot;
        let native = NativeHistogram {
            schema: *schema,
            zero_threshold: *zero_threshold,
            zero_count: *zero_count,
            negative: NativeHistogramBuckets { spans: &[], deltas: &[] },
            positive: NativeHistogramBuckets { spans, deltas },
            created: Some(self.created),
        };
        to.encode_histogram_with_native::<NoLabelSet>(*sum, *count, classic, None, native)
    }
}

/// The labels, and one more.
fn with<'a>(labels: &[(&'a str, &'a str)], label: &'a str, word: &'a str) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([(label, word)]).collect()
}

fn counter(to: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    to.encode_counter::<NoLabelSet, u64, u64>(&value, None)
}

fn seconds(to: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
    to.encode_counter::<NoLabelSet, f64, u64>(&value, None)
}

#[cfg(test)]
mod tests;
