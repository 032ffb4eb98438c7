//! Every event exactly once and in order, whatever dies.

use crate::client::{Client, Response};
use crate::gateway::{Gateway, route};
use crate::guard::guarded;
use crate::origin::ResumingOrigin;
use std::net::SocketAddr;
use tokio::sync::watch;
use tokio::task::JoinSet;

const CLIENTS: u64 = 200;
const DEATHS: u64 = 20;
const EVENTS_PER_LIFE: u64 = 40;
const EVENTS_WHILE_DEAD: u64 = 5;
const LAST: u64 = (DEATHS + 1) * EVENTS_PER_LIFE + DEATHS * EVENTS_WHILE_DEAD;

/// On average, so many events between two drops of one client.
const EVENTS_PER_DROP: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_see_each_event_once_while_the_origin_dies_twenty_times() {
    let origin = ResumingOrigin::start();
    let keep_all = "replay.events = 100000\nreplay.age_secs = \"off\"\nreplay.start = \"all\"";
    let gateway = Gateway::with(route("/ticks", &origin).with(keep_all)).await;
    let progress = watch::Sender::new(0);
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        clients.spawn(life(gateway.addr(), progress.clone(), seed));
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

/// Reads every event, dropping the connection now and then and resuming.
async fn life(gateway: SocketAddr, progress: watch::Sender<u64>, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut seen = 0;
    let mut client: Option<Response> = None;
    while seen < LAST {
        let mut open = match client.take() {
            Some(open) => open,
            None if seen == 0 => Client::get("/ticks").connect(gateway).await.stream(),
            None => Client::get("/ticks").after(seen).connect(gateway).await.stream(),
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
