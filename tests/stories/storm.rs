//! Every client gets each event exactly once and in order, whatever dies.

use crate::client::{Client, Response, Target};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::mode::Mode;
use crate::origin::{Port, ResumingOrigin};
use rustix::process::Signal;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CLIENTS: u64 = 200;
const DEATHS: u64 = 20;
const EVENTS_PER_LIFE: u64 = 40;
const EVENTS_WHILE_DEAD: u64 = 5;
const LAST: u64 = (DEATHS + 1) * EVENTS_PER_LIFE + DEATHS * EVENTS_WHILE_DEAD;

/// The average number of events between two drops of a client's connection.
const EVENTS_PER_DROP: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_see_each_event_once_while_the_origin_dies_twenty_times() {
    let origin = ResumingOrigin::start();
    let keep_all = "replay.events = 100000\nreplay.age_secs = \"off\"\nreplay.start = \"all\"";
    let gateway = Gateway::with(route("/ticks", &origin).with(keep_all)).await;
    let progress = watch::Sender::new(0);
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        clients.spawn(life(gateway.target(), progress.clone(), seed));
    }
    let mut chance = fastrand::Rng::with_seed(CLIENTS);
    let mut published = 0;
    for _ in 0..DEATHS {
        published += publish(&origin, EVENTS_PER_LIFE);
        let moment = chance.u64(published - EVENTS_PER_LIFE + 1..=published);
        let mut progress = progress.subscribe();
        guarded("the clients to come on", progress.wait_for(|seen| *seen >= moment)).await.unwrap();
        origin.kill().await;
        published += publish(&origin, EVENTS_WHILE_DEAD);
        origin.restart();
    }
    published += publish(&origin, EVENTS_PER_LIFE);
    assert_eq!(published, LAST);
    while let Some(life) = clients.join_next().await {
        life.unwrap();
    }
}

fn publish(origin: &ResumingOrigin, n: u64) -> u64 {
    (0..n).for_each(|_| origin.publish());
    n
}

/// A client that reads every event, drops its connection now and then, and resumes.
async fn life(gateway: Target, progress: watch::Sender<u64>, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut seen = 0;
    let mut client: Option<Response> = None;
    while seen < LAST {
        let mut open = match client.take() {
            Some(open) => open,
            None if seen == 0 => Client::get("/ticks").connect(gateway.clone()).await.stream(),
            None => Client::get("/ticks").after(seen).connect(gateway.clone()).await.stream(),
        };
        let event = open.next_event().await;
        assert_eq!(
            (event.kind.as_str(), event.data),
            ("message", (seen + 1).to_string()),
            "client {seed} after {seen}"
        );
        seen += 1;
        progress.send_if_modified(|most| std::mem::replace(most, seen.max(*most)) < seen);
        match chance.u64(0..EVENTS_PER_DROP) {
            0 => drop(open),
            1 => open.reset(),
            _ => client = Some(open),
        }
    }
    let extra = client.map(|client| client.unread_events()).unwrap_or_default();
    assert_eq!(extra, [], "client {seed}");
}

/// The size of a storm. `STORIES_STORM=clients,deaths of the origin,restarts of the gateway` changes it. For example,
/// `STORIES_STORM=1000,50,10 cargo test --test stories -- --nocapture forged` runs a large storm and prints its
/// result.
fn scale() -> [u64; 3] {
    let Ok(scale) = std::env::var("STORIES_STORM") else { return [150, 6, 3] };
    let numbers: Vec<u64> = scale.split(',').map(|number| number.parse().unwrap()).collect();
    numbers.try_into().expect("clients,deaths,restarts")
}

/// The most events that a client misses while it is away.
const MOST_AWAY: u64 = 60;

/// How long a client waits until the gateway knows its place. A client that waited this long may be told a gap.
const PLACED_WITHIN: Duration = Duration::from_secs(3);

/// How long after a restart the gateway asks the origin about unknown ids.
const YOUTH: Duration = Duration::from_secs(30);

/// The most needless gaps that are shown.
const MOST_SHOWN: usize = 10;

