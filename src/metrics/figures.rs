//! Families of figures, and how each is read.

use crate::counters::Snapshot;
use prometheus_client::metrics::MetricType;

/// A family of figures. A counter's name is without the `_total` at its end.
#[derive(Debug)]
pub(super) struct Family<S: 'static> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) read: Read<S>,
}

/// How the figures of a family are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read<S: 'static> {
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
    /// A number with digits behind the point for each of several things with names. Each name is there once.
    MeasureOfEach(&'static str, fn(&S) -> Vec<(String, f64)>),
    /// A counter of seconds for each of several things with numbers.
    SecondsOfEach(&'static str, fn(&S) -> Vec<f64>),
    Histogram(fn(&S) -> Snapshot),
    /// Words about the process, as labels.
    Info(fn(&S) -> Vec<(&'static str, String)>),
}

/// One figure of a family.
#[derive(Debug, PartialEq)]
pub(super) struct Figure {
    /// The names and values of its labels.
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: Value,
}

/// The value of a figure.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Counter(Number),
    Gauge(Number),
    Histogram(Snapshot),
    /// The labels say it all.
    Info,
}

/// A number. The formats in text write the two kinds differently.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl<S> Read<S> {
    pub(super) fn kind(&self) -> MetricType {
        match self {
            Self::Counter(_) | Self::CounterBy(..) | Self::Seconds(_) | Self::SecondsOfEach(..) => MetricType::Counter,
            Self::Gauge(_) | Self::GaugeBy(..) | Self::Measure(_) | Self::MeasureOfEach(..) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
            Self::Info(_) => MetricType::Info,
        }
    }

    /// The figures of one source. `labels`: those that all of them have.
    pub(super) fn figures(&self, source: &S, labels: &[(&'static str, &str)]) -> Vec<Figure> {
        let figure = |own: Vec<(&'static str, String)>, value| {
            let shared = labels.iter().map(|(name, value)| (*name, (*value).to_owned()));
            Figure { labels: shared.chain(own).collect(), value }
        };
        let one = |value| vec![figure(Vec::new(), value)];
        let by = |label: &'static str, values: Vec<(&str, u64)>, value: fn(Number) -> Value| {
            let each = |(word, n): (&str, u64)| figure(vec![(label, word.to_owned())], value(Number::Whole(n)));
            values.into_iter().map(each).collect()
        };
        match self {
            Self::Counter(read) => one(Value::Counter(Number::Whole(read(source)))),
            Self::Gauge(read) => one(Value::Gauge(Number::Whole(read(source)))),
            Self::Measure(read) => read(source).map(|n| one(Value::Gauge(Number::Real(n)))).unwrap_or_default(),
            Self::Seconds(read) => read(source).map(|n| one(Value::Counter(Number::Real(n)))).unwrap_or_default(),
            Self::CounterBy(label, read) => by(label, read(source), Value::Counter),
            Self::GaugeBy(label, read) => by(label, read(source), Value::Gauge),
            Self::MeasureOfEach(label, read) => {
                let each = |(name, n)| figure(vec![(*label, name)], Value::Gauge(Number::Real(n)));
                read(source).into_iter().map(each).collect()
            }
            Self::SecondsOfEach(label, read) => {
                let each = |(number, seconds): (usize, f64)| {
                    figure(vec![(*label, number.to_string())], Value::Counter(Number::Real(seconds)))
                };
                read(source).into_iter().enumerate().map(each).collect()
            }
            Self::Histogram(read) => one(Value::Histogram(read(source))),
            Self::Info(read) => vec![figure(read(source), Value::Info)],
        }
    }
}
