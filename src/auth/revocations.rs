//! What was revoked, until it would have expired anyway.

use crate::caller::{Grant, TicketId};
use crate::millis::unix_millis;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// The most revocations that are remembered at a time.
const MOST: usize = 100_000;

/// Whose permission is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Whom {
    /// All credentials of a subject that were issued by now. A later one is another.
    Subject(Box<str>),
    /// The token with this id.
    Token(Box<str>),
    /// The ticket with this id.
    Ticket(TicketId),
}

/// A revocation. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Whose permission is revoked.
    pub whom: Whom,
    /// When it was revoked.
    pub at: u64,
    /// How long it is remembered.
    pub until: u64,
}

/// What was revoked.
#[derive(Debug, Default)]
pub struct Revocations {
    /// Whether there are any. Without, nobody waits for the lock.
    are_any: AtomicBool,
    known: Mutex<HashMap<Whom, Revocation>>,
}

/// What was revoked, on its way to another process.
pub type RevocationsState = Vec<Revocation>;

impl Whom {
    /// Whether a permission is this one's.
    #[must_use]
    pub fn is_of(&self, grant: &Grant) -> bool {
        match self {
            Self::Subject(subject) => grant.subject.as_ref() == Some(subject),
            Self::Token(id) => grant.token_id.as_ref() == Some(id),
            Self::Ticket(id) => grant.ticket == Some(*id),
        }
    }
}

impl Revocation {
    /// Whether it revokes this permission.
    #[must_use]
    pub fn revokes(&self, grant: &Grant) -> bool {
        let is_later = matches!(self.whom, Whom::Subject(_)) && grant.issued.is_some_and(|issued| issued > self.at);
        self.whom.is_of(grant) && !is_later
    }
}

impl Revocations {
    /// Remembers a revocation. `false`: too many are remembered.
    #[must_use]
    pub fn add(&self, revocation: Revocation) -> bool {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            let now = revocation.at;
            known.retain(|_, one| one.until > now);
        }
        if known.len() >= MOST && !known.contains_key(&revocation.whom) {
            return false;
        }
        let latest = known.get(&revocation.whom).map_or(0, |before| before.until);
        let until = revocation.until.max(latest);
        known.insert(revocation.whom.clone(), Revocation { until, ..revocation });
        self.are_any.store(true, Ordering::Release);
        true
    }

    /// Whether a permission was revoked.
    #[must_use]
    pub fn revokes(&self, grant: &Grant, now: SystemTime) -> bool {
        if !self.are_any.load(Ordering::Acquire) {
            return false;
        }
        let keys = [
            grant.subject.clone().map(Whom::Subject),
            grant.token_id.clone().map(Whom::Token),
            grant.ticket.map(Whom::Ticket),
        ];
        let (known, now) = (self.known.lock(), unix_millis(now) / 1000);
        keys.into_iter().flatten().filter_map(|key| known.get(&key)).any(|one| now < one.until && one.revokes(grant))
    }

    /// The number of those that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.lock().len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, for another process.
    #[must_use]
    pub fn state(&self) -> RevocationsState {
        self.known.lock().values().cloned().collect()
    }

    /// Goes on where another process was.
    pub fn take(&self, state: RevocationsState) {
        for one in state {
            _ = self.add(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn grant(subject: &str, token: &str, ticket: u8, issued: u64) -> Grant {
        Grant {
            subject: Some(subject.into()),
            token_id: Some(token.into()),
            ticket: Some(TicketId([ticket; 16])),
            issued: (issued > 0).then_some(issued),
            ..Grant::default()
        }
    }

    #[test]
    fn what_was_revoked_is_remembered_until_its_end() {
        let revocations = Revocations::default();
        let alice = grant("alice", "t1", 1, 5);
        assert!(!revocations.revokes(&alice, at(10)));
        for whom in [Whom::Subject("alice".into()), Whom::Token("t2".into()), Whom::Ticket(TicketId([3; 16]))] {
            assert!(revocations.add(Revocation { whom, at: 10, until: 20 }));
        }
        for (grant, now, is_revoked) in [
            (&alice, 11, true),
            (&alice, 19, true),
            (&alice, 20, false),
            (&grant("alice", "t9", 9, 10), 11, true),
            (&grant("alice", "t9", 9, 0), 11, true),
            // A token that was issued later is another.
            (&grant("alice", "t9", 9, 11), 11, false),
            (&grant("bob", "t2", 9, 11), 11, true),
            (&grant("bob", "t9", 3, 11), 11, true),
            (&grant("bob", "t9", 9, 5), 11, false),
            (&Grant::default(), 11, false),
        ] {
            assert_eq!(revocations.revokes(grant, at(now)), is_revoked, "{grant:?} {now}");
        }
    }

    #[test]
    fn no_revocation_is_forgotten_before_its_end() {
        let revocations = Revocations::default();
        let whom = Whom::Subject("alice".into());
        assert!(revocations.add(Revocation { whom: whom.clone(), at: 0, until: 1_000 }));
        assert!(revocations.add(Revocation { whom, at: 5, until: 10 }));
        assert!(revocations.revokes(&grant("alice", "", 0, 5), at(999)));
        for number in 1..MOST {
            assert!(revocations.add(Revocation { whom: Whom::Token(number.to_string().into()), at: 0, until: 100 }));
        }
        let another = |at, until| Revocation { whom: Whom::Token("another".into()), at, until };
        assert!(!revocations.add(another(99, 200)), "all are remembered yet");
        assert!(revocations.add(another(100, 200)));
        assert!(revocations.revokes(&grant("alice", "", 0, 5), at(999)));
        assert_eq!(revocations.len(), 2);
    }

    #[test]
    fn revocations_go_on_in_another_process() {
        let (revocations, other) = (Revocations::default(), Revocations::default());
        assert!(revocations.add(Revocation { whom: Whom::Token("t".into()), at: 10, until: 20 }));
        let bytes = rmp_serde::to_vec(&revocations.state()).unwrap();
        other.take(rmp_serde::from_slice(&bytes).unwrap());
        assert!(other.revokes(&grant("a", "t", 0, 0), at(15)));
    }
}
