//! The sends of the passes of several groups, which are made together.
//!
//! Small streams have few clients, and their events often come at about the same time. One system call for all of them
//! costs less than one for each.

use super::batch::Batch;
use super::keys::{ClientKey, GroupKey};
use std::sync::Arc;

/// The number of sends in a wave at which it is sent.
const FULL: usize = 64;

/// The sends that wait.
#[derive(Debug, Default)]
pub(super) struct Wave {
    slices: Vec<Slice>,
    /// The clients that are sent to, each with the index of its slice.
    clients: Vec<(usize, ClientKey)>,
}

/// A slice of a group's pass.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) group: GroupKey,
    pub(super) batch: Arc<Batch>,
    /// The number of clients that take the whole batch, as far as is known.
    pub(super) whole: u64,
}

impl Wave {
    pub(super) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Whether the wave is to be sent before anything is added.
    pub(super) fn is_full(&self) -> bool {
        self.clients.len() >= FULL
    }

    /// Adds the sends of a batch to the clients of a group. The group must have no slice here, because a client that
    /// stops in one batch must not be sent the next. Returns the number of clients.
    pub(super) fn add(
        &mut self,
        group: GroupKey,
        batch: Arc<Batch>,
        clients: impl Iterator<Item = ClientKey>,
    ) -> usize {
        debug_assert!(self.slices.iter().all(|slice| slice.group != group));
        let (index, before) = (self.slices.len(), self.clients.len());
        self.clients.extend(clients.map(|client| (index, client)));
        let added = self.clients.len() - before;
        self.slices.push(Slice { group, batch, whole: added as u64 });
        added
    }

    /// The clients, each with its number here and the batch that it is sent.
    pub(super) fn sends(&self) -> impl Iterator<Item = (usize, ClientKey, &Arc<Batch>)> {
        let numbered = self.clients.iter().enumerate();
        numbered.filter_map(|(number, (slice, client))| Some((number, *client, &self.slices.get(*slice)?.batch)))
    }

    /// The client with this number did not take its whole batch. Returns the client and the batch.
    pub(super) fn stopped(&mut self, number: usize) -> Option<(ClientKey, Arc<Batch>)> {
        let (slice, client) = *self.clients.get(number)?;
        let slice = self.slices.get_mut(slice)?;
        slice.whole -= 1;
        Some((client, Arc::clone(&slice.batch)))
    }

    /// Empties the wave. Returns the slices.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = Slice> {
        self.clients.clear();
        self.slices.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Framing;
    use super::super::keys::Key;
    use super::*;
    use crate::replay::Seq;
    use crate::sse::Frame;

    fn batch(text: &'static [u8]) -> Arc<Batch> {
        Arc::new(Batch::new(Framing::Chunked, Seq(0), Seq(1), vec![Frame::of_text(text)]))
    }

    #[test]
    fn each_client_is_sent_the_batch_of_its_group_and_those_that_stop_are_not_counted() {
        let mut wave = Wave::default();
        let clients = |from, to| (from..to).map(ClientKey::of);
        assert_eq!(wave.add(GroupKey::of(7), batch(b": a\n"), clients(0, 2)), 2);
        assert_eq!(wave.add(GroupKey::of(5), batch(b": bc\n"), clients(8, 9)), 1);
        assert_eq!(wave.add(GroupKey::of(6), batch(b": c\n"), clients(0, 0)), 0);
        let sends: Vec<_> = wave.sends().map(|(number, key, batch)| (number, key.index(), batch.bytes.len())).collect();
        assert_eq!(sends, [(0, 0, 9), (1, 1, 9), (2, 8, 10)]);
        assert!(wave.stopped(1).is_some_and(|(key, batch)| key == ClientKey::of(1) && batch.bytes.len() == 9));
        assert!(wave.stopped(3).is_none());
        let slices: Vec<_> = wave.finish().map(|slice| (slice.group.index(), slice.whole)).collect();
        assert_eq!(slices, [(7, 1), (5, 1), (6, 0)]);
        assert!(wave.is_empty() && wave.sends().next().is_none());
    }

    #[test]
    fn a_wave_with_many_clients_is_full() {
        let mut wave = Wave::default();
        for (group, full) in [(0, false), (1, true)] {
            wave.add(GroupKey::of(group), batch(b": a\n"), (0..32).map(ClientKey::of));
            assert_eq!(wave.is_full(), full);
        }
    }
}
