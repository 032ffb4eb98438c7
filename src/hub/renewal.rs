//! What another configuration changes of streams that are open.

use super::stream::Stream;
use super::{Hub, RouteId, StreamSettings};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl Hub {
    /// The streams of a route take another policy. Their logs are within its bounds from now on. `settings` must give
    /// events their ids in the same way as before.
    pub fn renew(&self, route: RouteId, settings: &StreamSettings) {
        for stream in self.streams_of(route) {
            stream.locked(|state| {
                state.log.renew(Arc::clone(&settings.replay), Instant::now().into_std());
                state.linger = settings.linger;
                stream.account(state)
            });
            stream.has_dropped();
            // The upkeep looks by the new age, and who waits for the stream to be abandoned by the new time.
            stream.aging.notify_one();
            stream.occupancy.notify_one();
        }
    }

    /// The route is gone. Its streams close when their last clients leave, and those without clients close at once.
    pub fn retire(&self, route: RouteId) {
        for stream in self.streams_of(route) {
            stream.locked(|state| state.linger = Duration::ZERO);
            stream.occupancy.notify_one();
        }
    }

    /// All streams may hold so many bytes together from now on.
    pub fn allow_bytes(&self, most: usize) {
        self.streams.budget.allow(most);
        self.streams.make_room();
    }

    fn streams_of(&self, route: RouteId) -> Vec<Arc<Stream>> {
        let open = self.streams.open.lock();
        open.by_number.values().filter(|stream| stream.key.route() == route).cloned().collect()
    }
}
