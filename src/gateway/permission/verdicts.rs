//! The answers of authorisation services, for as long as they are good. A question that is under way is asked once: whoever
//! else has it waits for the same answer.

use crate::auth::{Denial, Verdict};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// The most questions whose answers are kept, or awaited, at a time.
const MOST: usize = 10_000;

/// The answer to one question, as soon as it is there.
pub(super) type Cell = Arc<OnceCell<Answer>>;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// Until when others may have it.
    pub(super) good_until: Instant,
}

/// The answers of authorisation services.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<HashMap<[u8; 32], Cell>>);

impl Verdicts {
    /// The place for the answer to a question. Who fills it asks the question. `None`: too many questions are under way.
    pub(super) fn place(&self, question: [u8; 32], now: Instant) -> Option<Cell> {
        let mut cells = self.0.lock();
        let is_good = |cell: &Cell| cell.get().is_none_or(|answer| now < answer.good_until);
        if let Some(cell) = cells.get(&question).filter(|cell| is_good(cell)) {
            return Some(Arc::clone(cell));
        }
        if cells.len() >= MOST {
            // A cell that is empty and that nobody else has was given up.
            cells.retain(|_, cell| is_good(cell) && (cell.initialized() || Arc::strong_count(cell) > 1));
        }
        if cells.len() >= MOST
            && let Some(soonest) = soonest(&cells)
        {
            cells.remove(&soonest);
        }
        if cells.len() >= MOST {
            return None;
        }
        let cell = Cell::default();
        cells.insert(question, Arc::clone(&cell));
        Some(cell)
    }

    /// Forgets the answer to a question, so that it is asked again.
    pub(super) fn forget(&self, question: &[u8; 32]) {
        self.0.lock().remove(question);
    }
}

/// The question whose answer is good for the shortest time.
fn soonest(cells: &HashMap<[u8; 32], Cell>) -> Option<[u8; 32]> {
    let answered = cells.iter().filter_map(|(question, cell)| Some((cell.get()?.good_until, *question)));
    answered.min().map(|(_, question)| question)
}

impl Answer {
    /// An answer that others may have for as long as it says.
    pub(super) fn new(verdict: Verdict, lifetime: Option<Duration>, now: Instant) -> Self {
        let good_until = now.checked_add(lifetime.unwrap_or_default()).unwrap_or(now);
        Self { verdict, good_until }
    }

    /// The verdict for a client that comes now. What is left of its lifetime is the client's.
    pub(super) fn verdict_at(&self, now: Instant) -> Verdict {
        match self.verdict.clone() {
            Verdict::Allowed { permission, lifetime } => {
                let left = self.good_until.saturating_duration_since(now).max(Duration::from_millis(1));
                let lifetime = lifetime.filter(|lifetime| !lifetime.is_zero()).map(|_| left);
                Verdict::Allowed { permission, lifetime }
            }
            denied @ Verdict::Denied(_) => denied,
        }
    }

    /// The service could not be asked.
    pub(super) fn unavailable(why: Arc<str>, now: Instant) -> Self {
        Self::new(Verdict::Denied(Denial::Unavailable(why)), None, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Claims, Permission};
    use crate::caller::Grant;

    fn answer(secs: u64, now: Instant) -> Answer {
        Answer::new(Verdict::Denied(Denial::Forbidden), Some(Duration::from_secs(secs)), now)
    }

    fn question(number: usize) -> [u8; 32] {
        let mut question = [0; 32];
        question[..8].copy_from_slice(&number.to_be_bytes());
        question
    }

    #[test]
    fn an_answer_is_shared_while_it_is_awaited_and_while_it_is_good() {
        let (verdicts, now) = (Verdicts::default(), Instant::now());
        let first = verdicts.place([1; 32], now).unwrap();
        let second = verdicts.place([1; 32], now).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &verdicts.place([2; 32], now).unwrap()));
        first.set(answer(5, now)).unwrap();
        for (secs, is_same) in [(0, true), (4, true), (5, false)] {
            let later = verdicts.place([1; 32], now + Duration::from_secs(secs)).unwrap();
            assert_eq!(Arc::ptr_eq(&first, &later), is_same, "{secs}");
        }
    }

    #[test]
    fn a_client_that_comes_later_has_what_is_left() {
        let now = Instant::now();
        let allowed = |lifetime: Option<u64>| {
            let permission = Permission { grant: Grant::default(), claims: Claims::default() };
            let lifetime = lifetime.map(Duration::from_secs);
            Answer::new(Verdict::Allowed { permission, lifetime }, lifetime, now)
        };
        for (lifetime, later, left) in [
            (Some(60), 0, Some(60_000)),
            (Some(60), 50, Some(10_000)),
            (Some(60), 60, Some(1)),
            (Some(60), 90, Some(1)),
            (Some(0), 1, None),
            (None, 1, None),
        ] {
            let Verdict::Allowed { lifetime: found, .. } =
                allowed(lifetime).verdict_at(now + Duration::from_secs(later))
            else {
                panic!("denied")
            };
            assert_eq!(found, left.map(Duration::from_millis), "{lifetime:?} {later}");
        }
    }

    #[test]
    fn the_number_of_answers_is_bounded_and_the_one_that_ends_first_goes() {
        let (verdicts, now) = (Verdicts::default(), Instant::now());
        for number in 0..MOST {
            verdicts.place(question(number), now).unwrap().set(answer(100 + number as u64, now)).unwrap();
        }
        let kept = verdicts.place(question(1), now).unwrap();
        verdicts.place(question(MOST), now).unwrap();
        assert!(Arc::ptr_eq(&kept, &verdicts.place(question(1), now).unwrap()));
        assert_eq!(verdicts.0.lock().len(), MOST);
        assert!(!verdicts.0.lock().contains_key(&question(0)));
    }

    #[test]
    fn questions_under_way_are_bounded_too() {
        let (verdicts, now) = (Verdicts::default(), Instant::now());
        let under_way: Vec<_> = (0..MOST).map(|number| verdicts.place(question(number), now).unwrap()).collect();
        assert!(verdicts.place(question(MOST), now).is_none());
        drop(under_way);
        assert!(verdicts.place(question(MOST), now).is_some(), "those were given up");
    }
}
