//! Remembers which origins and routes have worked since this process began. Advice on the configuration is logged only
//! for routes and origins that never worked.

use super::Origin;
use parking_lot::RwLock;
use std::collections::HashSet;
use std::sync::Arc;

/// The origins that have answered, and the routes that need no advice: they work, or the advice was logged. Cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Met(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    origins: HashSet<Origin>,
    routes: HashSet<Arc<str>>,
}

impl Met {
    /// The origin answered with a head of HTTP.
    pub(super) fn answered(&self, origin: &Origin) {
        if !self.has_answered(origin) {
            self.0.write().origins.insert(origin.clone());
        }
    }

    /// Whether the origin has ever answered.
    pub(super) fn has_answered(&self, origin: &Origin) -> bool {
        self.0.read().origins.contains(origin)
    }

    /// The route works: its origin streamed.
    pub(super) fn works(&self, route: &Arc<str>) {
        if !self.0.read().routes.contains(route) {
            self.0.write().routes.insert(Arc::clone(route));
        }
    }

    /// Whether the route never worked and its advice was not logged yet. Returns true only once per route.
    pub(super) fn is_news_of(&self, route: &Arc<str>) -> bool {
        !self.0.read().routes.contains(route) && self.0.write().routes.insert(Arc::clone(route))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_news_once_and_never_after_it_worked() {
        let met = Met::default();
        let [broken, well] = ["broken", "well"].map(Arc::<str>::from);
        assert!(met.is_news_of(&broken));
        assert!(!met.is_news_of(&broken));
        met.works(&well);
        assert!(!met.is_news_of(&well));
    }

    #[test]
    fn an_origin_that_answered_is_known() {
        let (met, origin) = (Met::default(), Origin::parse("http://o").unwrap());
        assert!(!met.has_answered(&origin));
        met.answered(&origin);
        assert!(met.has_answered(&origin) && !met.has_answered(&Origin::parse("https://o").unwrap()));
    }
}
