//! The figures of each route.

use super::{Family, Read};
use crate::counters::RouteCounters;
use std::time::{Duration, Instant};

/// The figures of each route. Each has the label `route`, and none has a label for streams or clients.
pub(super) const OF_ROUTES: &[Family<RouteCounters>] = &[
    Family {
        name: "manifold_subscribers",
        help: "Clients on a stream now.",
        read: Read::Gauge(|of| of.subscribers.value()),
    },
    Family { name: "manifold_streams", help: "Streams that are held now.", read: Read::Gauge(|of| of.streams.value()) },
    Family {
        name: "manifold_upstreams",
        help: "Open streams by what their connections to the origin do now.",
        read: Read::GaugeBy("phase", |of| of.upstreams.values()),
    },
    Family {
        name: "manifold_joins",
        help: "Clients that were put on a stream, also those that left or were refused before a response began.",
        read: Read::Counter(|of| of.subscribers_total.value()),
    },
    Family {
        name: "manifold_opens",
        help: "Clients that a response was begun for.",
        read: Read::Counter(|of| of.opens.value()),
    },
    Family {
        name: "manifold_closes",
        help: "Clients whose response ended, by the reason.",
        read: Read::CounterBy("reason", |of| of.closes.values()),
    },
    Family {
        name: "manifold_refused_requests",
        help: "Requests that were answered with an error instead of a stream.",
        read: Read::Counter(|of| of.refused.total()),
    },
    Family {
        name: "manifold_hand_overs_failed",
        help: "Clients that were lost on the way to the delivery engine.",
        read: Read::Counter(|of| of.hand_overs_failed.value()),
    },
    Family {
        name: "manifold_received_events",
        help: "Events of the origin that went into a log, or through a private stream.",
        read: Read::Counter(|of| of.events_in.value()),
    },
    Family {
        name: "manifold_received_bytes",
        help: "Bytes of the origin's event streams.",
        read: Read::Counter(|of| of.bytes_in.value()),
    },
    Family {
        name: "manifold_repeats_dropped",
        help: "Events of the origin that repeated what a log held.",
        read: Read::Counter(|of| of.events_repeated.value()),
    },
    Family {
        name: "manifold_oversized_events",
        help: "Events of the origin over max_event_bytes, which were dropped.",
        read: Read::Counter(|of| of.events_refused.value()),
    },
    Family {
        name: "manifold_last_event_age_seconds",
        help: "Seconds since the last event came from the origin. Absent before the first one.",
        read: Read::Measure(|of| of.last_event.age(Instant::now()).as_ref().map(Duration::as_secs_f64)),
    },
    Family {
        name: "manifold_log_bytes",
        help: "Memory that the replay logs take now.",
        read: Read::Gauge(|of| of.log_bytes.value()),
    },
    Family {
        name: "manifold_deliveries",
        help: "Events sent, counted once for each client.",
        read: Read::Counter(|of| of.events_out.value()),
    },
    Family {
        name: "manifold_sent_bytes",
        help: "Bytes of event streams sent to clients, heartbeats included.",
        read: Read::Counter(|of| of.bytes_out.value()),
    },
    Family {
        name: "manifold_resumes",
        help: "Clients that went on after their Last-Event-ID without a gap.",
        read: Read::Counter(|of| of.resumes.value()),
    },
    Family {
        name: "manifold_replayed_events",
        help: "Events of the past that the log held for clients when they came.",
        read: Read::Counter(|of| of.replayed.total()),
    },
    Family {
        name: "manifold_backfills",
        help: "Requests for what the origin sent after a client's Last-Event-ID, by what came of them.",
        read: Read::CounterBy("outcome", |of| of.backfills.values()),
    },
    Family {
        name: "manifold_gaps",
        help: "Gaps in what clients got, by the reason. One for reason upstream is for all clients of a stream.",
        read: Read::CounterBy("reason", |of| of.gaps.values()),
    },
    Family {
        name: "manifold_gaps_untold",
        help: "Gaps that clients were not told of, because of on_gap.",
        read: Read::Counter(|of| of.gaps_untold.value()),
    },
    Family {
        name: "manifold_upstream_attempts",
        help: "Requests to the origin for a stream.",
        read: Read::Counter(|of| of.upstream_attempts.value()),
    },
    Family {
        name: "manifold_upstream_failures",
        help: "Requests to the origin that failed, and responses that broke off.",
        read: Read::Counter(|of| of.upstream_failures.value()),
    },
    Family {
        name: "manifold_upstream_reconnects",
        help: "Responses of the origin that took the place of an earlier one of their stream.",
        read: Read::Counter(|of| of.upstream_reconnects.value()),
    },
    Family {
        name: "manifold_streams_evicted",
        help: "Streams without clients that were closed to make room.",
        read: Read::Counter(|of| of.streams_evicted.value()),
    },
    Family {
        name: "manifold_unshareable_responses",
        help: "Responses of the origin for one client alone, though that client sent no credential.",
        read: Read::Counter(|of| of.unshareable.value()),
    },
    Family {
        name: "manifold_delivery_lag_seconds",
        help: "From the append of an event to the log until it was written, for clients that keep up.",
        read: Read::Histogram(|of| of.delivery_lag.snapshot()),
    },
    Family {
        name: "manifold_time_to_head_seconds",
        help: "From a client's request until its response head was written.",
        read: Read::Histogram(|of| of.time_to_head.snapshot()),
    },
    Family {
        name: "manifold_time_to_first_event_seconds",
        help: "From a client's request until its first event was written.",
        read: Read::Histogram(|of| of.time_to_first_event.snapshot()),
    },
    Family {
        name: "manifold_client_lifetime_seconds",
        help: "How long clients were on a stream, counted when they leave.",
        read: Read::Histogram(|of| of.lifetimes.snapshot()),
    },
    Family {
        name: "manifold_replay_events",
        help: "Events of the past that the log held for a client when it came.",
        read: Read::Histogram(|of| of.replayed.snapshot()),
    },
];
