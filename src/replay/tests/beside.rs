//! The log beside its oracle: both take the same steps.

use super::oracle::Oracle;
use super::*;
use crate::replay::trimmed;

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// An event, with or without an `id` line, and with padding.
    Event(Option<&'static str>, usize),
    /// An event with an id that never came before.
    Fresh,
    /// A block with only an id. `None`: an id that never came before.
    Checkpoint(Option<&'static str>),
    Mark,
    Wait(u64),
    /// A client comes that begins so many entries before the end.
    Join(usize),
    /// One of the clients reads up to so many entries.
    Read(usize, usize),
    /// One of the clients is slow, or leaves.
    Leave(usize),
    /// All logs hold too much together, and this one is to cost no more than so many bytes.
    GiveUp(usize),
    /// The process ends and another one begins, after so many seconds. No client is left.
    Restart(u64),
}

/// The log and the oracle, side by side.
pub(super) struct Both {
    pub(super) tape: Tape,
    pub(super) oracle: Oracle,
    /// The number of entries appended. Each event contains its number, so that no two are equal.
    appended: usize,
}

impl Both {
    pub(super) fn new(options: &ReplayOptions, base: &'static str) -> Self {
        Self { tape: Tape::resumed(options.clone(), base), oracle: Oracle::new(options.clone(), base), appended: 0 }
    }

    pub(super) fn take(&mut self, step: &Step) {
        let fresh = format!("f{}", self.appended);
        if matches!(step, Step::Event(..) | Step::Fresh | Step::Checkpoint(_) | Step::Mark) {
            self.begin_batch();
        }
        let (id, padding) = match step {
            Step::Event(id, padding) => (*id, *padding),
            Step::Fresh => (Some(&*fresh), 0),
            Step::Checkpoint(id) => {
                self.appended += 1;
                self.checkpoint(id.unwrap_or(&fresh));
                return;
            }
            Step::Mark => {
                self.tape.append_mark();
                self.oracle.append(None, "!", cost_of(&lost()), self.tape.now);
                return;
            }
            Step::Wait(secs) => {
                self.tape.now += Duration::from_secs(*secs);
                self.tape.log.expire(self.tape.now, ALL);
                self.oracle.expire(self.tape.now);
                return;
            }
            Step::GiveUp(most) => {
                self.tape.log.give_up(*most);
                self.oracle.give_up(*most);
                return;
            }
            Step::Restart(secs) => return self.restart(*secs),
            Step::Join(_) | Step::Read(..) | Step::Leave(_) => return self.client(step),
        };
        let data = format!("{}{}", self.appended, ".".repeat(padding));
        let line = id.map_or_else(String::new, |id| format!("id: {id}|"));
        for event in decode(&mut self.tape.decoder, &format!("{line}data: {data}||")) {
            let effective = String::from_utf8_lossy(trimmed(&event.last_event_id)).into_owned();
            let behind = Some(&*effective).filter(|id| !id.is_empty()).map(|id| format!("~{id}"));
            let minted = format!("~e-{}{}", self.oracle.all.len(), behind.unwrap_or_default());
            let borne = match self.tape.log.options().ids {
                IdPolicy::Origin => effective,
                IdPolicy::Auto => {
                    let id = id.map(|id| id.trim_matches([' ', '\t'])).filter(|id| !id.is_empty());
                    id.map_or(minted, str::to_owned)
                }
            };
            let before = self.tape.log.end();
            self.tape.append(&event);
            let mut newest = Vec::new();
            self.tape.log.read(before, ALL, &mut newest).unwrap();
            self.oracle.append(Some(borne), &data, cost_of(&newest[0]), self.tape.now);
        }
        self.appended += 1;
    }

    /// What clients that keep up do.
    fn client(&mut self, step: &Step) {
        let Self { tape, oracle, .. } = self;
        let count = oracle.holders.len().max(1);
        match step {
            Step::Join(back) => {
                let at = oracle.all.len().saturating_sub(*back).max(oracle.first);
                tape.log.hold(Seq(at as u64));
                oracle.holders.push(at);
                return;
            }
            Step::Read(client, most) => {
                let Some(holder) = oracle.holders.get_mut(client % count) else { return };
                let to = oracle.all.len().min(*holder + most);
                if to == *holder {
                    return;
                }
                tape.log.move_hold(Seq(*holder as u64), Seq(to as u64));
                *holder = to;
            }
            _ => {
                let Step::Leave(client) = step else { return };
                let Some(at) = oracle.holders.get(client % count).copied() else { return };
                oracle.holders.remove(client % count);
                tape.log.release(Seq(at as u64), 1);
            }
        }
        oracle.let_go();
    }

    /// The log goes through a snapshot.
    fn restart(&mut self, secs: u64) {
        let Self { tape, oracle, .. } = self;
        let taken = tape.now;
        let bytes = rmp_serde::to_vec(&tape.log.snapshot(taken)).unwrap();
        tape.now += Duration::from_secs(secs);
        let snapshot = rmp_serde::from_slice(&bytes).unwrap();
        let options = Arc::new(tape.log.options().clone());
        let delivery = std::mem::take(&mut tape.log.delivery);
        tape.log = ReplayLog::restored(options, &snapshot, taken, tape.now).unwrap();
        tape.log.delivery = delivery;
        oracle.holders.clear();
        oracle.expire(tape.now);
        oracle.let_go();
    }

    fn begin_batch(&mut self) {
        let Self { tape, oracle, .. } = self;
        tape.log.begin_batch();
        oracle.begin_batch(tape.log.delivery.together, tape.log.delivery.beside);
    }

    fn checkpoint(&mut self, id: &str) {
        for checkpoint in decode(&mut self.tape.decoder, &format!("id: {id}||")) {
            self.tape.append(&checkpoint);
            let compared = id.trim_matches([' ', '\t']);
            let is_there = self.oracle.all.last().is_some_and(|newest| newest.id.as_deref() == Some(compared));
            if !is_there && (self.tape.log.options().ids == IdPolicy::Origin || !compared.is_empty()) {
                let cost = cost_of(&Frame::of_text(format!("id: {id}||").as_bytes()));
                self.oracle.checkpoint(compared, cost, self.tape.now);
            }
        }
    }

    /// Fails unless the log holds and gives what the oracle says.
    pub(super) fn compare(&self) {
        let Self { tape, oracle, .. } = self;
        assert_eq!(tape.log.oldest(), Seq(oracle.first as u64));
        assert_eq!(tape.log.end(), Seq(oracle.all.len() as u64));
        assert_eq!(tape.log.start(), Seq(oracle.start() as u64));
        for cursor in 0..=oracle.all.len() {
            let given = tape.from(Seq(cursor as u64));
            assert_eq!(Some(given).filter(|given| !given.starts_with("behind")), oracle.from(cursor));
        }
        let ids = oracle.all.iter().filter_map(|entry| entry.id.as_deref()).filter(|id| !id.is_empty());
        for id in ids.chain(["a", " a", "never", "~e-0", "~e-3", "~e-99", "~f-3", "~f-3~a", "~f-3~never"]) {
            assert_eq!(tape.position(id), oracle.position(id), "{id}");
        }
    }
}
