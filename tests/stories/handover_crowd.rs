//! A crowd of clients of every kind during upgrades in a row. With `STORIES_UPGRADE_CLIENTS`, the crowd has so many clients, and
//! the story says what it measured. `STORIES_UPGRADE_PAUSE_MS` is the time between two events of a stream, in milliseconds.

use crate::client::{Client, Response};
use crate::gateway::{Gateway, configuration, descriptors, resident, route};
use crate::guard::guarded;
use crate::mode::{Mode, has_engine};
use crate::origin::{Authority, ResumingOrigin, Version};
use crate::stage::Successor;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The number of upgrades in a row.
const UPGRADES: usize = 10;

/// Between two events of a stream: 200 events a second.
const PAUSE: Duration = Duration::from_millis(5);

/// The bytes of an event of the stream whose clients read nothing meanwhile.
const LARGE: usize = 100_000;

/// The number of clients that the crowd has, unless it is chosen.
const CLIENTS: usize = 168;

/// The kinds of clients.
const KINDS: usize = 6;

/// What was measured of a process.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    megabytes: usize,
    descriptors: usize,
}

impl Held {
    /// What a process holds now. Nothing: it has ended.
    fn of(process: i32) -> Self {
        let resident = resident(process).unwrap_or_default();
        let descriptors = descriptors(process).unwrap_or_default();
        Self { megabytes: resident >> 20, descriptors }
    }

    fn most(self, other: Self) -> Self {
        Self { megabytes: self.megabytes.max(other.megabytes), descriptors: self.descriptors.max(other.descriptors) }
    }
}

