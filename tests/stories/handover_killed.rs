//! Processes that are killed at each step of the hand-over, and clients that lose nothing by that.

use crate::admin_api::{ADMIN, act};
use crate::client::{Client, Response};
use crate::gateway::{Gateway, configuration, route};
use crate::mode::{Mode, has_engine};
use crate::origin::ResumingOrigin;
use crate::relay::{Killed, gone_after};
use crate::releases::Releases;
use crate::stage::{Successor, joined};
use rustix::process::Signal;
use std::time::Duration;
use tempfile::NamedTempFile;

/// What the new process has heard or said last.
const POINTS: [&str; 15] = [
    "nothing",
    "that it understands the version",
    "what is remembered of credentials",
    "of the first stream",
    "its clients",
    "its connections of HTTP/2",
    "that these were all",
    "that it has taken them",
    "of the second stream",
    "its clients",
    "its connections of HTTP/2",
    "that these were all",
    "that it has taken them",
    "what is remembered of credentials by now",
    "that these were all streams",
];

/// The clients that follow each stream.
const EACH: usize = 2;

/// The points at which the new process has just taken a stream.
const TAKEN: [usize; 2] = [7, 12];

/// A client that comes back when it is disconnected.
struct Follower {
    path: &'static str,
    is_http2: bool,
    response: Response,
    /// The events so far.
    events: Vec<String>,
    /// How often it was disconnected.
    came_back: usize,
}

impl Follower {
    async fn of(gateway: &Gateway, path: &'static str, is_http2: bool) -> Self {
        let response = Self::asked(gateway, || Client::get(path), is_http2).await;
        Self { path, is_http2, response, events: Vec::new(), came_back: 0 }
    }

    async fn asked(gateway: &Gateway, client: impl Fn() -> Client<'static>, is_http2: bool) -> Response {
        loop {
            let client = if is_http2 { client().h2() } else { client().http11() };
            // A connection that waits in the queue of the old process is reset.
            if let Some(response) = client.try_connect(gateway.addr()).await {
                return response.stream();
            }
        }
    }

    /// Follows until this event has come.
    async fn follow(&mut self, gateway: &Gateway, last: u64) {
        while self.events.last() != Some(&last.to_string()) {
            match self.response.event_or_end().await {
                Ok(event) => self.events.push(event.data),
                Err(_) => {
                    self.came_back += 1;
                    let id = self.events.last().expect("it had an event").clone();
                    let again = || Client::get(self.path).after(&id);
                    self.response = Self::asked(gateway, again, self.is_http2).await.resumed_from(&id);
                }
            }
        }
    }
}

/// A gateway with two streams and their clients, before an upgrade in which a process is killed.
struct Scene {
    origin: ResumingOrigin,
    gateway: Gateway,
    followers: Vec<Follower>,
    releases: Releases,
    _file: NamedTempFile,
}

impl Scene {
    async fn of(killed: Killed, passed: usize, server: &str) -> Self {
        let (origin, releases) = (ResumingOrigin::start_live(), gone_after(killed, passed));
        let config = configuration(&format!("{server}\ndrain_secs = 600"), [route("/*", &*origin)]);
        let (gateway, _file) = releases.run(&config).await;
        let mut followers = Vec::new();
        for path in ["/a", "/b"] {
            for is_http2 in [false, true] {
                followers.push(Follower::of(&gateway, path, is_http2).await);
            }
        }
        origin.publish();
        for follower in &mut followers {
            follower.follow(&gateway, 1).await;
        }
        Self { origin, gateway, followers, releases, _file }
    }
}

