//! Which clients may be given what the origin sends.

use super::StreamKey;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::Instant;

/// How long a key with an unshareable response is remembered. A client whose stream was closed for it reconnects
/// within this time, and must not wait for another client's response again.
const MEMORY: Duration = Duration::from_secs(60);

/// The number of keys that are remembered. The oldest are forgotten first.
const MOST_KEYS: usize = 10_000;

/// Whether a response may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// All clients of the stream may have it.
    Shared,
    /// It is for one client alone, though that client sent no credential.
    Unshareable {
        /// The response sets a cookie. The origin does not know the client yet, and will know it by the cookie.
        sets_cookie: bool,
    },
}

/// Which clients may be given what a stream holds. The first response decides it. Later it never grows: it can only
/// become empty, by closing the stream.
///
/// ```text
///               shared                        unshareable
///   Undecided ──────────▶ Everyone          Everyone ─────────────────────▶ (closed for all)
///       │    unshareable                       new cookie at a reconnect
///       ├───────────────▶ Opener            Opener ──────────────────────▶ (closed)
///       │    unshareable, the opener left
///       └───────────────▶ (closed for all)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Undecided,
    Everyone,
    /// Only the client that opened the stream.
    Opener,
}

impl Audience {
    /// Who may be given a new response. `None`: nobody on the stream may. `has_opener`: the client that opened the
    /// stream is still on it.
    ///
    /// The clients of a shared stream have their response heads already, so the new response's cookie cannot reach
    /// them, and the response is meant for none of them. An opener alone on its stream is a stranger to an origin
    /// that sets a new cookie. It must reconnect with the cookie that it has to get its own session again.
    pub(super) fn of_next(self, sharing: Sharing, has_opener: bool) -> Option<Self> {
        match (self, sharing) {
            (Self::Undecided, Sharing::Unshareable { .. }) => has_opener.then_some(Self::Opener),
            (Self::Undecided | Self::Everyone, Sharing::Shared) => Some(Self::Everyone),
            (Self::Opener, Sharing::Shared | Sharing::Unshareable { sets_cookie: false }) => Some(Self::Opener),
            (Self::Everyone, Sharing::Unshareable { .. })
            | (Self::Opener, Sharing::Unshareable { sets_cookie: true }) => None,
        }
    }

    /// Whether a client may read what the stream holds.
    pub(super) fn includes(self, is_opener: bool) -> bool {
        self != Self::Opener || is_opener
    }
}

/// The keys whose responses were unshareable a short while ago.
///
/// Only a hash of each key is kept, because a key may be long. If two keys have the same hash, a client merely gets
/// an upstream connection of its own.
#[derive(Debug, Default)]
pub(super) struct UnshareableKeys {
    hasher: RandomState,
    until: HashMap<u64, Instant>,
    /// The hashes in the order in which they are forgotten, and when.
    order: VecDeque<(u64, Instant)>,
}

impl UnshareableKeys {
    /// Remembers that a response of this key was unshareable.
    pub(super) fn note(&mut self, key: &StreamKey, now: Instant) {
        self.forget(now);
        let hash = self.hasher.hash_one(key);
        if self.until.get(&hash).is_some_and(|until| *until > now + MEMORY / 2) {
            return;
        }
        let until = now + MEMORY;
        self.until.insert(hash, until);
        self.order.push_back((hash, until));
        if self.order.len() > MOST_KEYS {
            self.forget_first();
        }
    }

    /// Whether a response of this key was unshareable a short while ago.
    pub(super) fn holds(&self, key: &StreamKey, now: Instant) -> bool {
        !self.until.is_empty() && self.until.get(&self.hasher.hash_one(key)).is_some_and(|until| *until > now)
    }

    fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(_, until)| *until <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((hash, until)) = self.order.pop_front()
            && self.until.get(&hash) == Some(&until)
        {
            self.until.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{RouteId, ShareOptions, StreamRequest};
    use http::HeaderMap;

    fn key(path: &str) -> StreamKey {
        StreamRequest::new(RouteId(0), &ShareOptions::default(), path, None, &HeaderMap::new()).key().clone()
    }

    #[test]
    fn who_may_have_a_response_is_decided_once_and_never_widened() {
        let private = Sharing::Unshareable { sets_cookie: false };
        let cookie = Sharing::Unshareable { sets_cookie: true };
        for (audience, sharing, has_opener, expected) in [
            (Audience::Undecided, Sharing::Shared, true, Some(Audience::Everyone)),
            (Audience::Undecided, Sharing::Shared, false, Some(Audience::Everyone)),
            (Audience::Undecided, private, true, Some(Audience::Opener)),
            (Audience::Undecided, cookie, true, Some(Audience::Opener)),
            (Audience::Undecided, private, false, None),
            (Audience::Undecided, cookie, false, None),
            (Audience::Everyone, Sharing::Shared, false, Some(Audience::Everyone)),
            (Audience::Everyone, private, true, None),
            (Audience::Everyone, cookie, true, None),
            (Audience::Opener, Sharing::Shared, true, Some(Audience::Opener)),
            (Audience::Opener, private, true, Some(Audience::Opener)),
            (Audience::Opener, cookie, true, None),
        ] {
            assert_eq!(audience.of_next(sharing, has_opener), expected, "{audience:?} {sharing:?} {has_opener}");
        }
        for (audience, opener, others) in
            [(Audience::Undecided, true, true), (Audience::Everyone, true, true), (Audience::Opener, true, false)]
        {
            assert_eq!((audience.includes(true), audience.includes(false)), (opener, others), "{audience:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unshareable_key_is_remembered_for_its_time_from_the_newest_response_on() {
        let begun = Instant::now();
        let mut keys = UnshareableKeys::default();
        keys.note(&key("/a"), begun);
        assert!(keys.holds(&key("/a"), begun + MEMORY - Duration::from_millis(1)));
        assert!(!keys.holds(&key("/b"), begun) && !keys.holds(&key("/a"), begun + MEMORY));
        keys.note(&key("/a"), begun + MEMORY * 3 / 4);
        assert!(keys.holds(&key("/a"), begun + MEMORY * 3 / 2));
        keys.note(&key("/b"), begun + MEMORY * 3 / 2);
        assert!(keys.holds(&key("/a"), begun + MEMORY * 3 / 2), "its older note is over, its newer one is not");
        keys.note(&key("/b"), begun + MEMORY * 2);
        assert_eq!(keys.until.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_keys_are_remembered_than_may_be() {
        let now = Instant::now();
        let mut keys = UnshareableKeys::default();
        for n in 0..=MOST_KEYS {
            keys.note(&key(&format!("/{n}")), now);
            keys.note(&key(&format!("/{n}")), now);
        }
        assert_eq!((keys.until.len(), keys.order.len()), (MOST_KEYS, MOST_KEYS));
        assert!(!keys.holds(&key("/0"), now) && keys.holds(&key("/1"), now));
    }
}
