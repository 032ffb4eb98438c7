//! The figures in Prometheus' protobuf: messages of the type `io.prometheus.client.MetricFamily`, each after its length.
//! The numbers of the fields are those of Prometheus' `metrics.proto`.
//!
//! The library of Prometheus can write them, too. But for that it builds a compiler of protobuf, which needs sixteen more
//! crates.

use super::figures::{Figure, Number, Value};
use super::now::Shown;
use crate::counters::Snapshot;
use prometheus_client::metrics::MetricType;
use prost::Message;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    /// A value of the enumeration `MetricType`.
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metrics: Vec<Metric>,
}

#[derive(Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Reading>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Reading>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// The value of a gauge or of a counter.
#[derive(Message)]
struct Reading {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    buckets: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    deltas: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    created: Option<Timestamp>,
}

/// A classic bucket. It counts the values of all buckets before it, too.
#[derive(Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
}

/// A run of native buckets.
#[derive(Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, Copy, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// Writes families. `created`: since when the histograms count.
pub(super) fn encode(families: impl Iterator<Item = Shown>, created: SystemTime) -> Vec<u8> {
    let created = timestamp(created);
    families.flat_map(|shown| family(shown, created).encode_length_delimited_to_vec()).collect()
}

fn family(shown: Shown, created: Timestamp) -> MetricFamily {
    let (suffix, kind) = match shown.kind {
        MetricType::Counter => ("_total", 0),
        MetricType::Gauge => ("", 1),
        MetricType::Unknown => ("", 3),
        MetricType::Histogram => ("", 4),
        // Prometheus shows words as the labels of a gauge that is 1.
        MetricType::Info => ("_info", 1),
    };
    let metrics = shown.figures.into_iter().map(|figure| metric(figure, created)).collect();
    MetricFamily { name: format!("{}{suffix}", shown.name), help: shown.help.to_owned(), kind, metrics }
}

fn metric(Figure { labels, value }: Figure, created: Timestamp) -> Metric {
    let labels = labels.into_iter().map(|(name, value)| Label { name: name.to_owned(), value }).collect();
    let mut metric = Metric { labels, ..Metric::default() };
    match value {
        Value::Gauge(number) => metric.gauge = Some(reading(number)),
        Value::Info => metric.gauge = Some(reading(Number::Whole(1))),
        Value::Counter(number) => metric.counter = Some(reading(number)),
        Value::Histogram(snapshot) => metric.histogram = Some(histogram(snapshot, created)),
    }
    metric
}

#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn reading(number: Number) -> Reading {
    let value = match number {
        Number::Whole(n) => n as f64,
        Number::Real(n) => n,
    };
    Reading { value }
}

fn histogram(snapshot: Snapshot, created: Timestamp) -> Histogram {
    let Snapshot { sum, count, classic, schema, zero: (zero_threshold, zero_count), spans, deltas } = snapshot;
    let mut upto = 0;
    let bucket = |(upper_bound, count)| {
        upto += count;
        Bucket { count: upto, upper_bound }
    };
    let buckets = classic.into_iter().map(bucket).collect();
    let spans = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
    Histogram { count, sum, buckets, schema, zero_threshold, zero_count, spans, deltas, created: Some(created) }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = i32::try_from(since.subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Families of every kind, with numbers of one and of more bytes, and with fields that are zero or empty.
    fn families() -> [Shown; 5] {
        let shown = |name, help, kind, figures| Shown { name, help, kind, figures };
        let figure = |labels: &[(&'static str, &str)], value| {
            let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned()));
            Figure { labels: labels.collect(), value }
        };
        let filled = Snapshot {
            sum: 5.5,
            count: 300,
            classic: vec![(0.0, 0), (0.25, 1), (2.5, 199), (f64::INFINITY, 100)],
            schema: 2,
            zero: (0.5, 1),
            spans: vec![(-79, 1), (5, 300)],
            deltas: vec![1, 198, -100, 0],
        };
        let classic = vec![(1.0, 0), (f64::INFINITY, 0)];
        let empty = Snapshot { sum: 0.0, count: 0, classic, schema: 2, zero: (0.5, 0), spans: vec![], deltas: vec![] };
        [
            shown(
                "clients",
                "Clients now.",
                MetricType::Gauge,
                vec![
                    figure(&[("route", "/a\"\n")], Value::Gauge(Number::Whole(3))),
                    figure(&[("route", "/\u{fc}")], Value::Gauge(Number::Whole(0))),
                ],
            ),
            shown(
                "ends",
                "",
                MetricType::Counter,
                vec![
                    figure(&[("route", "/a"), ("reason", "lag")], Value::Counter(Number::Whole(1 << 40))),
                    figure(&[], Value::Counter(Number::Real(0.25))),
                ],
            ),
            shown("age_seconds", "None yet.", MetricType::Gauge, vec![]),
            shown(
                "lag_seconds",
                "Lag.",
                MetricType::Histogram,
                vec![
                    figure(&[("route", "/a")], Value::Histogram(filled)),
                    figure(&[("route", "")], Value::Histogram(empty)),
                ],
            ),
            shown("build", "What runs.", MetricType::Info, vec![figure(&[("version", "1.2.3")], Value::Info)]),
        ]
    }

    #[test]
    fn the_bytes_are_those_that_the_library_of_prometheus_writes() {
        // Recorded from prometheus-client 0.26.
        let expected = [
            "470a07636c69656e7473120c436c69656e7473206e6f772e1801221a0a0d0a05726f75746512042f61220a12090900000000\
             0000084022100a0c0a05726f75746512032fc3bc1200",
            "420a0a656e64735f746f74616c22270a0b0a05726f75746512022f610a0d0a06726561736f6e12036c61671a090900000000\
             00007042220b1a0909000000000000d03f",
            "1a0a0b6167655f7365636f6e647312094e6f6e65207965742e1801",
            "c4010a0b6c61675f7365636f6e647312044c61672e180422740a0b0a05726f75746512022f613a6508ac0211000000000000\
             16401a001a0b080111000000000000d03f1a0c08c8011100000000000004401a0c08ac0211000000000000f07f2804310000\
             00000000e03f38016205089d0110016205080a10ac026a06028c03c701007a090880a4a7da0610f40322370a070a05726f75\
             74653a2c1a0911000000000000f03f1a0911000000000000f07f280431000000000000e03f7a090880a4a7da0610f403",
            "390a0a6275696c645f696e666f120a576861742072756e732e1801221d0a100a0776657273696f6e1205312e322e33120909\
             000000000000f03f",
        ];
        for (shown, expected) in families().into_iter().zip(expected) {
            let name = shown.name;
            let written = encode([shown].into_iter(), UNIX_EPOCH + Duration::new(1_800_000_000, 500));
            let written: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(written, expected, "{name}");
        }
    }
}