/// The events 2 to 21.
async fn publish_some(origin: &ResumingOrigin) {
    for _ in 0..20 {
        origin.publish();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Publishes one more event. Everyone gets each event once, and in order. Returns how many were disconnected.
async fn all_follow(followers: &mut [Follower], origin: &ResumingOrigin, gateway: &Gateway, point: &str) -> usize {
    origin.publish();
    let expected: Vec<String> = (1..=22).map(|n| n.to_string()).collect();
    for follower in &mut *followers {
        follower.follow(gateway, 22).await;
        assert_eq!(follower.events, expected, "{point}: {}", follower.path);
    }
    followers.iter().map(|follower| follower.came_back).sum()
}

#[tokio::test]
async fn an_old_process_that_is_killed_at_any_point_leaves_a_new_one_that_serves() {
    if Mode::chosen() != Mode::Http1 || !has_engine("") {
        // The clients choose their protocols themselves.
        return;
    }
    for (passed, point) in POINTS.into_iter().enumerate() {
        let Scene { origin, gateway, mut followers, releases, _file } = Scene::of(Killed::Old, passed, "").await;
        releases.switch();
        gateway.signal(Signal::QUIT);
        let _new = Successor::of(&gateway.log_line("relay: the new process has pid=").await);
        publish_some(&origin).await;
        // The last event comes after the end of the old process, so whoever it served must come back for it.
        let has_all = passed + 1 == POINTS.len();
        gateway
            .log_line(if has_all { "taken over streams=2 clients=4" } else { "not everything was taken over" })
            .await;
        let came_back = all_follow(&mut followers, &origin, &gateway, point).await;
        let moved = TAKEN.iter().filter(|taken| **taken <= passed).count();
        // It may have taken a stream of which it has just heard all.
        let may_have_moved = TAKEN.iter().filter(|taken| **taken <= passed + 1).count();
        let all = followers.len();
        assert!(
            (all - EACH * may_have_moved..=all - EACH * moved).contains(&came_back),
            "{passed} {point}: {came_back}\n{}",
            gateway.log()
        );
    }
}

#[tokio::test]
async fn a_new_process_that_is_killed_at_any_point_costs_nobody_an_event() {
    if Mode::chosen() != Mode::Http1 || !has_engine("") {
        // The clients choose their protocols themselves.
        return;
    }
    for (passed, point) in POINTS.into_iter().enumerate() {
        let Scene { origin, gateway, mut followers, releases, _file } = Scene::of(Killed::New, passed, ADMIN).await;
        let admin = gateway.admin().await;
        releases.switch();
        let ((status, problem), ()) = tokio::join!(act(admin, "POST", "/api/upgrade"), publish_some(&origin));
        assert_eq!(status, 409, "{passed} {point}: {problem}\n{}", gateway.log());
        gateway.log_line("POST /api/upgrade: this process continues to serve").await;
        let came_back = all_follow(&mut followers, &origin, &gateway, point).await;
        // Only the clients that the new process has taken are disconnected.
        let moved = TAKEN.iter().filter(|taken| **taken <= passed).count();
        assert_eq!(came_back, EACH * moved, "{passed} {point}\n{}", gateway.log());
        joined(Client::get("/a"), &gateway).await;
    }
}

#[tokio::test]
async fn when_both_processes_are_killed_at_any_point_nothing_is_left_behind_and_the_next_one_serves() {
    if Mode::chosen() != Mode::Http1 || !has_engine("") {
        // The clients choose their protocols themselves.
        return;
    }
    for (passed, point) in POINTS.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let server = format!("snapshot_file = {:?}", folder.path().join("snapshot").to_str().unwrap());
        let Scene { origin, mut gateway, mut followers, releases, _file } =
            Scene::of(Killed::Both, passed, &server).await;
        releases.switch();
        gateway.signal(Signal::QUIT);
        let addr = gateway.addr();
        publish_some(&origin).await;
        gateway.log_line("relay: both are killed").await;
        gateway.killed().await;
        // Both have let go of everything: every client is disconnected, the address is free, and no file is there.
        let listen = format!("listen = [\"{addr}\"]");
        let again = configuration(&server, [route("/*", &*origin)]).replace("listen = [\"127.0.0.1:0\"]", &listen);
        let next = Gateway::start(&again).await;
        all_follow(&mut followers, &origin, &next, point).await;
        assert!(followers.iter().all(|follower| follower.came_back > 0), "{point}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{point}");
    }
}
