//! The clients of a group that are served alone, each with a cursor of its own, and whose sockets accept no more bytes.
//! Those that can be sent something are in the shard's line.

use super::keys::ClientKey;
use crate::replay::Seq;
use std::collections::BTreeSet;

/// The clients of a group that are served alone, as far as their sockets accept no more bytes.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// The clients whose sockets accept no more bytes.
    blocked: BTreeSet<ClientKey>,
    /// Those of them that are still to be judged, by the position at which the log must begin for that.
    judged_at: BTreeSet<(Seq, ClientKey)>,
    /// Some of them may have to be judged now.
    unjudged: bool,
}

impl Behind {
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
}
