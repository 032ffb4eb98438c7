//! Looks up the addresses of origins. There is only one look-up of a name at a time. All requests share its answer for
//! a second.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long an answer may be used. Many streams that lose their origin together then make one request to the name
/// server.
const FRESH: Duration = Duration::from_secs(1);

/// The longest time of a look-up. A look-up that never ends would block all later requests for the name.
const MAX_LOOK: Duration = Duration::from_secs(30);

/// A look-up that is under way.
pub(super) type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Looks up the addresses of a host and a port.
pub(super) type Look = Arc<dyn Fn(String, u16) -> Looking + Send + Sync>;

/// The result of a look-up.
#[derive(Debug, Clone)]
struct Answer {
    addresses: Result<Arc<[SocketAddr]>, String>,
    good_until: Instant,
}

/// The newest look-up of one host and port. It holds `None` until the look-up has ended.
type Slot = watch::Receiver<Option<Answer>>;

/// The newest look-up of each host and port. Only configured origins are looked up, which bounds the map. Cheap to
/// clone.
#[derive(Clone)]
pub(super) struct Lookups {
    look: Look,
    slots: Arc<Mutex<HashMap<(String, u16), Slot>>>,
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookups")
    }
}

impl Lookups {
    /// Look-ups that are made by `look`.
    pub(super) fn new(look: Look) -> Self {
        Self { look, slots: Arc::default() }
    }

    /// Look-ups that are made by the system.
    pub(super) fn of_the_system() -> Self {
        Self::new(Arc::new(|host, port| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
        }))
    }

    /// The addresses of a host. Joins a look-up that is under way, uses an answer of the last second, or begins a
    /// look-up.
    ///
    /// # Errors
    /// Fails with a sentence that says why there are no addresses, after `patience` at the latest.
    pub(super) async fn find(&self, host: &str, port: u16, patience: Duration) -> Result<Arc<[SocketAddr]>, String> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Arc::new([SocketAddr::new(address, port)]));
        }
        let mut slot = self.slot(host, port);
        match timeout(patience, slot.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => answer.as_ref().map_or_else(|| Err(nothing()), |answer| answer.addresses.clone()),
            Ok(Err(_)) => Err(nothing()),
            Err(_) => Err(format!("no answer in {patience:?}")),
        }
    }

    fn slot(&self, host: &str, port: u16) -> Slot {
        let mut slots = self.slots.lock();
        let key = (host.to_owned(), port);
        if let Some(slot) = slots.get(&key).filter(|slot| is_good(slot, Instant::now())) {
            return slot.clone();
        }
        let (answered, slot) = watch::channel(None);
        let looking = (self.look)(key.0.clone(), port);
        // The look-up is a task of its own, so that it goes on for the others when the first caller leaves.
        tokio::spawn(async move {
            let addresses = match timeout(MAX_LOOK, looking).await {
                Ok(Ok(addresses)) if addresses.is_empty() => Err(nothing()),
                Ok(Ok(addresses)) => Ok(addresses.into()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer in {MAX_LOOK:?}")),
            };
            answered.send_replace(Some(Answer { addresses, good_until: Instant::now() + FRESH }));
        });
        slots.insert(key, slot.clone());
        slot
    }
}

fn nothing() -> String {
    "it has no address".to_owned()
}

/// Whether a look-up is under way or its answer may still be used.
fn is_good(slot: &Slot, now: Instant) -> bool {
    let is_abandoned = slot.has_changed().is_err();
    slot.borrow().as_ref().map_or(!is_abandoned, |answer| now < answer.good_until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const PATIENCE: Duration = Duration::from_secs(5);

    /// Look-ups that take `takes` and return what `say` returns for their number, counted from 1.
    fn counted(
        takes: Duration,
        say: impl Fn(usize) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> (Lookups, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&count);
        let say = Arc::new(say);
        let look = move |_: String, _: u16| -> Looking {
            let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
            let say = Arc::clone(&say);
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                say(number)
            })
        };
        (Lookups::new(Arc::new(look)), count)
    }

    fn nth(n: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, u8::try_from(n).unwrap()], 80))
    }

    #[tokio::test(start_paused = true)]
    async fn two_hundred_streams_make_one_look_up() {
        let (lookups, count) = counted(Duration::from_secs(2), |n| Ok(vec![nth(n)]));
        let finds: Vec<_> = (0..200)
            .map(|_| {
                let lookups = lookups.clone();
                tokio::spawn(async move { lookups.find("origin.example", 80, PATIENCE).await })
            })
            .collect();
        for find in finds {
            assert_eq!(&*find.await.unwrap().unwrap(), [nth(1)]);
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_good_for_a_second() {
        for is_error in [false, true] {
            let say = move |n| if is_error { Err(io::Error::other(format!("no {n}"))) } else { Ok(vec![nth(n)]) };
            let (lookups, count) = counted(Duration::ZERO, say);
            for (wait_ms, looked) in [(0, 1), (999, 1), (1, 2), (500, 2), (600, 3)] {
                tokio::time::advance(Duration::from_millis(wait_ms)).await;
                let found = lookups.find("origin.example", 80, PATIENCE).await;
                let expected = if is_error { Err(format!("no {looked}")) } else { Ok(Arc::new([nth(looked)]) as _) };
                assert_eq!((found, count.load(Ordering::Relaxed)), (expected, looked));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_host_and_port_has_a_look_up_of_its_own_and_an_address_none() {
        let (lookups, count) = counted(Duration::ZERO, |n| Ok(vec![nth(n)]));
        for (host, port, looked) in [("a", 80, 1), ("b", 80, 2), ("a", 81, 3), ("a", 80, 3)] {
            lookups.find(host, port, PATIENCE).await.unwrap();
            assert_eq!(count.load(Ordering::Relaxed), looked, "{host}:{port}");
        }
        for (host, address) in [("192.0.2.9", "192.0.2.9:443"), ("2001:db8::1", "[2001:db8::1]:443")] {
            assert_eq!(&*lookups.find(host, 443, PATIENCE).await.unwrap(), [address.parse().unwrap()]);
        }
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_takes_nothing_from_those_who_wait_and_nothing_blocks_for_ever() {
        let (lookups, count) = counted(Duration::from_secs(7), |n| Ok(vec![nth(n)]));
        let impatient = lookups.find("a", 80, PATIENCE).await;
        assert_eq!(impatient.unwrap_err(), "no answer in 5s");
        assert_eq!(&*lookups.find("a", 80, PATIENCE).await.unwrap(), [nth(1)]);
        assert_eq!(count.load(Ordering::Relaxed), 1, "the same look-up went on");

        let (lookups, count) = counted(Duration::from_secs(100_000), |n| Ok(vec![nth(n)]));
        let patient = lookups.find("a", 80, Duration::from_secs(40)).await;
        assert_eq!(patient.unwrap_err(), "no answer in 30s");
        tokio::time::advance(FRESH).await;
        assert!(lookups.find("a", 80, PATIENCE).await.is_err());
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_address_and_a_look_up_that_broke_are_told() {
        let (lookups, _) = counted(Duration::ZERO, |_| Ok(Vec::new()));
        assert_eq!(lookups.find("a", 80, PATIENCE).await.unwrap_err(), "it has no address");
        let (lookups, count) = counted(Duration::ZERO, |n| if n == 1 { panic!("broken") } else { Ok(vec![nth(n)]) });
        assert!(lookups.find("a", 80, PATIENCE).await.is_err());
        assert_eq!(&*lookups.find("a", 80, PATIENCE).await.unwrap(), [nth(2)]);
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
