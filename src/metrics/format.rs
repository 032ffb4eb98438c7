//! The formats of the figures, and which one is asked for.

use super::now::Now;
use super::protobuf;
use crate::fields::parts;
use bytes::Bytes;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use std::fmt;

/// A format of the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text, version 0.0.4.
    Text,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
    /// Prometheus' protobuf. Only it has native histograms.
    Protobuf,
}

impl Format {
    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The format that an `Accept` field asks for. Of several it is the one with the highest weight (RFC 9110, section
    /// 12.5.1), and of equal ones the first. Who asks for none of them is given text.
    #[must_use]
    pub fn asked_for(accept: Option<&str>) -> Self {
        let mut best = (0.0, Self::Text);
        for range in parts(accept.unwrap_or_default().as_bytes(), b',') {
            let mut parts = parts(range, b';').map(|part| String::from_utf8_lossy(part).to_ascii_lowercase());
            let media_type = parts.next().unwrap_or_default();
            let parameters: Vec<_> = parts.collect();
            let value = |name: &str| {
                let mut named = parameters.iter().filter_map(|parameter| parameter.split_once('='));
                named.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().trim_matches('"').to_owned())
            };
            let Some(format) = Self::of(&media_type, value) else { continue };
            let weight = value("q").map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    fn of(media_type: &str, parameter: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is = |name: &str, fits: &[&str]| parameter(name).is_none_or(|value| fits.contains(&&*value));
        match media_type {
            "application/vnd.google.protobuf"
                if is("proto", &["io.prometheus.client.metricfamily"]) && is("encoding", &["delimited"]) =>
            {
                Some(Self::Protobuf)
            }
            "application/openmetrics-text" if is("version", &["1.0.0", "0.0.1"]) => Some(Self::OpenMetrics),
            "text/plain" if is("version", &["0.0.4"]) => Some(Self::Text),
            "text/*" | "*/*" => Some(Self::Text),
            _ => None,
        }
    }

    pub(super) fn encode(self, now: Now) -> Result<Bytes, fmt::Error> {
        if self == Self::Protobuf {
            return Ok(protobuf::encode(now.families(), now.created).into());
        }
        let (mut registry, mut written) = (Registry::default(), String::new());
        registry.register_collector(Box::new(now));
        match self {
            Self::OpenMetrics => text::encode(&mut written, &registry)?,
            _ => prometheus_text::encode(&mut written, &registry)?,
        }
        Ok(written.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_with_the_highest_weight_is_given() {
        use Format::{OpenMetrics, Protobuf, Text};
        for (accept, expected) in [
            (None, Text),
            (Some(""), Text),
            (Some("*/*"), Text),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Text),
            (Some("application/json"), Text),
            (Some("text/plain"), Text),
            // What Prometheus sends without and with native histograms.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                     text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                OpenMetrics,
            ),
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                     application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Protobuf,
            ),
            (Some("application/openmetrics-text; version=1.0.0; escaping=allow-utf-8, text/plain; q=0.2"), OpenMetrics),
            (Some("application/openmetrics-text; version=\"1.0.0\""), OpenMetrics),
            (Some("application/vnd.google.protobuf;q=0.2,text/plain;q=0.3"), Text),
            (Some("application/vnd.google.protobuf;encoding=text"), Text),
            (
                Some(
                    "application/vnd.google.protobuf;proto=another;encoding=delimited,application/openmetrics-text;q=0.1",
                ),
                OpenMetrics,
            ),
            (Some("application/openmetrics-text;version=2.0.0"), Text),
            (Some("application/openmetrics-text;q=0"), Text),
            (Some("application/openmetrics-text;q=oops"), Text),
        ] {
            assert_eq!(Format::asked_for(accept), expected, "{accept:?}");
        }
    }
}
