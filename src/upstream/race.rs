//! The race of an origin's addresses: which address is connected to, and when (RFC 8305, "happy eyeballs").
//!
//! ```text
//!             due: nothing runs, 250 ms since the last start, or the last one failed
//!   waiting ────────────────────────────────────────────────▶ running ──failed──▶ gone
//!      ▲                                                         │
//!      │ another one won: behind all that wait                   │ won
//!      └─────────────────────────────────────────────────────────┴─▶ in use, and no more in the race
//! ```
//!
//! A winner whose exchange fails is gone, and the race goes on with the other addresses. Every address is used at most
//! once, unless [`Race::again`] puts it back.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a connection attempt is alone before the next address is tried beside it (RFC 8305 section 5).
pub(super) const HEAD_START: Duration = Duration::from_millis(250);

/// The most addresses that are tried in one attempt. If a name has more, each attempt begins at a random address, so
/// further attempts try the others.
pub(super) const MAX_ADDRESSES: usize = 64;

/// The order in which addresses are tried. It begins at a random address, the address families take turns, and no
/// address comes twice.
pub(super) fn in_order(found: &[SocketAddr], random: usize) -> Vec<SocketAddr> {
    let start = random.checked_rem(found.len()).unwrap_or_default();
    let (before, from) = found.split_at(start);
    let mut rest: VecDeque<SocketAddr> = VecDeque::new();
    for address in from.iter().chain(before) {
        if !rest.contains(address) {
            rest.push_back(*address);
        }
        if rest.len() == MAX_ADDRESSES {
            break;
        }
    }
    let mut order: Vec<SocketAddr> = Vec::with_capacity(rest.len());
    while let Some(first) = rest.front() {
        let is_v6 = order.last().map_or_else(|| first.is_ipv6(), |last| !last.is_ipv6());
        let next = rest.iter().position(|address| address.is_ipv6() == is_v6).unwrap_or_default();
        order.extend(rest.remove(next));
    }
    order
}

/// The addresses that are left for one attempt, and those that are being connected to.
#[derive(Debug, Default)]
pub(super) struct Race {
    waiting: VecDeque<SocketAddr>,
    running: Vec<SocketAddr>,
    /// When the next address may be tried beside those that run. `None`: at once.
    due: Option<Instant>,
}

/// The next step of a race.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Connect to this address, beside those that run.
    Start(SocketAddr),
    /// Wait for those that run, at most until this instant.
    Wait(Option<Instant>),
    /// No address is left.
    Over,
}

impl Race {
    /// A race of these addresses.
    pub(super) fn new(order: Vec<SocketAddr>) -> Self {
        Self { waiting: order.into(), ..Self::default() }
    }

    /// The address that is next.
    pub(super) fn next(&self) -> Option<SocketAddr> {
        self.waiting.front().copied()
    }

    /// Puts the address that won in front again, so that it is used once more.
    pub(super) fn again(&mut self, address: SocketAddr) {
        self.waiting.push_front(address);
    }

    /// The step that is to be taken now.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if !self.running.is_empty()
            && let Some(due) = self.due.filter(|due| *due > now)
        {
            return Step::Wait(Some(due).filter(|_| !self.waiting.is_empty()));
        }
        match self.waiting.pop_front() {
            Some(address) => {
                self.running.push(address);
                self.due = Some(now + HEAD_START);
                Step::Start(address)
            }
            None if self.running.is_empty() => Step::Over,
            None => Step::Wait(None),
        }
    }

    /// Notes that this address cannot be connected to. The next address is due at once.
    pub(super) fn failed(&mut self, address: SocketAddr) {
        self.running.retain(|running| *running != address);
        self.due = None;
    }

    /// Notes that this address is connected. The others that ran are given up, and wait again behind the rest.
    pub(super) fn won(&mut self, address: SocketAddr) {
        let losers = std::mem::take(&mut self.running);
        self.waiting.extend(losers.into_iter().filter(|loser| *loser != address));
        self.due = None;
    }
}

/// A connection being made.
pub(super) type Connecting<C, E> = Pin<Box<dyn Future<Output = Result<C, E>> + Send>>;

