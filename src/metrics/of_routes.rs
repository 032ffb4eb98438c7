//! The figures of each route.

use super::figures::{Family, Read};
use crate::counters::RouteCounters;
use std::time::{Duration, Instant};

/// The figures of each route. Each has the label `route`, and none has a label for streams or clients.
pub(super) const OF_ROUTES: &[Family<RouteCounters>] = &[
    Family {
        name: "manifold_subscribers",
        help: "Clients that are on a stream now.",
        read: Read::Gauge(|of| of.subscribers.value()),
    },
    Family { name: "manifold_streams", help: "Streams that are open now.", read: Read::Gauge(|of| of.streams.value()) },
    Family {
        name: "manifold_upstreams",
        help: "Open streams, by the state of their connection to the origin.",
        read: Read::GaugeBy("phase", |of| of.upstreams.values()),
    },
    Family {
        name: "manifold_joins",
        help: "Clients that joined a stream, including those that left or were refused before their response began.",
        read: Read::Counter(|of| of.subscribers_total.value()),
    },
    Family {
        name: "manifold_opens",
        help: "Clients whose response began.",
        read: Read::Counter(|of| of.opens.value()),
    },
    Family {
        name: "manifold_closes",
        help: "Clients whose response ended, by reason.",
        read: Read::CounterBy("reason", |of| of.closes.values()),
    },
    Family {
        name: "manifold_refused_requests",
        help: "Requests that were refused.",
        read: Read::Counter(|of| of.refused.total()),
    },
    Family {
        name: "manifold_hand_overs_failed",
        help: "Clients that were lost while they were passed to the delivery engine.",
        read: Read::Counter(|of| of.hand_overs_failed.value()),
    },
    Family {
        name: "manifold_received_events",
        help: "Events from the origin that were added to a log or sent through a private stream.",
        read: Read::Counter(|of| of.events_in.value()),
    },
    Family {
        name: "manifold_received_bytes",
        help: "Bytes of event streams that came from the origin.",
        read: Read::Counter(|of| of.bytes_in.value()),
    },
    Family {
        name: "manifold_repeats_dropped",
        help: "Events from the origin that were dropped because the log already held them.",
        read: Read::Counter(|of| of.events_repeated.value()),
    },
    Family {
        name: "manifold_oversized_events",
        help: "Events from the origin that were dropped because they were larger than upstream.max_event_bytes.",
        read: Read::Counter(|of| of.events_refused.value()),
    },
    Family {
        name: "manifold_last_event_age_seconds",
        help: "Seconds since the last event from the origin. Absent before the first event.",
        read: Read::Measure(|of| of.last_event.age(Instant::now()).as_ref().map(Duration::as_secs_f64)),
    },
    Family {
        name: "manifold_log_bytes",
        help: "Memory that the replay logs use now.",
        read: Read::Gauge(|of| of.log_bytes.value()),
    },
    Family {
        name: "manifold_deliveries",
        help: "Events that were sent to clients. An event counts once for each client.",
        read: Read::Counter(|of| of.events_out.value()),
    },
    Family {
        name: "manifold_sent_bytes",
        help: "Bytes of event streams that were sent to clients, including heartbeats.",
        read: Read::Counter(|of| of.bytes_out.value()),
    },
    Family {
        name: "manifold_resumes",
        help: "Clients that resumed after their Last-Event-ID without a gap.",
        read: Read::Counter(|of| of.resumes.value()),
    },
    Family {
        name: "manifold_replayed_events",
        help: "Past events that the log held for clients when they joined.",
        read: Read::Counter(|of| of.replayed.total()),
    },
    Family {
        name: "manifold_backfills",
        help: "Requests to the origin for the events after a client's Last-Event-ID, by outcome.",
        read: Read::CounterBy("outcome", |of| of.backfills.values()),
    },
    Family {
        name: "manifold_gaps",
        help: "Gaps in what clients received, by reason. A gap with the reason upstream counts once for all clients of its stream.",
        read: Read::CounterBy("reason", |of| of.gaps.values()),
    },
    Family {
        name: "manifold_gaps_untold",
        help: "Gaps that clients were not told of, because of replay.on_gap.",
        read: Read::Counter(|of| of.gaps_untold.value()),
    },
    Family {
        name: "manifold_upstream_attempts",
        help: "Requests to the origin for a stream.",
        read: Read::Counter(|of| of.upstream_attempts.value()),
    },
    Family {
        name: "manifold_upstream_failures",
        help: "Requests to the origin that failed, and responses of the origin that broke off.",
        read: Read::Counter(|of| of.upstream_failures.value()),
    },
    Family {
        name: "manifold_upstream_reconnects",
        help: "Responses of the origin that replaced an earlier response of the same stream.",
        read: Read::Counter(|of| of.upstream_reconnects.value()),
    },
    Family {
        name: "manifold_streams_evicted",
        help: "Streams without clients that were closed to make room.",
        read: Read::Counter(|of| of.streams_evicted.value()),
    },
    Family {
        name: "manifold_unshareable_responses",
        help: "Responses of the origin that were for one client alone, although this client sent no credentials.",
        read: Read::Counter(|of| of.unshareable.value()),
    },
    Family {
        name: "manifold_delivery_lag_seconds",
        help: "Seconds from the append of an event to the log until it was written to a client that keeps up.",
        read: Read::Histogram(|of| of.delivery_lag.snapshot()),
    },
    Family {
        name: "manifold_time_to_head_seconds",
        help: "Seconds from a client's request until its response head was written.",
        read: Read::Histogram(|of| of.time_to_head.snapshot()),
    },
    Family {
        name: "manifold_time_to_first_event_seconds",
        help: "Seconds from a client's request until its first event was written.",
        read: Read::Histogram(|of| of.time_to_first_event.snapshot()),
    },
    Family {
        name: "manifold_client_lifetime_seconds",
        help: "Seconds that clients were on a stream. Each client is counted when it leaves.",
        read: Read::Histogram(|of| of.lifetimes.snapshot()),
    },
    Family {
        name: "manifold_replay_events",
        help: "Past events that the log held for a client when it joined.",
        read: Read::Histogram(|of| of.replayed.snapshot()),
    },
];
