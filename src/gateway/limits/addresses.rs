//! What each client address has taken: its connections, and how fast it opens new ones.
//!
//! An IPv6 client may use every address of its network, so the addresses of a /64 count as one. The rate is a token
//! bucket: an address may open as many connections at once as it may open in a second.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// The table is divided into so many parts, each with a lock of its own.
const PARTS: usize = 16;

/// A part with fewer addresses is never swept.
///
/// A sweep drops the addresses that are kept only for their rate, so that a flood of addresses does not grow the table.
/// It looks at every address of the part. So the next one waits until the part has twice as many as this one left.
const SWEPT_FROM: usize = 4096;

/// A client address as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::gateway) enum Block {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

impl From<IpAddr> for Block {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(bits) => Ipv4Addr::from_bits(*bits).fmt(f),
            Self::V6(bits) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*bits) << 64)),
        }
    }
}

/// Why an address may not open a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Over {
    /// It has as many connections as it may.
    PerAddress(Block),
    /// It opened as many in the last second as it may.
    NewPerAddress(Block),
}

/// The limits of every address, and what each has taken.
#[derive(Debug)]
pub(in crate::gateway) struct Addresses {
    most: AtomicUsize,
    /// The bits of the number of new connections a second. Infinite: no limit.
    rate: AtomicU64,
    parts: [Mutex<Part>; PARTS],
}

/// A part of the table.
#[derive(Debug)]
struct Part {
    taken: HashMap<Block, Taken>,
    /// The next address that is new is preceded by a sweep if there are so many.
    sweep_at: usize,
    /// The addresses that all sweeps looked at.
    #[cfg(test)]
    steps: usize,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            taken: HashMap::new(),
            sweep_at: SWEPT_FROM,
            #[cfg(test)]
            steps: 0,
        }
    }
}

/// What one address has taken.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Taken {
    open: usize,
    /// The connections that it may open at once, as of `at`.
    tokens: f64,
    at: Instant,
}

impl Taken {
    fn fill(&mut self, rate: f64, now: Instant) {
        self.tokens = (self.tokens + now.saturating_duration_since(self.at).as_secs_f64() * rate).min(rate);
        self.at = now;
    }
}

/// One connection or request of an address. Dropping it gives it back.
#[derive(Debug)]
pub(in crate::gateway) struct Seat {
    of: Arc<Addresses>,
    block: Block,
}

impl Addresses {
    /// `most`: connections of one address. `rate`: new connections a second. `None`: no limit.
    pub(in crate::gateway) fn new(most: Option<usize>, rate: Option<usize>) -> Arc<Self> {
        let parts = std::array::from_fn(|_| Mutex::default());
        let addresses = Self { most: AtomicUsize::default(), rate: AtomicU64::default(), parts };
        addresses.allow(most, rate);
        Arc::new(addresses)
    }

