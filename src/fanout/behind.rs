//! The clients of a group that are served alone, each with a cursor of its own.

use super::batch::Batch;
use super::keys::ClientKey;
use crate::replay::Seq;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// The clients of a group that are served alone.
#[derive(Debug)]
pub(super) struct Behind {
    /// The clients that can be sent something. The queue may name clients that have left.
    ready: VecDeque<ClientKey>,
    /// The clients whose sockets accept no more bytes.
    blocked: BTreeSet<ClientKey>,
    /// Those of them that are still to be judged, by the position at which the log must begin for that.
    judged_at: BTreeSet<(Seq, ClientKey)>,
    /// Some of them may have to be judged now.
    unjudged: bool,
    /// The batch that was last built for one of them. Many clients that resume at the same position share it.
    replayed: Option<Arc<Batch>>,
}

impl Behind {
    pub(super) fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            blocked: BTreeSet::new(),
            judged_at: BTreeSet::new(),
            unjudged: false,
            replayed: None,
        }
    }

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

    /// The socket of a client at `cursor` accepts no more bytes.
    pub(super) fn block(&mut self, key: ClientKey, cursor: Seq) {
        self.blocked.insert(key);
        self.judge_at(cursor, key);
    }

    /// The socket of a client at `cursor` accepts bytes again, or the client has left.
    pub(super) fn unblock(&mut self, key: ClientKey, cursor: Seq) {
        self.blocked.remove(&key);
        self.judged_at.remove(&(cursor, key));
        self.judged_at.remove(&(cursor.plus(1), key));
    }

    /// A client is to be judged as soon as the log begins at `seq` or later. That is first so at the client's cursor,
    /// when the frame in whose middle it is may be gone, and then at the next position, when its next frame is gone.
    pub(super) fn judge_at(&mut self, seq: Seq, key: ClientKey) {
        self.judged_at.insert((seq, key));
    }

    /// The log may have dropped frames that a client needs.
    pub(super) fn has_dropped(&mut self) {
        self.unjudged = !self.judged_at.is_empty();
    }

    /// Whether a client may have to be judged now.
    pub(super) fn is_unjudged(&self) -> bool {
        self.unjudged
    }

    /// Some of the clients that are to be judged, because the log begins at `readable`. The others cost nothing.
    pub(super) fn judge(&mut self, readable: impl FnOnce() -> Seq, most: usize) -> Option<(Seq, Vec<ClientKey>)> {
        self.unjudged = false;
        self.judged_at.first()?;
        let readable = readable();
        let mut judged = Vec::new();
        while let Some((_, key)) = self.judged_at.first().copied().filter(|(at, _)| *at <= readable) {
            if judged.len() == most {
                self.unjudged = true;
                break;
            }
            self.judged_at.pop_first();
            judged.push(key);
        }
        Some((readable, judged))
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