/// The processes that a process has started.
fn children(process: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks.flat_map(|task| of(task).split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// A client of this kind.
async fn connected(n: usize, path: &str, (plain, tls): (SocketAddr, SocketAddr), authority: &Authority) -> Response {
    let client = Client::get(path);
    let response = match n % KINDS {
        0 => client.http11().connect(plain).await,
        1 => client.http10().connect(plain).await,
        2 => client.http11().tls_of(authority, Version::Tls13).connect(tls).await,
        3 => client.h2().connect(plain).await,
        4 => client.h2().tls_of(authority, Version::Tls13).connect(tls).await,
        _ => client.http11().small_receive_buffer().connect(plain).await,
    };
    response.stream().slim()
}

/// Reads every event in order, until the last one is known and has come. Returns the longest time between two of them.
async fn follows(mut client: Response, mut last: watch::Receiver<Option<u64>>) -> Duration {
    let (mut next, mut before, mut longest) = (1, None, Duration::ZERO);
    while last.borrow_and_update().is_none_or(|last| next <= last) {
        tokio::select! {
            data = client.next_data() => {
                assert_eq!(data, next.to_string());
                next += 1;
                let now = Instant::now();
                longest = longest.max(before.replace(now).map_or(Duration::ZERO, |before| now - before));
            }
            _known = last.changed() => {}
        }
    }
    longest
}

/// Upgrades again and again. Returns the last process, and the most that the old and the new processes held.
async fn upgraded(gateway: &Gateway, first: i32) -> (Successor, Held, Held) {
    let (mut old, mut new) = (Held::default(), Held::default());
    let mut serving: Option<Successor> = None;
    for n in 1..=UPGRADES {
        let before = serving.as_ref().map_or(first, Successor::id);
        match &serving {
            None => gateway.signal(Signal::QUIT),
            Some(successor) => successor.signal(Signal::QUIT),
        }
        let drained = gateway.log_lines("drained: exit", n);
        tokio::pin!(drained);
        while tokio::time::timeout(Duration::from_millis(2), &mut drained).await.is_err() {
            old = old.most(Held::of(before));
            children(before).into_iter().for_each(|successor| new = new.most(Held::of(successor)));
        }
        let lines = gateway.log_lines("a new process serves", n).await;
        serving = Some(Successor::of(lines.last().unwrap()));
    }
    (serving.expect("a process serves"), old, new)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_in_a_crowd_of_every_kind_notices_ten_upgrades() {
    let chosen: Option<usize> = std::env::var("STORIES_UPGRADE_CLIENTS").ok().map(|clients| clients.parse().unwrap());
    if Mode::chosen() != Mode::Http1 || !has_engine("") {
        // The clients choose their protocols themselves.
        return;
    }
    let clients = chosen.unwrap_or(CLIENTS);
    let pause = std::env::var("STORIES_UPGRADE_PAUSE_MS");
    let pause = pause.map_or(PAUSE, |millis| Duration::from_millis(millis.parse().expect("a number of milliseconds")));
    let authority = Authority::new();
    let [live, quiet] = [ResumingOrigin::start_live(), ResumingOrigin::start_live()];
    let large = ResumingOrigin::start_padded(LARGE);
    let routes = [("/live/*", &live), ("/quiet/*", &quiet), ("/large/*", &large)];
    let keeps = "replay.events = 1000000\nreplay.bytes = \"1GiB\"\nclient.stall_secs = 600";
    let routes = routes.map(|(path, origin)| route(path, origin).with(keeps));
    let config = configuration("drain_secs = 600\nreplay_bytes = \"2GiB\"", routes);
    let gateway = Gateway::start(&format!("{config}\n{}", authority.listens())).await;
    gateway.log_line(" tls=on").await;
    let at = (gateway.addr(), gateway.tls_addr().unwrap());

    // A quarter of the live clients have a stream of their own kind, the others share one.
    let (last, known) = watch::channel(None);
    let (mut following, mut idle, mut stalled) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..clients / 2 {
        let path = if n % 4 == 0 { format!("/live/{}", n % KINDS) } else { "/live/all".to_owned() };
        following.push(connected(n, &path, at, &authority).await);
        idle.push(connected(n, "/quiet/all", at, &authority).await);
    }
    quiet.publish();
    for client in &mut idle {
        assert_eq!(client.next_data().await, "1");
    }
    for n in 0..2 * KINDS {
        stalled.push(connected(n, "/large/all", at, &authority).await);
    }
    let following: Vec<_> = following.into_iter().map(|client| tokio::spawn(follows(client, known.clone()))).collect();
    let before = Held::of(gateway.id());

    let (stop, stopped) = watch::channel(false);
    let publishing = async {
        let mut events = 0_u64;
        while !*stopped.borrow() {
            tokio::time::sleep(pause).await;
            live.publish();
            events += 1;
            if events.is_multiple_of(20) {
                large.publish();
            }
        }
        (events, events / 20)
    };
    let upgrading = async {
        // Each live stream has an event by then, and the clients that read nothing are in the middle of one. The first
        // upgrade is between two events, and not at the moment of one, as those that follow.
        tokio::time::sleep(Duration::from_millis(500).max(pause * 7 / 2)).await;
        let upgraded = upgraded(&gateway, gateway.id()).await;
        stop.send(true).unwrap();
        upgraded
    };
    let ((events, large_events), (serving, old, new)) = tokio::join!(publishing, upgrading);
    last.send(Some(events)).unwrap();
    let mut waited = Vec::new();
    for follower in following {
        waited.push(guarded("every event", follower).await.unwrap());
    }
    waited.sort();
    quiet.publish();
    for client in &mut idle {
        assert_eq!(client.next_data().await, "2");
    }
    for client in &mut stalled {
        for event in 1..=large_events {
            let data = client.next_data().await;
            assert_eq!((data.len() > LARGE, data.split('\n').next()), (true, Some(&*event.to_string())));
        }
    }
    let all = clients / 2 * 2 + 2 * KINDS;
    let lines = gateway.log_lines(&format!(" clients={all} longest_ms="), UPGRADES).await;
    if chosen.is_some() {
        let silences: Vec<_> = lines.iter().filter_map(|line| line.rsplit('=').next()).collect();
        eprintln!(
            "clients {all}, events {events}, upgrades {UPGRADES}; longest silences of a stream in ms: {silences:?}; \
             longest waits of a client for an event: median {:?}, longest {:?}; before {before:?}; old process at most {old:?}; new process at most {new:?}; last process after {:?}",
            waited[waited.len() / 2],
            waited[waited.len() - 1],
            Held::of(serving.id())
        );
    }
}
