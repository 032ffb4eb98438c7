//! The figures in Prometheus' protobuf: messages of the type `io.prometheus.client.MetricFamily`, each after its length.
//! The numbers of the fields are those of Prometheus' `metrics.proto`.
//!
//! The library of Prometheus can write them, too. But for that it builds a compiler of protobuf, and with it some forty
//! crates.

use super::figures::{Figure, Number, Value};
use super::now::Shown;
use crate::counters::Snapshot;
use prometheus_client::metrics::MetricType;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes families. `created`: since when the histograms count.
pub(super) fn encode(families: impl Iterator<Item = Shown>, created: SystemTime) -> Vec<u8> {
    let created = timestamp(created);
    let mut written = Message::default();
    for shown in families {
        written.delimited(&family(&shown, &created));
    }
    written.0
}

fn family(shown: &Shown, created: &Message) -> Message {
    let (suffix, kind) = match shown.kind {
        MetricType::Counter => ("_total", 0),
        MetricType::Gauge => ("", 1),
        MetricType::Unknown => ("", 3),
        MetricType::Histogram => ("", 4),
        // Prometheus shows words as the labels of a gauge that is 1.
        MetricType::Info => ("_info", 1),
    };
    let mut message = Message::default();
    message.text(1, &format!("{}{suffix}", shown.name));
    message.text(2, shown.help);
    message.whole(3, kind);
    for figure in &shown.figures {
        message.message(4, &metric(figure, created));
    }
    message
}

fn metric(Figure { labels, value }: &Figure, created: &Message) -> Message {
    let mut message = Message::default();
    for (name, value) in labels {
        let mut pair = Message::default();
        pair.text(1, name);
        pair.text(2, value);
        message.message(1, &pair);
    }
    match value {
        Value::Gauge(number) => message.message(2, &of_number(*number)),
        Value::Info => message.message(2, &of_number(Number::Whole(1))),
        Value::Counter(number) => message.message(3, &of_number(*number)),
        Value::Histogram(snapshot) => message.message(7, &histogram(snapshot, created)),
    }
    message
}

/// A gauge or a counter.
#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn of_number(number: Number) -> Message {
    let mut message = Message::default();
    message.real(
        1,
        match number {
            Number::Whole(n) => n as f64,
            Number::Real(n) => n,
        },
    );
    message
}

fn histogram(snapshot: &Snapshot, created: &Message) -> Message {
    let Snapshot { sum, count, classic, schema, zero: (zero_threshold, zero_count), spans, deltas } = snapshot;
    let mut message = Message::default();
    message.whole(1, *count);
    message.real(2, *sum);
    let mut upto = 0;
    for (bound, count) in classic {
        upto += count;
        let mut bucket = Message::default();
        bucket.whole(1, upto);
        bucket.real(2, *bound);
        message.message(3, &bucket);
    }
    message.signed(5, (*schema).into());
    message.real(6, *zero_threshold);
    message.whole(7, *zero_count);
    for (offset, length) in spans {
        let mut span = Message::default();
        span.signed(1, (*offset).into());
        span.whole(2, (*length).into());
        message.message(12, &span);
    }
    if !deltas.is_empty() {
        let mut packed = Message::default();
        deltas.iter().for_each(|delta| packed.varint(zigzag(*delta)));
        message.message(13, &packed);
    }
    message.message(15, created);
    message
}

fn timestamp(time: SystemTime) -> Message {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut message = Message::default();
    message.whole(1, since.as_secs());
    message.whole(2, since.subsec_nanos().into());
    message
}

/// The bytes of a message (protobuf.dev, "Encoding"). A field with its default value, which is zero or empty, is not
/// written, except if it is a message.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

/// How the bytes of a field end.
#[derive(Debug, Clone, Copy)]
enum WireType {
    Varint = 0,
    Fixed64 = 1,
    /// After their length.
    Bytes = 2,
}

impl Message {
    /// Seven bits in each byte, the lowest first. The highest bit of a byte says that another one follows.
    fn varint(&mut self, mut number: u64) {
        loop {
            let low = (number & 0x7f) as u8;
            number >>= 7;
            if number == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn tag(&mut self, field: u64, wire_type: WireType) {
        self.varint(field << 3 | wire_type as u64);
    }

    fn whole(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.tag(field, WireType::Varint);
            self.varint(number);
        }
    }

    fn signed(&mut self, field: u64, number: i64) {
        self.whole(field, zigzag(number));
    }

    fn real(&mut self, field: u64, number: f64) {
        if number != 0.0 {
            self.tag(field, WireType::Fixed64);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.tag(field, WireType::Bytes);
            self.bytes(text.as_bytes());
        }
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.tag(field, WireType::Bytes);
        self.delimited(message);
    }

    fn delimited(&mut self, message: &Self) {
        self.bytes(&message.0);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

/// The numbers 0, -1, 1, -2 as 0, 1, 2, 3, so that small negative numbers are short.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
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