const FORGED: [&str; 6] = ["999999999", "0", "x", "18446744073709551615", "1000000000000000000000000", "888888888"];

/// The state of a storm that its clients share.
struct Weather {
    port: Port,
    /// The newest event of the origin.
    published: watch::Sender<u64>,
    /// The newest event that any client has.
    seen: watch::Sender<u64>,
    /// The number of clients that have been answered once.
    joined: watch::Sender<u64>,
    /// When the present gateway started. `None`: none runs.
    up: watch::Sender<Option<Instant>>,
    /// The last event of the storm, once it is known.
    last: watch::Sender<Option<u64>>,
}

/// The faults that one client saw, or the sum of those of all clients.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fate {
    lost_untold: u64,
    doubled: u64,
    /// The gaps that it was told, and the events that it missed by them.
    gaps: u64,
    lost: u64,
    /// The gaps that it was told because it waited too long for its place. They mean that the machine is slow.
    late: Vec<String>,
    /// The gaps that it was told for any other reason.
    needless: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_ids_and_restarts_of_both_cost_nobody_an_event() {
    let [clients, deaths, restarts] = scale();
    let origin = ResumingOrigin::start_live();
    let weather = Arc::new(Weather {
        port: Port::reserve(),
        published: watch::Sender::new(0),
        seen: watch::Sender::new(0),
        joined: watch::Sender::new(0),
        up: watch::Sender::new(None),
        last: watch::Sender::new(None),
    });
    let all = "replay.events = 100000\nreplay.age_secs = \"off\"";
    let text = configuration("drain_secs = 0.1", [route("/ticks", &origin).with(all)])
        .replace("127.0.0.1:0", &weather.port.addr().to_string());
    let mut gateway = weather.begin(&text).await;
    let mut lives = JoinSet::new();
    for seed in 0..clients {
        lives.spawn(weathered(Arc::clone(&weather), seed));
    }
    guarded("the clients to join", weather.joined.subscribe().wait_for(|n| *n == clients)).await.unwrap();
    let stranger = tokio::spawn(stranger(Arc::clone(&weather)));

    let mut chance = fastrand::Rng::with_seed(clients);
    let mut dooms: Vec<bool> = (0..deaths + restarts).map(|n| n < restarts).collect();
    chance.shuffle(&mut dooms);
    for restarts_gateway in dooms {
        weather.publish(&origin, EVENTS_PER_LIFE);
        let newest = *weather.published.borrow();
        let moment = chance.u64(newest - EVENTS_PER_LIFE + 1..=newest);
        guarded("the clients to come on", weather.seen.subscribe().wait_for(|seen| *seen >= moment)).await.unwrap();
        if restarts_gateway {
            weather.up.send_replace(None);
            gateway.signal(if chance.bool() { Signal::INT } else { Signal::TERM });
            gateway.exit_code().await;
            weather.publish(&origin, EVENTS_WHILE_DEAD);
            gateway = weather.begin(&text).await;
            // Events before the gateway has a stream would reach only clients that come with an id.
            gateway.log_line("upstream connected").await;
        } else {
            origin.kill().await;
            weather.publish(&origin, EVENTS_WHILE_DEAD);
            origin.restart();
        }
    }
    weather.publish(&origin, EVENTS_PER_LIFE);
    weather.last.send_replace(Some(*weather.published.borrow()));
    let mut fate = Fate::default();
    while let Some(life) = lives.join_next().await {
        fate.add(life.unwrap());
    }
    stranger.abort();
    println!("{} events to {clients} clients: {fate:?}", *weather.published.borrow());
    assert_eq!((fate.lost_untold, fate.doubled), (0, 0), "{fate:?}");
    assert!(fate.needless.is_empty(), "{fate:?}");
}

impl Weather {
    fn publish(&self, origin: &ResumingOrigin, n: u64) {
        publish(origin, n);
        self.published.send_modify(|newest| *newest += n);
    }

    async fn begin(&self, text: &str) -> Gateway {
        let since = Instant::now();
        let gateway = Gateway::start(text).await;
        self.up.send_replace(Some(since));
        gateway
    }

