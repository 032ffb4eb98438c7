//! The caught-up subscribers of one stream, which share one cursor.
//!
//! A batch is sent to them in a pass, and a pass may be interrupted: the shard slices its work, and members come and go
//! between slices. Each member's place is kept by its owner, who is told when it moves, so that nobody is looked for.

#[cfg(test)]
mod tests;

/// The members, in no order, and how far the pass over them is.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// In a pass, those before `sent` have had the batch and the others have not.
    members: Vec<u32>,
    sent: u32,
    in_pass: bool,
}

impl Roster {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a pass has begun whose end `next` has not told.
    pub(super) fn in_pass(&self) -> bool {
        self.in_pass
    }

    /// Begins a pass: nobody has had the batch. None may be under way.
    pub(super) fn begin(&mut self) {
        debug_assert!(!self.in_pass, "those who wait for the last batch would miss it");
        self.in_pass = true;
        self.sent = 0;
    }

    /// The next member that has not had the batch, which from then on counts as having had it. `None` ends the pass.
    pub(super) fn next(&mut self) -> Option<u32> {
        let next = self.members.get(self.sent as usize).filter(|_| self.in_pass).copied();
        match next {
            Some(_) => self.sent += 1,
            None => self.in_pass = false,
        }
        next
    }

    /// Whether the member at `index` has had the batch of the pass under way, if there is one.
    pub(super) fn had_batch(&self, index: u32) -> bool {
        !self.in_pass || index < self.sent
    }

    /// Adds a member. `had_batch`: it is past what the pass under way sends; without a pass that says nothing. `moved` is
    /// told the place of each member that gets another one, its own too.
    pub(super) fn join(&mut self, key: u32, had_batch: bool, mut moved: impl FnMut(u32, u32)) {
        let last = self.members.len();
        self.members.push(key);
        let place = self.sent as usize;
        if self.in_pass && had_batch {
            self.sent += 1;
            if place != last {
                self.members.swap(place, last);
                self.tell(last, &mut moved);
            }
            self.tell(place, &mut moved);
        } else {
            self.tell(last, &mut moved);
        }
    }

    /// Takes out the member at `index`, and gives its key. What the others have had stays as it is; `moved` is told the place
    /// of each that gets another one.
    ///
    /// # Panics
    ///
    /// Without a member at `index`.
    pub(super) fn leave(&mut self, index: u32, mut moved: impl FnMut(u32, u32)) -> u32 {
        let mut hole = index as usize;
        let key = self.members[hole];
        if self.in_pass && index < self.sent {
            // The last that had the batch fills the hole, so that the hole comes to lie where the others begin.
            self.sent -= 1;
            let last_sent = self.sent as usize;
            if hole != last_sent {
                self.members.swap(hole, last_sent);
                self.tell(hole, &mut moved);
                hole = last_sent;
            }
        }
        self.members.swap_remove(hole);
        if hole < self.members.len() {
            self.tell(hole, &mut moved);
        }
        key
    }

    /// Takes everyone out, and ends the pass.
    pub(super) fn clear(&mut self) -> Vec<u32> {
        self.in_pass = false;
        std::mem::take(&mut self.members)
    }

    #[expect(clippy::cast_possible_truncation, reason = "keys are u32 and each is here once at most")]
    fn tell(&self, place: usize, moved: &mut impl FnMut(u32, u32)) {
        moved(self.members[place], place as u32);
    }
}
