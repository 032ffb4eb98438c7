//! The user agent and the page of a client. Many clients share both, so there is one of each pair.

use super::text;
use hashbrown::HashTable;
use http::HeaderMap;
use http::header::{ORIGIN, REFERER, USER_AGENT};
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock, Weak};

/// The most bytes that are kept of a user agent or of a page origin.
const MOST_BYTES: usize = 256;

/// The most pairs that are looked for. A further pair is kept by its client alone.
const MOST_PAIRS: usize = 4096;

/// With fewer pairs in the table, those that no client has any more are left there.
const FEW_PAIRS: usize = 64;

/// What the browser of a client says of itself, and the page that is shown in it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Looks {
    user_agent: Option<Box<str>>,
    page_origin: Option<Box<str>>,
}

impl Looks {
    /// What these fields of a request say. `None`: they say nothing.
    pub(super) fn of(headers: &HeaderMap) -> Option<Arc<Self>> {
        let user_agent = headers.get(USER_AGENT).map(|agent| text(agent.as_bytes(), MOST_BYTES));
        let named = headers.get(ORIGIN).and_then(|origin| origin_in(origin.as_bytes()));
        let page_origin = named.or_else(|| headers.get(REFERER).and_then(|page| origin_in(page.as_bytes())));
        Self::shared(user_agent, page_origin)
    }

    /// These looks. `None`: they say nothing.
    pub(super) fn shared(user_agent: Option<Box<str>>, page_origin: Option<Box<str>>) -> Option<Arc<Self>> {
        static SHARED: LazyLock<Mutex<Pairs>> = LazyLock::new(Mutex::default);
        let looks = Self { user_agent, page_origin };
        (looks.user_agent.is_some() || looks.page_origin.is_some()).then(|| SHARED.lock().shared(looks, MOST_PAIRS))
    }

    pub(super) fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    pub(super) fn page_origin(&self) -> Option<&str> {
        self.page_origin.as_deref()
    }
}

/// The origin in a URL: its scheme, host and port. A user name, a password, a path and a query may be secrets, and are
/// left out. `null` is the origin of a page that browsers tell nobody.
fn origin_in(url: &[u8]) -> Option<Box<str>> {
    let url = text(url, MOST_BYTES);
    if &*url == "null" {
        return Some(url);
    }
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    Some(format!("{scheme}://{host}").into())
}

/// The pairs that clients have. They are held weakly, so that a pair goes with its last client.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pairs: HashTable<(u64, Weak<Looks>)>,
    hasher: RandomState,
    /// The number of pairs that were left when the table was last swept.
    left: usize,
}

impl Pairs {
    /// The pair that equals this one, or else this one. At most `most` are looked for.
    pub(super) fn shared(&mut self, looks: Looks, most: usize) -> Arc<Looks> {
        let hash = self.hasher.hash_one(&looks);
        let found =
            self.pairs.find(hash, |(of, pair)| *of == hash && pair.upgrade().is_some_and(|pair| *pair == looks));
        if let Some(pair) = found.and_then(|(_, pair)| pair.upgrade()) {
            return pair;
        }
        let looks = Arc::new(looks);
        if self.pairs.len() >= most.min(2 * self.left.max(FEW_PAIRS / 2)) {
            self.pairs.retain(|(_, pair)| pair.strong_count() > 0);
            self.left = self.pairs.len();
        }
        if self.pairs.len() < most {
            self.pairs.insert_unique(hash, (hash, Arc::downgrade(&looks)), |(hash, _)| *hash);
        }
        looks
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(user_agent: &str) -> Looks {
        Looks { user_agent: Some(user_agent.into()), page_origin: None }
    }

    #[test]
    fn clients_that_look_alike_share_one_pair_and_a_pair_goes_with_its_last_client() {
        let mut pairs = Pairs::default();
        let (one, same, other) =
            (pairs.shared(looks("a"), 9), pairs.shared(looks("a"), 9), pairs.shared(looks("b"), 9));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        let gone = Arc::downgrade(&one);
        drop((one, same));
        assert!(gone.upgrade().is_none(), "the table holds it weakly");
        assert_eq!(*pairs.shared(looks("a"), 9), looks("a"));
    }

    #[test]
    fn the_table_has_a_bound_however_many_pairs_come() {
        let mut pairs = Pairs::default();
        for at in 0..10 * MOST_PAIRS {
            drop(pairs.shared(looks(&at.to_string()), MOST_PAIRS));
            assert!(pairs.len() <= FEW_PAIRS, "{} pairs without clients are kept", pairs.len());
        }
        let kept: Vec<_> = (0..100).map(|at| pairs.shared(looks(&at.to_string()), 70)).collect();
        assert_eq!(pairs.len(), 70);
        assert_eq!(kept.iter().map(|looks| looks.user_agent().unwrap().parse::<usize>().unwrap()).sum::<usize>(), 4950);
        drop(kept);
        drop(pairs.shared(looks("one more"), 70));
        assert_eq!(pairs.len(), 1);
    }
}
