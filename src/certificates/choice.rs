//! Which certificate a client gets.
//!
//! ```text
//!   the name that the client asks for ──▶ exactly this name ──▶ a star for its first label ──▶ the first certificate
//! ```
//!
//! Of several certificates for a name, the client gets one whose signatures it understands: first ECDSA, then RSA.

use super::pair::Pair;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Certificates for one name, in the order of preference.
type Few = Vec<Arc<CertifiedKey>>;

/// The certificates by name.
#[derive(Debug)]
pub(super) struct Choice {
    /// For clients that ask for no name, or for one that nobody has.
    first: Few,
    exact: HashMap<String, Few>,
    /// By what follows the star.
    below: HashMap<String, Few>,
}

impl Choice {
    pub(super) fn among(pairs: &[Pair]) -> Self {
        let mut by_cost: Vec<_> = pairs.iter().collect();
        by_cost.sort_by_key(|pair| pair.kind());
        let (mut exact, mut below) = (HashMap::new(), HashMap::new());
        for pair in &by_cost {
            let names = pair.names();
            names.exact().for_each(|name| add(&mut exact, name, pair));
            names.below().for_each(|name| add(&mut below, name, pair));
        }
        // Another certificate with a name of the first one stands beside it.
        let mut first = Few::new();
        if let Some(default) = pairs.first() {
            let beside = default.names().exact().filter_map(|name| exact.get(name));
            let beside = beside.chain(default.names().below().filter_map(|name| below.get(name))).flatten();
            for certified in std::iter::once(&default.certified).chain(beside) {
                if !first.iter().any(|other| Arc::ptr_eq(other, certified)) {
                    first.push(Arc::clone(certified));
                }
            }
        }
        Self { first, exact, below }
    }

    /// The certificate for a client.
    fn of(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let few = name.and_then(|name| self.named(name)).unwrap_or(&self.first);
        let (best, others) = few.split_first()?;
        if others.is_empty() {
            return Some(best);
        }
        let is_understood = |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(schemes).is_some();
        // If the client understands none, rustls refuses it with the right alert.
        Some(few.iter().find(is_understood).unwrap_or(best))
    }

    fn named(&self, name: &str) -> Option<&Few> {
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        self.exact.get(&*name).or_else(|| self.below.get(name.split_once('.')?.1))
    }
}

/// Adds a certificate for a name. Of several with keys of one kind, the first in the configuration counts.
fn add(names: &mut HashMap<String, Few>, name: &str, pair: &Pair) {
    let few = names.entry(name.to_owned()).or_default();
    let is_of_kind = |other: &Arc<CertifiedKey>| other.key.algorithm() == pair.certified.key.algorithm();
    if !few.iter().any(is_of_kind) {
        few.push(Arc::clone(&pair.certified));
    }
}

/// The names for which an earlier certificate with a key of the same kind is used, each with the position of both in the
/// list: the unused one, and the one that is used.
pub(super) fn hidden(pairs: &[Pair]) -> Vec<(String, usize, usize)> {
    let mut hidden = Vec::new();
    for (later, pair) in pairs.iter().enumerate() {
        for name in pair.names().all() {
            let same = |other: &Pair| other.kind() == pair.kind() && other.names().all().any(|one| one == name);
            if let Some(earlier) = pairs.iter().take(later).position(same) {
                hidden.push((name, later, earlier));
            }
        }
    }
    hidden
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.of(hello.server_name(), hello.signature_schemes()).cloned()
    }
}
