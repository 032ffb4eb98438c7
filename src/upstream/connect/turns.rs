//! The addresses that the attempts for one stream use and have used, so that a new attempt begins at another address.

use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most addresses of ended attempts that are remembered. If an origin has more, the oldest are forgotten and count
/// as new.
const MAX_LEFT: usize = 64;

/// The addresses that attempts use now, and those that ended attempts used. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::upstream) struct Turns(Arc<Mutex<Addresses>>);

#[derive(Debug, Default)]
struct Addresses {
    /// The addresses that ended attempts used, the newest last.
    left: Vec<SocketAddr>,
    /// The addresses that attempts use now.
    at: Vec<SocketAddr>,
}

/// One attempt. Dropping it leaves the address that it uses.
#[derive(Debug)]
pub(in crate::upstream) struct Turn {
    turns: Turns,
    at: Mutex<Option<SocketAddr>>,
    is_queued: AtomicBool,
}

impl Turns {
    /// Another attempt, which has no address yet.
    pub(super) fn next(&self) -> Turn {
        Turn { turns: self.clone(), at: Mutex::default(), is_queued: AtomicBool::new(false) }
    }
}

impl Turn {
    /// Sorts addresses into the order in which this attempt uses them. First come those that no attempt has used, then
    /// those that were left the longest ago, and last those that other attempts use now.
    pub(super) fn in_turn(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let turns = self.turns.0.lock();
        let own = *self.at.lock();
        let is_anothers = |address: &SocketAddr| {
            let there = turns.at.iter().filter(|at| *at == address).count();
            there > usize::from(own == Some(*address))
        };
        let left = |address: &SocketAddr| turns.left.iter().position(|left| left == address);
        addresses.sort_by_key(|address| (is_anothers(address), left(address).map_or(0, |age| age + 1)));
        addresses
    }

    /// Notes whether the attempt waits until it may connect.
    pub(super) fn queued(&self, is_queued: bool) {
        self.is_queued.store(is_queued, Ordering::Relaxed);
    }

    /// Whether the attempt waits until it may connect. Then the origin has not been asked yet.
    pub(in crate::upstream) fn is_queued(&self) -> bool {
        self.is_queued.load(Ordering::Relaxed)
    }

    /// The attempt's request goes to this address.
    pub(super) fn goes_to(&self, address: SocketAddr) {
        let mut turns = self.turns.0.lock();
        turns.leave(self.at.lock().replace(address));
        turns.at.push(address);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.lock().leave(self.at.get_mut().take());
    }
}

impl Addresses {
    fn leave(&mut self, address: Option<SocketAddr>) {
        let Some(address) = address else { return };
        if let Some(index) = self.at.iter().position(|at| *at == address) {
            self.at.swap_remove(index);
        }
        self.left.retain(|left| *left != address);
        self.left.push(address);
        if self.left.len() > MAX_LEFT {
            self.left.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(letters: &str) -> Vec<SocketAddr> {
        letters.bytes().map(|letter| SocketAddr::from(([192, 0, 2, letter], 80))).collect()
    }

    fn address(letter: char) -> SocketAddr {
        addresses(&letter.to_string())[0]
    }

    /// The order of `abc` for a new attempt, after the steps. In a step, the number is that of an earlier attempt, and
    /// the letter the address that it goes to. `-` in place of the letter ends the attempt.
    fn order(steps: &str) -> String {
        let turns = Turns::default();
        let mut others: Vec<Option<Turn>> = (0..3).map(|_| Some(turns.next())).collect();
        for step in steps.split_whitespace() {
            let (who, letter) = (usize::from(step.as_bytes()[0] - b'0'), step.chars().nth(1).unwrap());
            match letter {
                '-' => others[who] = None,
                letter => others[who].as_ref().unwrap().goes_to(address(letter)),
            }
        }
        let ordered = turns.next().in_turn(addresses("abc"));
        ordered
            .into_iter()
            .map(|address| "abc".chars().find(|letter| self::address(*letter) == address).unwrap())
            .collect()
    }

    #[test]
    fn an_attempt_begins_where_none_is_and_where_none_has_been_for_the_longest_time() {
        for (steps, ordered) in [
            ("", "abc"),
            ("0a", "bca"),
            ("0b", "acb"),
            ("0a 1b", "cab"),
            // The addresses were left, so they are free again.
            ("0a 0-", "bca"),
            ("0a 1b 0-", "cab"),
            ("0c 0- 1b 1-", "acb"),
            ("0a 0- 1b 1- 2c", "abc"),
            // An attempt went to another address, after a redirect or because the first address failed.
            ("0a 0b", "cab"),
            ("0a 0b 1a 0-", "cba"),
            // Two attempts used one address.
            ("0a 1a 0-", "bca"),
            ("0x", "abc"),
        ] {
            assert_eq!(order(steps), ordered, "{steps}");
        }
    }

    #[test]
    fn where_an_attempt_is_itself_is_no_other_attempts_place() {
        let turns = Turns::default();
        let own = turns.next();
        own.goes_to(address('a'));
        assert_eq!(own.in_turn(addresses("abc")), addresses("abc"));
        let other = turns.next();
        other.goes_to(address('a'));
        assert_eq!(own.in_turn(addresses("abc")), addresses("bca"));
    }

    #[test]
    fn what_is_known_of_addresses_is_bounded() {
        let turns = Turns::default();
        for n in 0..1000_u16 {
            turns.next().goes_to(SocketAddr::from(([192, 0, 2, 1], n)));
        }
        assert_eq!(turns.0.lock().left.len(), MAX_LEFT);
    }
}
