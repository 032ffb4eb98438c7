//! The clients of a group that are served alone, each with a cursor of its own.

use super::batch::Batch;
use super::keys::ClientKey;
use crate::replay::Seq;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// The clients of a group that are served alone.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// The clients that can be sent something. The queue may name clients that have left.
    ready: VecDeque<ClientKey>,
    /// The clients whose sockets accept no more bytes.
    blocked: BTreeSet<ClientKey>,
    /// The batch that was last built for one of them. Many clients that resume at the same position share it.
    replayed: Option<Arc<Batch>>,
}

impl Behind {
    /// Whether a client can be sent something.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next client that can be sent something. After the last one, the shared batch is given up.
    pub(super) fn next(&mut self) -> Option<ClientKey> {
        let next = self.ready.pop_front();
        if next.is_none() {
            self.replayed = None;
        }
        next
    }

    /// A client can be sent something.
    pub(super) fn ready(&mut self, key: ClientKey) {
        self.ready.push_back(key);
    }

    /// Clients can be sent something.
    pub(super) fn all_ready(&mut self, keys: &[ClientKey]) {
        self.ready.extend(keys);
    }

    /// The socket of a client accepts no more bytes.
    pub(super) fn block(&mut self, key: ClientKey) {
        self.blocked.insert(key);
    }

    /// The socket of a client accepts bytes again, or the client has left.
    pub(super) fn unblock(&mut self, key: ClientKey) {
        self.blocked.remove(&key);
    }

    /// The clients whose sockets accept no more bytes, from `from` on.
    pub(super) fn blocked_from(&self, from: ClientKey) -> impl Iterator<Item = ClientKey> {
        self.blocked.range(from..).copied()
    }

    /// The batch that was last built, if it begins at `cursor`.
    pub(super) fn replayed(&self, cursor: Seq) -> Option<Arc<Batch>> {
        self.replayed.clone().filter(|batch| batch.from == cursor)
    }

    /// Keeps a batch for others that resume at its position.
    pub(super) fn keep(&mut self, batch: &Arc<Batch>) {
        self.replayed = Some(Arc::clone(batch));
    }
}
