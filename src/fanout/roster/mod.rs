//! The roster: the caught-up clients of one group, which share one cursor.
//!
//! A batch is sent to all members in one pass. A pass may be interrupted, because the shard slices its work, and
//! members come and go between slices. Each member stores its own place on the roster and is told when the place
//! changes, so no member has to be searched for.

#[cfg(test)]
mod tests;

use super::keys::ClientKey;

/// The members, and the progress of the pass over them.
///
/// ```text
///   during a pass:   │ had the batch │ have not had it │ joined with the batch │
///                    0             sent               end                     all
/// ```
///
/// Nobody's place comes later than it was, unless it joined during the pass. So a crowd that joins gets each batch after
/// those who were here before.
#[derive(Debug, Default)]
pub(super) struct Roster {
    members: Vec<ClientKey>,
    /// During a pass, the members from here on have not had the batch.
    sent: u32,
    /// During a pass, the members from here on have had the batch, because they joined with it.
    end: u32,
    in_pass: bool,
}

impl Roster {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a pass is under way. It ends when `next` returns `None`.
    pub(super) fn in_pass(&self) -> bool {
        self.in_pass
    }

    /// Begins a pass: no member has had the batch. No other pass may be under way.
    #[expect(clippy::cast_possible_truncation, reason = "keys are u32 and each is here once at most")]
    pub(super) fn begin(&mut self) {
        debug_assert!(!self.in_pass, "members that wait for the last batch would miss it");
        self.in_pass = true;
        self.sent = 0;
        self.end = self.members.len() as u32;
    }

    /// The next member that has not had the batch. It counts as having had it from now on. `None` ends the pass.
    pub(super) fn next(&mut self) -> Option<ClientKey> {
        let has_next = self.in_pass && self.sent < self.end;
        let next = self.members.get(self.sent as usize).filter(|_| has_next).copied();
        match next {
            Some(_) => self.sent += 1,
            None => self.in_pass = false,
        }
        next
    }

    /// Whether the member at `index` has had the batch. Without a pass, every member has.
    pub(super) fn had_batch(&self, index: u32) -> bool {
        !self.in_pass || !(self.sent..self.end).contains(&index)
    }

    /// Adds a member. `had_batch`: the member has already had the batch of the present pass; without a pass this
    /// means nothing. `moved` is called with the key and the new place of each member that moves, also of the new
    /// one.
    pub(super) fn join(&mut self, key: ClientKey, had_batch: bool, mut moved: impl FnMut(ClientKey, u32)) {
        let last = self.members.len();
        self.members.push(key);
        let end = self.end as usize;
        if self.in_pass && !had_batch {
            self.end += 1;
            if end != last {
                self.members.swap(end, last);
                self.tell(end, &mut moved);
            }
        }
        self.tell(last, &mut moved);
    }

    /// Removes the member at `index` and returns its key. Which of the others have had the batch does not change.
    /// `moved` is called with the key and the new place of each member that moves.
    ///
    /// # Panics
    ///
    /// If there is no member at `index`.
    pub(super) fn leave(&mut self, index: u32, mut moved: impl FnMut(ClientKey, u32)) -> ClientKey {
        let mut hole = index as usize;
        let key = self.members[hole];
        let mut fill = |roster: &mut Self, with: u32| {
            let with = with as usize;
            if hole != with {
                roster.members.swap(hole, with);
                roster.tell(hole, &mut moved);
                hole = with;
            }
        };
        if self.in_pass && index < self.sent {
            // The last member that had the batch fills the hole. The hole then lies where the members without the
            // batch begin.
            self.sent -= 1;
            fill(self, self.sent);
        }
        if self.in_pass && index < self.end {
            // The last member without the batch fills the hole, which then lies where those begin who joined with it.
            self.end -= 1;
            fill(self, self.end);
        }
        self.members.swap_remove(hole);
        if hole < self.members.len() {
            self.tell(hole, &mut moved);
        }
        key
    }

    /// Removes at most `most` members. No pass may be under way.
    pub(super) fn take(&mut self, most: usize) -> Vec<ClientKey> {
        debug_assert!(!self.in_pass, "some of them would miss the batch");
        self.members.split_off(self.members.len().saturating_sub(most))
    }

    #[expect(clippy::cast_possible_truncation, reason = "keys are u32 and each is here once at most")]
    fn tell(&self, place: usize, moved: &mut impl FnMut(ClientKey, u32)) {
        moved(self.members[place], place as u32);
    }
}
