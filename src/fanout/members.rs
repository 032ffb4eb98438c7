//! The clients of a shard and the groups that they are in.

use super::batch::Framing;
use super::client::{Client, State};
use super::group::{Group, GroupId, Number};
use super::keys::{ClientKey, GroupKey};
use super::shard::ShardInbox;
use super::sink::Sink;
use super::table::Table;
use super::terms::Terms;
use crate::hub::{Feed, Seat};
use crate::replay::Seq;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// The clients of a shard and their groups. Every client is in a group, and every group has a client.
#[derive(Debug)]
pub(super) struct Members {
    clients: Table<ClientKey, Client>,
    groups: Table<GroupKey, Group>,
    by_id: HashMap<GroupId, GroupKey>,
    /// The number of groups that there ever were.
    numbered: u64,
}

impl Members {
    pub(super) fn new() -> Self {
        Self { clients: Table::new(), groups: Table::new(), by_id: HashMap::new(), numbered: 0 }
    }

    /// A client and its group. `None`: the client has gone.
    pub(super) fn of(&mut self, key: ClientKey) -> Option<(&mut Client, &mut Group)> {
        let client = self.clients.get_mut(key)?;
        let group = self.groups.get_mut(client.group)?;
        Some((client, group))
    }

    /// Where a client's bytes go. `None`: the client has gone.
    pub(super) fn sink(&self, key: ClientKey) -> Option<&Sink> {
        self.clients.get(key).map(|client| &client.sink)
    }

    /// A group. `None`: all of its clients have gone.
    pub(super) fn group(&mut self, key: GroupKey) -> Option<&mut Group> {
        self.groups.get_mut(key)
    }

    /// A group, and the clients of all groups.
    pub(super) fn group_and_clients(&mut self, key: GroupKey) -> Option<(&mut Group, &mut Table<ClientKey, Client>)> {
        Some((self.groups.get_mut(key)?, &mut self.clients))
    }

    /// The number of clients.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// The keys of at most `most` clients, from `from` on.
    pub(super) fn keys_from(&self, from: ClientKey, most: usize) -> Vec<ClientKey> {
        self.clients.keys_from(from).take(most).collect()
    }

    /// Of the key `from` and every `nth` key after it, at most `most` that name a client.
    pub(super) fn every_nth_from(&self, from: ClientKey, nth: u32, most: usize) -> Vec<ClientKey> {
        self.clients.every_nth_from(from, nth as usize).take(most).collect()
    }

    /// The key of the group for a client with this seat. The group is made if it does not exist.
    pub(super) fn group_for(
        &mut self,
        seat: &Seat,
        framing: Framing,
        terms: &Arc<dyn Terms>,
        inbox: &Arc<ShardInbox>,
        now: Instant,
    ) -> GroupKey {
        let id = (Feed::id(seat), framing);
        *self.by_id.entry(id).or_insert_with(|| {
            let key = self.groups.next_key();
            self.numbered += 1;
            let number = (key, Number(self.numbered));
            let mut group = Group::new(id, number, seat, Arc::clone(terms), inbox, now);
            // The policy may have changed while the client was on its way.
            group.renew();
            self.groups.insert(group)
        })
    }

    /// All groups.
    pub(super) fn groups_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.values_mut()
    }

    /// Puts a client into its group.
    pub(super) fn insert(&mut self, client: Client) -> ClientKey {
        if let Some(group) = self.groups.get_mut(client.group) {
            group.clients += 1;
            group.sealed += usize::from(client.sink.is_sealed());
        }
        self.clients.insert(client)
    }

    /// Removes a client, and its group if it was the last client there.
    pub(super) fn remove(&mut self, key: ClientKey) -> Option<Client> {
        let client = self.clients.remove(key)?;
        if let Some(group) = self.groups.get_mut(client.group) {
            if let State::Alone(alone) = &client.state {
                group.behind.unblock(key, alone.cursor);
            }
            group.clients -= 1;
            group.sealed -= usize::from(client.sink.is_sealed());
            if group.clients == 0 {
                self.by_id.remove(&group.id);
                self.groups.remove(client.group);
            }
        }
        Some(client)
    }

    /// Puts a client at `cursor` among those who are caught up. `had_batch`: it already has the batch of the present pass.
    pub(super) fn join(&mut self, key: ClientKey, cursor: Seq, had_batch: bool, now: Instant) {
        let Some((client, group)) = self.of(key) else { return };
        if let Some(seat) = &mut client.seat {
            group.feed.join(seat, cursor);
        }
        client.catch_up(group.caught_up.sent_to(had_batch), group.terms.pace().stall, now);
        if client.is_new && had_batch {
            group.newcomers.insert(key);
        } else {
            // It is sent the batch of the present pass.
            client.has_event(group, now);
        }
        let group = client.group;
        if let Some((group, clients)) = self.group_and_clients(group) {
            group.caught_up.join(key, had_batch, placed(clients));
        }
    }

    /// A client and its group. The client is taken off those who are caught up, if it is one of them.
    pub(super) fn apart(&mut self, key: ClientKey) -> Option<(&mut Client, &mut Group)> {
        let client = self.clients.get(key)?;
        let group = self.groups.get_mut(client.group)?;
        if let State::CaughtUp { index } = client.state {
            let left = group.caught_up.leave(index, placed(&mut self.clients));
            let client = self.clients.get_mut(key)?;
            client.leave(left);
            // A newcomer that is not on the list was sent its first event with the others.
            client.is_new &= group.newcomers.remove(&key);
        }
        Some((self.clients.get_mut(key)?, group))
    }
}

/// Stores the place of each client that moves on a roster.
fn placed(clients: &mut Table<ClientKey, Client>) -> impl FnMut(ClientKey, u32) {
    |key, index| {
        if let Some(client) = clients.get_mut(key) {
            client.state = State::CaughtUp { index };
        }
    }
}

#[cfg(any(test, fuzzing))]
impl Members {
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.groups.is_empty() && self.by_id.is_empty()
    }
}

#[cfg(test)]
impl Members {
    pub(super) fn clients(&self) -> &Table<ClientKey, Client> {
        &self.clients
    }

    pub(super) fn groups(&self) -> &Table<GroupKey, Group> {
        &self.groups
    }
}