/// Runs the race until an address is connected. Connections that are still being made are then dropped. `None`: no
/// address is left. With `one_by_one` it is also `None` when an address failed and no other runs. `failed` is called
/// for each address that cannot be connected to.
pub(super) async fn run<C, E>(
    race: &mut Race,
    one_by_one: bool,
    connect: impl Fn(SocketAddr) -> Connecting<C, E>,
    mut failed: impl FnMut(SocketAddr, E),
) -> Option<(SocketAddr, C)> {
    let mut running: Vec<(SocketAddr, Connecting<C, E>)> = Vec::new();
    loop {
        let until = match race.step(Instant::now()) {
            Step::Start(address) => {
                running.push((address, connect(address)));
                continue;
            }
            Step::Wait(until) => until,
            Step::Over => return None,
        };
        let (address, connected) = tokio::select! {
            biased;
            done = first(&mut running) => done,
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => continue,
        };
        match connected {
            Ok(connection) => {
                race.won(address);
                return Some((address, connection));
            }
            Err(error) => {
                race.failed(address);
                failed(address, error);
                if one_by_one && running.is_empty() {
                    return None;
                }
            }
        }
    }
}

/// Waits for the first connection attempt that ends, and removes it from the list.
async fn first<C, E>(running: &mut Vec<(SocketAddr, Connecting<C, E>)>) -> (SocketAddr, Result<C, E>) {
    std::future::poll_fn(|context| {
        for at in 0..running.len() {
            if let Some((address, connecting)) = running.get_mut(at)
                && let std::task::Poll::Ready(connected) = connecting.as_mut().poll(context)
            {
                let address = *address;
                drop(running.swap_remove(at));
                return std::task::Poll::Ready((address, connected));
            }
        }
        std::task::Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// The addresses of the letters: `a`, `b` and `c` are of IPv4, `A`, `B` and `C` are of IPv6.
    fn address(letter: char) -> SocketAddr {
        let n = letter.to_ascii_lowercase() as u8 - b'a' + 1;
        if letter.is_ascii_uppercase() { format!("[2001:db8::{n}]:80") } else { format!("192.0.2.{n}:80") }
            .parse()
            .unwrap()
    }

    fn addresses(letters: &str) -> Vec<SocketAddr> {
        letters.chars().map(address).collect()
    }

    fn letter(address: SocketAddr) -> char {
        "abcdABCD".chars().find(|letter| self::address(*letter) == address).unwrap()
    }

    #[test]
    fn the_order_begins_anywhere_and_the_families_take_turns() {
        for (found, random, order) in [
            ("", 0, ""),
            ("", 7, ""),
            ("a", usize::MAX, "a"),
            ("abc", 0, "abc"),
            ("abc", 1, "bca"),
            ("abc", 5, "cab"),
            ("ABab", 0, "AaBb"),
            ("ABab", 1, "BaAb"),
            ("ABab", 2, "aAbB"),
            ("ABCa", 0, "AaBC"),
            ("ABCa", 3, "aABC"),
            ("aabab", 0, "ab"),
        ] {
            let ordered: String = in_order(&addresses(found), random).into_iter().map(letter).collect();
            assert_eq!(ordered, order, "{found} from {random}");
        }
    }

    #[test]
    fn more_addresses_than_are_tried_are_left_for_another_attempt() {
        let many: Vec<SocketAddr> = (0..200_u8).map(|n| SocketAddr::from(([192, 0, 2, n], 80))).collect();
        let order = in_order(&many, 150);
        assert_eq!((order.len(), order[0], order[MAX_ADDRESSES - 1]), (MAX_ADDRESSES, many[150], many[13]));
    }

    /// Plays a script against a race of these addresses and records its steps. In the script, `+` and a number are
    /// milliseconds that pass, `x` and a letter an address that failed, `=` and a letter an address that won. In the
    /// record, `S` is a start, `W` a wait with its end in milliseconds since the beginning, and `O` the end of the
    /// race.
    fn played(letters: &str, script: &[&str]) -> String {
        let begun = Instant::now();
        let mut now = begun;
        let mut race = Race::new(addresses(letters));
        let mut record = Vec::new();
        let mut steps = |race: &mut Race, now: Instant| loop {
            match race.step(now) {
                Step::Start(address) => record.push(format!("S{}", letter(address))),
                Step::Wait(Some(until)) => break record.push(format!("W{}", (until - begun).as_millis())),
                Step::Wait(None) => break record.push("W".to_owned()),
                Step::Over => break record.push("O".to_owned()),
            }
        };
        steps(&mut race, now);
        for line in script {
            let (what, rest) = line.split_at(1);
            match what {
                "+" => now += Duration::from_millis(rest.parse().unwrap()),
                "x" => race.failed(address(rest.parse().unwrap())),
                "=" => race.won(address(rest.parse().unwrap())),
                _ => unreachable!(),
            }
            steps(&mut race, now);
        }
        record.join(" ")
    }

    #[test]
    fn the_next_attempt_is_due_after_a_while_or_a_failure_and_losers_wait_again() {
        for (letters, script, record) in [
            ("", &[][..], "O"),
            ("a", &["xa"], "Sa W O"),
            ("a", &["+900", "xa"], "Sa W W O"),
            // An address that refuses costs no time.
            ("abc", &["xa", "+10", "xb", "xc"], "Sa W250 Sb W250 W250 Sc W O"),
            // An address that never answers costs 250 ms, and its attempt goes on beside the next.
            ("abc", &["+249", "+1", "+250", "+9000", "xb"], "Sa W250 W250 Sb W500 Sc W W W"),
            ("abc", &["+250", "xa", "xb", "xc"], "Sa W250 Sb W500 Sc W W O"),
            // The exchange of the winner failed. The next address is due, and the losers come last.
            ("ab", &["=a", "=b"], "Sa W250 Sb W O"),
            ("abcd", &["+250", "=b", "xc", "+1000"], "Sa W250 Sb W500 Sc W500 Sd W500 Sa W"),
        ] {
            assert_eq!(played(letters, script), record, "{letters} {script:?}");
        }
    }

    /// Runs a race on the paused clock. An address of `up` is connected after its number of milliseconds, one of `down`
    /// fails after its number, and any other never answers. Returns the winner, the failures in order, and the time
    /// that the race took.
    async fn ran(letters: &str, up: &[(char, u64)], down: &[(char, u64)]) -> (Option<char>, String, u128) {
        let (up, down) = (up.to_vec(), down.to_vec());
        let begun = Instant::now();
        let connect = move |address| -> Connecting<(), ()> {
            let after = |list: &[(char, u64)]| {
                list.iter().find(|(up, _)| *up == letter(address)).map(|(_, after)| Duration::from_millis(*after))
            };
            let (up, down) = (after(&up), after(&down));
            Box::pin(async move {
                match up.or(down) {
                    Some(after) => tokio::time::sleep(after).await,
                    None => std::future::pending().await,
                }
                up.map(|_| ()).ok_or(())
            })
        };
        let mut failures = String::new();
        let mut race = Race::new(addresses(letters));
        let won = run(&mut race, false, connect, |address, ()| failures.push(letter(address))).await;
        (won.map(|(address, ())| letter(address)), failures, begun.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn a_black_hole_costs_its_head_start_and_no_more() {
        assert_eq!(ran("a", &[('a', 3)], &[]).await, (Some('a'), String::new(), 3));
        assert_eq!(ran("Aa", &[('a', 3)], &[]).await, (Some('a'), String::new(), 253));
        assert_eq!(ran("ABa", &[('a', 0)], &[]).await, (Some('a'), String::new(), 500));
        // An address that is late may still win.
        assert_eq!(ran("ab", &[('a', 300), ('b', 100)], &[]).await, (Some('a'), String::new(), 300));
        assert_eq!(ran("abc", &[('c', 1)], &[('a', 2), ('b', 3)]).await, (Some('c'), "ab".to_owned(), 6));
        assert_eq!(ran("ab", &[], &[('a', 5000), ('b', 10)]).await, (None, "ba".to_owned(), 5000));
    }

    #[tokio::test(start_paused = true)]
    async fn one_by_one_the_race_stops_at_a_failure() {
        let connect = |address| -> Connecting<(), char> { Box::pin(std::future::ready(Err(letter(address)))) };
        let mut race = Race::new(addresses("ab"));
        for expected in ['a', 'b'] {
            let mut failures = Vec::new();
            assert_eq!(run(&mut race, true, connect, |_, letter| failures.push(letter)).await, None);
            assert_eq!(failures, [expected]);
        }
        assert_eq!(race.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn losers_are_dropped() {
        let held = Arc::new(());
        let connect = {
            let held = Arc::clone(&held);
            move |address| -> Connecting<(), ()> {
                let held = Arc::clone(&held);
                Box::pin(async move {
                    let wait = if letter(address) == 'c' { Duration::ZERO } else { Duration::from_secs(9) };
                    tokio::time::sleep(wait).await;
                    drop(held);
                    Ok(())
                })
            }
        };
        let mut race = Race::new(addresses("abc"));
        let won = run(&mut race, false, connect, |_, ()| unreachable!()).await;
        assert_eq!(won.map(|(address, ())| letter(address)), Some('c'));
        assert_eq!(Arc::strong_count(&held), 1, "no connection is being made any more");
        assert_eq!(race.next(), Some(address('a')), "the losers are left in case the winner fails");
    }
}