    /// Asks until there is an answer. Returns the answer, when it was asked for, and when the gateway started.
    async fn ask(&self, id: Option<String>) -> (Response, Instant, Instant) {
        let target = Target::Gateway(self.port.addr(), Mode::chosen().without_tls());
        loop {
            let up = *guarded("the gateway", self.up.subscribe().wait_for(Option::is_some)).await.unwrap();
            let (client, asked_at) = (Client::get("/ticks"), Instant::now());
            let client = match &id {
                Some(id) => client.after(id),
                None => client,
            };
            match client.try_connect(target.clone()).await {
                // A gateway that is about to end may refuse whoever waits for its stream.
                Some(answer) if answer.status == 503 && *self.up.borrow() != up => tokio::task::yield_now().await,
                Some(answer) => return (answer, asked_at, up.unwrap()),
                // The gateway died meanwhile.
                None => tokio::task::yield_now().await,
            }
        }
    }
}

impl Fate {
    fn add(&mut self, other: Self) {
        self.lost_untold += other.lost_untold;
        self.doubled += other.doubled;
        self.gaps += other.gaps;
        self.lost += other.lost;
        for (all, more) in [(&mut self.late, other.late), (&mut self.needless, other.needless)] {
            let room = MOST_SHOWN.saturating_sub(all.len());
            all.extend(more.into_iter().take(room));
        }
    }
}

/// A client that reads every event, drops its connection now and then, stays away for a while, and resumes.
async fn weathered(weather: Arc<Weather>, seed: u64) -> Fate {
    let (mut chance, mut fate, mut seen, mut joined) = (fastrand::Rng::with_seed(seed), Fate::default(), 0, false);
    let (mut published, mut last) = (weather.published.subscribe(), weather.last.subscribe());
    loop {
        let id = (seen > 0).then(|| seen.to_string());
        let (answer, asked_at, up) = weather.ask(id).await;
        let mut answer = answer.stream();
        let is_again = std::mem::replace(&mut joined, true);
        if !is_again {
            weather.joined.send_modify(|joined| *joined += 1);
        }
        let (mut told, mut is_first) = (false, true);
        loop {
            let event = tokio::select! {
                event = answer.event_or_end() => event,
                _ = last.wait_for(|last| *last == Some(seen)) => {
                    fate.doubled += answer.unread_events().len() as u64;
                    return fate;
                }
            };
            let Ok(event) = event else { break };
            let is_first = std::mem::take(&mut is_first);
            if event.kind == "gap" {
                told = true;
                fate.gaps += 1;
                let (waited, age) = (asked_at.elapsed(), up.elapsed());
                let is_late = is_first && event.data.contains("unknown") && (waited >= PLACED_WITHIN || age >= YOUTH);
                let what = format!("client {seed} after {seen}: {} waited {waited:?} age {age:?}", event.data);
                if is_late { &mut fate.late } else { &mut fate.needless }.push(what);
                continue;
            }
            let number: u64 = event.data.parse().unwrap();
            if number <= seen {
                fate.doubled += 1;
                continue;
            }
            // A client that comes again without having seen an event names no id. It is promised no earlier event.
            let missing = if seen == 0 && is_again { 0 } else { number - seen - 1 };
            *(if std::mem::take(&mut told) { &mut fate.lost } else { &mut fate.lost_untold }) += missing;
            seen = number;
            weather.seen.send_if_modified(|most| std::mem::replace(most, seen.max(*most)) < seen);
            match chance.u64(0..EVENTS_PER_DROP) {
                0 => drop(answer),
                1 => answer.reset(),
                _ => continue,
            }
            let back_at = seen + chance.u64(0..MOST_AWAY);
            let may_return = async {
                tokio::select! {
                    _ = published.wait_for(|newest| *newest >= back_at) => {}
                    _ = last.wait_for(Option::is_some) => {}
                }
            };
            guarded("the time to come back", may_return).await;
            break;
        }
    }
}

/// A client that comes with ids that the origin never gave, and leaves.
async fn stranger(weather: Arc<Weather>) {
    for forged in FORGED.iter().cycle() {
        let (answer, ..) = weather.ask(Some((*forged).to_owned())).await;
        drop(answer);
    }
}
