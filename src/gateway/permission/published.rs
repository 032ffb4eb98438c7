//! The keys that issuers publish (JWKS), each set fetched by one at a time.
//!
//! ```text
//!   none ──▶ fetched by who comes first, the others wait
//!   good ──▶ used
//!   old ───▶ used, and fetched again beside that. An outage keeps the last good set.
//!   a key is unknown ──▶ fetched again, if the last time is long enough ago
//! ```

use crate::auth::{ForwardUrl, JWKS_LIFETIME, KeySet};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after a fetch another one may be made because of an unknown key.
const FOR_UNKNOWN: Duration = Duration::from_secs(10);
/// How long after a fetch that failed another one is made.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// The shortest and the longest time that a set counts as new, whatever its server says.
const NEW_FOR: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// The keys of one URL, as one route uses them.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) url: Arc<ForwardUrl>,
    state: Mutex<State>,
    /// Held while the keys are fetched.
    pub(super) fetching: tokio::sync::Mutex<()>,
}

/// What is known of the keys.
#[derive(Debug, Default)]
struct State {
    /// The last good set.
    keys: Option<Arc<KeySet>>,
    /// When the set is to be fetched again.
    old_at: Option<Instant>,
    /// When it was last tried to fetch it.
    tried_at: Option<Instant>,
    /// Why that failed.
    failed: Option<Arc<str>>,
}

/// What to do for a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// Use these keys.
    Use(Arc<KeySet>),
    /// Use these keys, and fetch them again beside that.
    Renew(Arc<KeySet>),
    /// Fetch the keys, and then look again.
    Fetch,
    /// There are no keys.
    Fail(Arc<str>),
}

impl Published {
    pub(super) fn new(url: Arc<ForwardUrl>) -> Self {
        Self { url, state: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// What to do for a request. `newer`: it has a token whose key is unknown.
    pub(super) fn act(&self, newer: bool, now: Instant) -> Act {
        let state = self.state.lock();
        let since = state.tried_at.map(|tried| now.saturating_duration_since(tried));
        let may_try = |after: Duration| since.is_none_or(|since| since >= after);
        match (&state.keys, &state.failed) {
            (None, Some(why)) if !may_try(AFTER_FAILURE) => Act::Fail(Arc::clone(why)),
            (None, _) => Act::Fetch,
            (Some(_), _) if newer && may_try(FOR_UNKNOWN) => Act::Fetch,
            (Some(keys), _) if state.old_at.is_some_and(|old| old <= now) && may_try(AFTER_FAILURE) => {
                Act::Renew(Arc::clone(keys))
            }
            (Some(keys), _) => Act::Use(Arc::clone(keys)),
        }
    }

    /// Notes what came of a fetch. `lifetime`: how long the server says that the set is good. Returns whether that is to be
    /// told: the first success, and the first failure after one.
    pub(super) fn fetched(&self, came: Result<(KeySet, Option<Duration>), Arc<str>>, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.tried_at = Some(now);
        match came {
            Ok((keys, lifetime)) => {
                let is_news = state.failed.take().is_some() || state.keys.as_deref() != Some(&keys);
                let (shortest, longest) = NEW_FOR;
                state.old_at = now.checked_add(lifetime.unwrap_or(JWKS_LIFETIME).clamp(shortest, longest));
                state.keys = Some(Arc::new(keys));
                is_news
            }
            Err(why) => state.failed.replace(why).is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Algorithm, keys_of_text};

    fn keys(text: &str) -> KeySet {
        keys_of_text(text, &[Algorithm::HS256]).unwrap()
    }

    #[test]
    fn keys_are_fetched_when_needed_and_an_outage_keeps_the_last_good_set() {
        let published = Published::new(Arc::new(ForwardUrl::parse("http://127.0.0.1:1/").unwrap()));
        let begin = Instant::now();
        let at = |secs: u64| begin + Duration::from_secs(secs);
        let why: Arc<str> = "down".into();
        assert_eq!(published.act(false, at(0)), Act::Fetch);
        assert!(published.fetched(Err(Arc::clone(&why)), at(0)), "the first failure is told");
        assert_eq!(published.act(false, at(1)), Act::Fail(Arc::clone(&why)));
        assert_eq!(published.act(true, at(1)), Act::Fail(Arc::clone(&why)));
        assert_eq!(published.act(false, at(2)), Act::Fetch);
        assert!(!published.fetched(Err(why.clone()), at(2)));
        assert!(
            published.fetched(Ok((keys("one one one one one one one one "), Some(Duration::from_secs(100)))), at(4))
        );
        let one = Arc::new(keys("one one one one one one one one "));
        for (newer, secs, act) in [
            (false, 5, Act::Use(Arc::clone(&one))),
            (true, 5, Act::Use(Arc::clone(&one))),
            (true, 13, Act::Use(Arc::clone(&one))),
            (true, 14, Act::Fetch),
            (false, 103, Act::Use(Arc::clone(&one))),
            (false, 104, Act::Renew(Arc::clone(&one))),
        ] {
            assert_eq!(published.act(newer, at(secs)), act, "{newer} {secs}");
        }
        assert!(published.fetched(Err(why), at(104)));
        assert_eq!(published.act(false, at(105)), Act::Use(Arc::clone(&one)), "not again at once");
        assert_eq!(published.act(false, at(106)), Act::Renew(Arc::clone(&one)), "the last good set is kept");
        assert!(published.fetched(Ok((keys("two two two two two two two two "), None)), at(106)));
        assert_eq!(published.act(false, at(107)), Act::Use(Arc::new(keys("two two two two two two two two "))));
    }

    #[test]
    fn a_server_cannot_make_every_request_fetch() {
        let published = Published::new(Arc::new(ForwardUrl::parse("http://127.0.0.1:1/").unwrap()));
        let begin = Instant::now();
        published.fetched(Ok((keys("one one one one one one one one "), Some(Duration::ZERO))), begin);
        assert!(matches!(published.act(false, begin + Duration::from_secs(59)), Act::Use(_)));
        assert!(matches!(published.act(false, begin + Duration::from_secs(60)), Act::Renew(_)));
    }
}
