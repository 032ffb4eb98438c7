//! What is known of the way to each origin, and kept from one connection to the next.

use super::pool::Pool;
use super::queue::Slots;
use super::tls::Tls;
use super::{SystemTrust, Trust};
use crate::descriptors::GivesWay;
use crate::upstream::Origin;
use parking_lot::Mutex;
use rustls::RootCertStore;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The most ways that are kept. Only configured origins have one. When a reload brings new ones, those that nobody uses
/// are dropped.
const MOST_KEPT: usize = 1024;

/// The way to one origin, for those who trust the same certificates. Base paths share a way.
#[derive(Debug)]
pub(super) struct Reach {
    tls: OnceLock<Tls>,
    /// The connections that streams share.
    pub(super) pool: Pool,
    /// The connections to the origin, whomever they trust.
    pub(super) slots: Arc<Slots>,
}

/// What tells ways apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    is_tls: bool,
    host: String,
    port: u16,
    /// The digest of the certificates that are trusted. `None`: those of the system.
    trust: Option<[u8; 32]>,
}

impl Key {
    fn is_same_origin(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }
}

/// The ways to all origins. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reaches(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    system: SystemTrust,
    /// The certificates of the system, which are read when they are first needed.
    roots: OnceLock<Arc<RootCertStore>>,
    ways: Mutex<HashMap<Key, Arc<Reach>>>,
    gives_way: GivesWay<str>,
}

impl Reaches {
    pub(super) fn new(system: SystemTrust) -> Self {
        Self(Arc::new(Kept { system, roots: OnceLock::new(), ways: Mutex::default(), gives_way: GivesWay::default() }))
    }

    /// Who gives way while connections to origins wait for others to end.
    pub(super) fn gives_way(&self) -> &GivesWay<str> {
        &self.0.gives_way
    }

    /// The way to an origin. `trust`: the certificates that are trusted instead of the system's.
    pub(super) fn to(&self, origin: &Origin, trust: Option<&Trust>) -> Arc<Reach> {
        let (is_tls, host, port) = (origin.is_tls(), origin.bare_host().to_ascii_lowercase(), origin.port());
        let key = Key { is_tls, host, port, trust: trust.filter(|_| is_tls).map(Trust::digest) };
        let mut ways = self.0.ways.lock();
        if let Some(way) = ways.get(&key) {
            return Arc::clone(way);
        }
        if ways.len() >= MOST_KEPT {
            ways.retain(|_, way| Arc::strong_count(way) > 1 || Arc::strong_count(&way.slots) > 1);
        }
        let other = ways.iter().find(|(other, _)| key.is_same_origin(other));
        let slots =
            other.map_or_else(|| Slots::new(origin, self.0.gives_way.clone()), |(_, other)| Arc::clone(&other.slots));
        let way = Arc::new(Reach { tls: OnceLock::new(), pool: Pool::default(), slots });
        ways.insert(key, Arc::clone(&way));
        way
    }

    /// What TLS connections on this way have in common. The arguments are those that the way was found by.
    ///
    /// # Errors
    /// See [`Tls::new`].
    pub(super) fn tls<'a>(&self, way: &'a Reach, origin: &Origin, trust: Option<&Trust>) -> pingora::Result<&'a Tls> {
        if let Some(tls) = way.tls.get() {
            return Ok(tls);
        }
        let tls = Tls::new(origin, trust, &self.roots())?;
        Ok(way.tls.get_or_init(|| tls))
    }

    fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(self.0.roots.get_or_init(|| Arc::new(self.0.system.roots())))
    }
}
