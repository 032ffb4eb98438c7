//! A new process that is killed at each step of the hand-over, and clients that lose nothing by that.

use crate::admin_api::{ADMIN, act};
use crate::client::{Client, Response};
use crate::gateway::{Gateway, command, config_file, configuration, route};
use crate::mode::{Mode, has_engine};
use crate::origin::ResumingOrigin;
use crate::relay::gone_after;
use crate::stage::joined;
use std::time::Duration;

/// What the new process has heard or said last.
const POINTS: [&str; 13] = [
    "nothing",
    "that it understands the version",
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
    "that these were all streams",
];

/// The points at which the new process has just taken a stream.
const TAKEN: [usize; 2] = [6, 11];

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
        let response = Self::asked(gateway, Client::get(path), is_http2).await;
        Self { path, is_http2, response, events: Vec::new(), came_back: 0 }
    }

    async fn asked(gateway: &Gateway, client: Client<'_>, is_http2: bool) -> Response {
        let client = if is_http2 { client.h2() } else { client.http11() };
        client.connect(gateway.addr()).await.stream()
    }

    /// Follows until this event has come.
    async fn follow(&mut self, gateway: &Gateway, last: u64) {
        while self.events.last() != Some(&last.to_string()) {
            match self.response.event_or_end().await {
                Ok(event) => self.events.push(event.data),
                Err(_) => {
                    self.came_back += 1;
                    let id = self.events.last().expect("it had an event").clone();
                    let again = Client::get(self.path).after(&id);
                    self.response = Self::asked(gateway, again, self.is_http2).await.resumed_from(&id);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_new_process_that_is_killed_at_any_point_costs_nobody_an_event() {
    if Mode::chosen() != Mode::Http1 || !has_engine("") {
        // The clients choose their protocols themselves.
        return;
    }
    for (passed, point) in POINTS.into_iter().enumerate() {
        let (origin, releases) = (ResumingOrigin::start_live(), gone_after(passed));
        let file = config_file(&configuration(&format!("{ADMIN}\ndrain_secs = 600"), [route("/*", &*origin)]));
        let program = releases.path("current/manifold");
        let gateway = Gateway::run_by(command(program, &["-c", file.path().to_str().unwrap()]));
        gateway.log_line("listening addr=").await;
        let admin = gateway.admin().await;
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
        releases.switch();
        let publishing = async {
            for _ in 0..20 {
                origin.publish();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let ((status, problem), ()) = tokio::join!(act(admin, "POST", "/api/upgrade"), publishing);
        assert_eq!(status, 409, "{passed} {point}: {problem}\n{}", gateway.log());
        gateway.log_line("POST /api/upgrade: this process continues to serve").await;
        origin.publish();
        let moved = TAKEN.iter().filter(|taken| **taken <= passed).count();
        for follower in &mut followers {
            follower.follow(&gateway, 22).await;
            let expected: Vec<String> = (1..=22).map(|n| n.to_string()).collect();
            assert_eq!(follower.events, expected, "{passed} {point}: {}", follower.path);
        }
        // Only the clients that the new process has taken are disconnected.
        let came_back: usize = followers.iter().map(|follower| follower.came_back).sum();
        assert_eq!(came_back, 2 * moved, "{passed} {point}\n{}", gateway.log());
        joined(Client::get("/a"), &gateway).await;
    }
}