    /// Sets other limits. What each address has taken still counts.
    pub(in crate::gateway) fn allow(&self, most: Option<usize>, rate: Option<usize>) {
        #[expect(clippy::cast_precision_loss, reason = "the configuration allows at most a million")]
        let rate = rate.map_or(f64::INFINITY, |rate| rate as f64);
        self.most.store(most.unwrap_or(usize::MAX), Ordering::Relaxed);
        self.rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    /// New connections a second. `None`: no limit.
    fn rate(&self) -> Option<f64> {
        Some(f64::from_bits(self.rate.load(Ordering::Relaxed))).filter(|rate| rate.is_finite())
    }

    fn part(&self, block: Block) -> &Mutex<Part> {
        let bits = match block {
            Block::V4(bits) => u64::from(bits),
            Block::V6(bits) => bits,
        };
        // The bytes are folded, because networks differ in their upper bits.
        let folded = bits.to_ne_bytes().iter().fold(0, |folded, byte| folded ^ byte);
        let [part, ..] = &self.parts;
        self.parts.get(usize::from(folded) % PARTS).unwrap_or(part)
    }

    /// Counts a connection of an address.
    ///
    /// # Errors
    /// When the address may not open one now.
    pub(in crate::gateway) fn take(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Seat, Over> {
        let (block, rate) = (Block::from(address), self.rate());
        let mut part = self.part(block).lock();
        let taken = part.of(block, rate, now);
        if taken.open >= self.most.load(Ordering::Relaxed) {
            return Err(Over::PerAddress(block));
        }
        if let Some(rate) = rate {
            taken.fill(rate, now);
            if taken.tokens < 1.0 {
                return Err(Over::NewPerAddress(block));
            }
            taken.tokens -= 1.0;
        }
        taken.open += 1;
        drop(part);
        Ok(Seat { of: Arc::clone(self), block })
    }
}

impl Part {
    /// What an address has taken.
    fn of(&mut self, block: Block, rate: Option<f64>, now: Instant) -> &mut Taken {
        if let Some(rate) = rate
            && self.taken.len() >= self.sweep_at
            && !self.taken.contains_key(&block)
        {
            self.sweep(rate, now);
        }
        let new = Taken { open: 0, tokens: rate.unwrap_or(f64::INFINITY), at: now };
        self.taken.entry(block).or_insert(new)
    }

    /// Drops the addresses without connections whose rate says nothing any more, or all of them if these are few.
    fn sweep(&mut self, rate: f64, now: Instant) {
        #[cfg(test)]
        {
            self.steps += self.taken.len();
        }
        let mut idle = 0;
        self.taken.retain(|_, taken| {
            taken.fill(rate, now);
            let is_idle = taken.open == 0;
            let stays = !is_idle || taken.tokens < rate;
            idle += usize::from(is_idle && stays);
            stays
        });
        if idle >= SWEPT_FROM / 2 {
            self.taken.retain(|_, taken| taken.open > 0);
        }
        self.sweep_at = SWEPT_FROM.max(2 * self.taken.len());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut part = self.of.part(self.block).lock();
        let Some(taken) = part.taken.get_mut(&self.block) else { return };
        taken.open = taken.open.saturating_sub(1);
        if taken.open == 0 && self.of.rate().is_none() {
            part.taken.remove(&self.block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn other_limits_count_what_was_taken_before() {
        let (addresses, now) = (Addresses::new(Some(2), None), Instant::now());
        let take = || addresses.take(ip("192.0.2.1"), now);
        let (first, second) = (take().unwrap(), take().unwrap());
        assert!(take().is_err());
        addresses.allow(Some(3), None);
        let third = take().unwrap();
        addresses.allow(Some(1), None);
        drop((first, second));
        assert!(take().is_err(), "the third is still there");
        addresses.allow(None, Some(1));
        let fourth = take().unwrap();
        assert!(matches!(take(), Err(Over::NewPerAddress(_))));
        drop((third, fourth));
    }

    fn held(addresses: &Addresses) -> usize {
        addresses.parts.iter().map(|part| part.lock().taken.len()).sum()
    }

    #[test]
    fn what_counts_as_one_address() {
        for (address, block) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(Block::from(ip(address)).to_string(), block);
        }
    }

    #[test]
    fn an_address_has_so_many_connections_and_gives_them_back() {
        let (addresses, now) = (Addresses::new(Some(2), None), Instant::now());
        let (a, b, other) = (ip("2001:db8::1"), ip("2001:db8::2"), ip("192.0.2.1"));
        let first = addresses.take(a, now).unwrap();
        let second = addresses.take(b, now).unwrap();
        assert_eq!(addresses.take(a, now).unwrap_err(), Over::PerAddress(a.into()));
        let third = addresses.take(other, now).unwrap();
        drop(first);
        let again = addresses.take(b, now).unwrap();
        assert_eq!(held(&addresses), 2);
        drop((second, third, again));
        assert_eq!(held(&addresses), 0, "nothing is kept of who is gone");
    }

    #[test]
    fn new_connections_come_at_a_rate_with_a_burst_of_one_second() {
        let (addresses, begun) = (Addresses::new(None, Some(3)), Instant::now());
        let opened = |millis, times| {
            let now = begun + Duration::from_millis(millis);
            (0..times).filter(|_| addresses.take(ip("192.0.2.1"), now).is_ok()).count()
        };
        assert_eq!(opened(0, 10), 3, "a second's worth at once");
        assert_eq!(opened(300, 10), 0);
        assert_eq!(opened(340, 10), 1);
        assert_eq!(opened(60_000, 10), 3, "nothing is saved up beyond a second's worth");
        assert_eq!(addresses.take(ip("192.0.2.1"), begun).unwrap_err(), Over::NewPerAddress(ip("192.0.2.1").into()));
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_table() {
        let (addresses, now) = (Addresses::new(Some(10), Some(1)), Instant::now());
        let stays = addresses.take(ip("192.0.2.1"), now).unwrap();
        for network in 0..200_000_u128 {
            let address = IpAddr::V6(Ipv6Addr::from_bits(network << 64));
            drop(addresses.take(address, now).unwrap());
        }
        assert!(held(&addresses) <= PARTS * SWEPT_FROM, "{}", held(&addresses));
        let part = addresses.part(stays.block).lock();
        assert_eq!(part.taken.get(&stays.block).unwrap().open, 1, "who is there stays counted");
    }

    #[test]
    fn a_newcomer_costs_a_few_steps_however_many_addresses_are_connected() {
        const NETWORKS: u128 = 80_000;
        let (addresses, now) = (Addresses::new(Some(10), Some(1)), Instant::now());
        let come = |network: u128| addresses.take(IpAddr::V6(Ipv6Addr::from_bits(network << 64)), now).unwrap();
        let steps = || addresses.parts.iter().map(|part| part.lock().steps).sum::<usize>();
        let stay: Vec<_> = (0..NETWORKS).map(come).collect();
        let (connected, of_those) = (held(&addresses), steps());
        assert!(connected == stay.len() && (1..2 * connected).contains(&of_those), "{connected} {of_those}");
        for network in NETWORKS..3 * NETWORKS {
            drop(come(network));
        }
        let all = steps() - of_those;
        assert!(all < 5 * connected, "{all} steps for twice as many newcomers that leave at once");
        assert!(held(&addresses) <= 2 * connected + PARTS * SWEPT_FROM, "{}", held(&addresses));
    }

    #[test]
    fn counts_are_exact_when_many_threads_fight() {
        let addresses = Addresses::new(Some(50), None);
        let (now, a) = (Instant::now(), ip("192.0.2.1"));
        for _ in 0..20 {
            let won: Vec<Seat> = std::thread::scope(|scope| {
                let fights: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| (0..25).filter_map(|_| addresses.take(a, now).ok()).collect::<Vec<_>>()))
                    .collect();
                fights.into_iter().flat_map(|fight| fight.join().unwrap()).collect()
            });
            assert_eq!(won.len(), 50);
        }
        assert_eq!(held(&addresses), 0);
    }
}
