//! How a proxied request waits until it may make a connection.
//!
//! It waits a little at a time. In between, pingora looks for a kept connection of another request, which may have
//! become free. The request keeps its place in the queues.

use super::places::{Held, Places};
use super::queue::Slots;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a request waits before a kept connection is looked for, and how often it waits so long. Then it waits for
/// longer, as many times again at most: pingora asks for no more than `MAX_PEERS` peers.
const SHORT_WAIT: Duration = Duration::from_millis(20);
const SHORT_WAITS: u32 = 32;

type Waiting = Pin<Box<dyn Future<Output = Option<Held>> + Send>>;

/// The admission of one proxied request.
#[derive(Default)]
pub(super) struct Admission {
    waiting: Option<Waiting>,
    begun: Option<Instant>,
    waits: u32,
}

/// What came of a wait.
#[derive(Debug)]
pub(super) enum Admitted {
    /// The connection may be made.
    Now(Held),
    /// Not yet: a kept connection is looked for first.
    NotYet(Admission),
    /// Nothing came in time.
    Never,
}

impl Admission {
    /// Waits for a while. `n`: the number of descriptors of the connection.
    pub(super) async fn wait(
        self,
        (places, slots): (&Places, &Arc<Slots>),
        (most, n): (usize, usize),
        patience: Duration,
    ) -> Admitted {
        let now = Instant::now();
        let begun = self.begun.unwrap_or(now);
        let Some(left) = patience.checked_sub(now - begun).filter(|left| !left.is_zero()) else {
            return Admitted::Never;
        };
        let mut waiting = self.waiting.unwrap_or_else(|| {
            let (places, slots) = (places.clone(), Arc::clone(slots));
            Box::pin(async move {
                let slot = slots.turn(most).await;
                let place = places.take(n, patience).await?;
                Some(Held::new(place, Arc::new(slot)))
            })
        });
        let wait = if self.waits < SHORT_WAITS { SHORT_WAIT } else { SHORT_WAIT.max(patience / SHORT_WAITS) };
        match timeout(wait.min(left), &mut waiting).await {
            Ok(Some(held)) => Admitted::Now(held),
            Ok(None) => Admitted::Never,
            Err(_) => Admitted::NotYet(Self { waiting: Some(waiting), begun: Some(begun), waits: self.waits + 1 }),
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("begun", &self.begun).finish_non_exhaustive()
    }
}
