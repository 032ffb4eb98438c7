//! The values of labels: each is a small enumeration, so the number of series is fixed.

use super::Counter;
use std::marker::PhantomData;

/// The values of one label.
pub trait Label: Copy + 'static {
    /// All values, in the order of their definition.
    const ALL: &'static [Self];

    /// The value as it is shown.
    fn word(self) -> &'static str;

    /// The place of the value in [`Self::ALL`].
    fn index(self) -> usize;
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$value_doc])* $value,)*
        }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value),*];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

labels! {
    /// Why a client's response ended.
    Close {
        /// The client closed or reset its connection.
        Client = "client",
        /// The client fell off the log.
        Lag = "lag",
        /// The client took no byte for too long.
        Stall = "stall",
        /// The client's `max_lifetime_secs` were over.
        Lifetime = "lifetime",
        /// The process is shutting down.
        Drain = "drain",
        /// An operator ended the response or the stream through the API.
        Closed = "closed",
        /// The client may not have the stream any more.
        Auth = "auth",
        /// The origin ended the stream, or failed for too long.
        Origin = "origin",
        /// A limit was reached.
        Limit = "limit",
    }

    /// Why a client did not get events.
    Lost {
        /// The log dropped them before the client came.
        Evicted = "evicted",
        /// The log never held the client's id.
        Unknown = "unknown",
        /// The client was too slow.
        Lag = "lag",
        /// They were lost between the origin and manifold.
        Upstream = "upstream",
    }

    /// What came of a request for what the origin sent after a client's id.
    Backfilled {
        /// It met the log: the client missed nothing.
        Met = "met",
        /// It brought more than the log holds, so the client missed some of it.
        Short = "short",
        /// It did not meet the log.
        Never = "never",
        /// The origin answered this id with an error or 204, which is the client's answer.
        Refused = "refused",
    }

    /// What the upstream of a stream does.
    UpstreamPhase {
        /// An attempt to connect is under way.
        Connecting = "connecting",
        /// The origin's response head came, and events follow.
        Live = "live",
        /// The last attempt failed or the connection was lost. Another attempt follows.
        Waiting = "waiting",
    }

    /// What came of reading the configuration again.
    Reload {
        /// Something changed.
        Ok = "ok",
        /// It has errors, so the one before stays.
        Failed = "failed",
        /// It says what the one before says.
        Unchanged = "unchanged",
    }

    /// What came of a TLS handshake with a client.
    Handshake {
        /// The client has a new session.
        Full = "full",
        /// The client went on with an earlier session.
        Resumed = "resumed",
        /// The client and the gateway did not agree, or the client left.
        Failed = "failed",
        /// It took too long.
        TooSlow = "too_slow",
    }

    /// Why a request or a connection was not served.
    Refused {
        /// Every place for a connection is taken.
        Connections = "connections",
        /// The route has `max_streams` open, and a client is on each.
        Streams = "streams",
        /// The route has `limits.subscribers` clients.
        Subscribers = "subscribers",
        /// The stream has `limits.per_stream` clients.
        PerStream = "per_stream",
        /// The origin has `max_upstreams` connections, and none ended in time.
        Upstreams = "upstreams",
        /// The client's address has `server.limits.per_address` connections.
        PerAddress = "per_address",
        /// The client's address opens more than `server.limits.new_per_address_per_sec`.
        NewPerAddress = "new_per_address",
        /// The process is shutting down.
        Drain = "drain",
        /// The stream ended while the client was about to join it.
        Ended = "ended",
        /// The origin failed, or its answer is no stream to pass on.
        Origin = "origin",
        /// The head of the request is too large, came too slowly or is malformed.
        Head = "head",
        /// No route serves the request.
        Route = "route",
        /// The method, or what the client accepts, does not fit.
        Method = "method",
        /// The request leads back to this gateway.
        Loop = "loop",
        /// The client has no credential, or none that permits this.
        Auth = "auth",
    }
}

/// A counter, or a gauge, for each value of a label.
#[derive(Debug)]
pub struct By<L> {
    counters: Box<[Counter]>,
    of: PhantomData<L>,
}

impl<L: Label> Default for By<L> {
    fn default() -> Self {
        Self { counters: L::ALL.iter().map(|_| Counter::default()).collect(), of: PhantomData }
    }
}

impl<L: Label> By<L> {
    /// Adds one.
    pub fn add_one(&self, label: L) {
        self.of(label, |counter| counter.add(1));
    }

    /// Subtracts one from a gauge.
    pub fn sub_one(&self, label: L) {
        self.of(label, Counter::sub_one);
    }

    /// The present value for a label.
    pub fn value(&self, label: L) -> u64 {
        self.counters.get(label.index()).map_or(0, Counter::value)
    }

    /// All values together.
    pub fn total(&self) -> u64 {
        self.counters.iter().map(Counter::value).sum()
    }

    /// The present value for every label.
    pub fn values(&self) -> Vec<(&'static str, u64)> {
        L::ALL.iter().map(|label| (label.word(), self.value(*label))).collect()
    }

    fn of(&self, label: L, change: impl FnOnce(&Counter)) {
        if let Some(counter) = self.counters.get(label.index()) {
            change(counter);
        }
    }
}
