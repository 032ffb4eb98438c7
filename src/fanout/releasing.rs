//! Clients that shards give up, in parts: who takes them need not wait for the last.
//!
//! ```text
//!   a shard ── Part::add ──▶ ┌───────────┐
//!   a shard ── Part::add ──▶ │ Releasing │ ── next ──▶ a thread that sends them away
//!   a shard ── dropped ────▶ └───────────┘    None: all shards are done
//! ```

use super::moving::Released;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;

/// What shards have given up so far.
#[derive(Debug)]
pub struct Releasing {
    parts: Mutex<Parts>,
    changed: Condvar,
}

#[derive(Debug)]
struct Parts {
    /// What nobody has taken yet.
    waiting: VecDeque<Released>,
    /// The shards that are not done.
    shards: usize,
}

/// What one shard gives up. When this value is dropped, the shard is done.
#[derive(Debug)]
pub(super) struct Part(Arc<Releasing>);

impl Releasing {
    /// No shard has clients.
    #[must_use]
    pub fn nothing() -> Arc<Self> {
        let parts = Mutex::new(Parts { waiting: VecDeque::new(), shards: 0 });
        Arc::new(Self { parts, changed: Condvar::new() })
    }

    /// The part of one more shard.
    pub(super) fn part(self: &Arc<Self>) -> Part {
        self.parts.lock().shards += 1;
        Part(Arc::clone(self))
    }

    /// The next part. The thread waits until there is one. `None`: all shards are done, and everything was taken.
    #[must_use]
    pub fn next(&self) -> Option<Released> {
        let mut parts = self.parts.lock();
        while parts.waiting.is_empty() && parts.shards > 0 {
            self.changed.wait(&mut parts);
        }
        parts.waiting.pop_front()
    }
}

impl Part {
    /// Gives these up.
    pub(super) fn add(&self, released: Released) {
        if !released.is_empty() {
            self.0.parts.lock().waiting.push_back(released);
            self.0.changed.notify_one();
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.parts.lock().shards -= 1;
        self.0.changed.notify_one();
    }
}
