//! Those who hold something that others need more.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// Who closes a stream that no client is on, so that others have its connection. `A`: what the stream must be of. It is
/// named once, and cheap to clone.
pub struct GivesWay<A: ?Sized>(Arc<OnceLock<Box<CloseEmpty<A>>>>);

/// Begins to close such a stream. Returns whether there is one. It must not block.
type CloseEmpty<A> = dyn Fn(&A) -> bool + Send + Sync;

impl<A: ?Sized> GivesWay<A> {
    /// Names who closes such a stream. The first name counts.
    pub fn name(&self, close_empty: impl Fn(&A) -> bool + Send + Sync + 'static) {
        let is_first = self.0.set(Box::new(close_empty)).is_ok();
        debug_assert!(is_first);
    }

    /// Lets a stream give way. Returns whether there is one.
    #[must_use]
    pub fn give_way(&self, of: &A) -> bool {
        self.0.get().is_some_and(|close_empty| close_empty(of))
    }
}

impl<A: ?Sized> Default for GivesWay<A> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<A: ?Sized> Clone for GivesWay<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: ?Sized> fmt::Debug for GivesWay<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GivesWay").field(&self.0.get().is_some()).finish()
    }
}
