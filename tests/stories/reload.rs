//! Another configuration for a running process: what live streams take of it, and which routes come and go.

use crate::admin_api::{ADMIN, happening};
use crate::client::{Client, End};
use crate::gateway::{Gateway, Route, config_file, configuration, on_the_path_under_test, route};
use crate::guard::guarded;
use crate::metrics::until;
use crate::origin::{Origin, Speech};
use crate::stage::{gap, joined, numbered, opened, unanswered};
use rustix::process::Signal;
use std::fs;
use std::net::SocketAddr;

/// Writes another configuration into the gateway's file.
pub fn rewrite(gateway: &Gateway, text: &str) {
    fs::write(gateway.config(), on_the_path_under_test(text)).unwrap();
}

/// Reloads the configuration in the gateway's file for the `n`th time.
pub async fn reload(gateway: &Gateway, n: usize) -> String {
    gateway.signal(Signal::HUP);
    gateway.log_lines("configuration reloaded ", n).await.pop().unwrap()
}

async fn text_at(admin: SocketAddr, path: &str) -> (u16, String) {
    let mut answer = Client::get(path).connect(admin).await;
    (answer.status, answer.text().await)
}

#[tokio::test]
async fn live_streams_take_another_policy() {
    let origin = Origin::start();
    let with = |lines: &str| configuration("", [route("/*", &origin).with(lines)]);
    let before = "client.heartbeat_secs = 3600\nreplay.events = 100\nclient.retry_ms = 4000";
    let gateway = Gateway::start(&with(before)).await;
    let (first, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let bare = joined(Client::get("/").http10(), &gateway).await;
    let second = joined(Client::get("/").h2(), &gateway).await;
    let mut clients = [first, bare, second];
    for n in 1..=5 {
        body.event(&numbered(n)).await;
    }
    for client in &mut clients {
        client.next_comment().await;
        for n in 1..=5 {
            assert_eq!(client.next_event().await.id, n.to_string());
        }
    }
    rewrite(
        &gateway,
        &with("client.heartbeat_secs = 0.2\nreplay.events = 2\nclient.retry_ms = 5000\ncors = { origins = [\"*\"] }"),
    );
    let told = reload(&gateway, 1).await;
    for key in ["policy=/*(", "client.heartbeat_secs", "client.retry_ms", "cors", "replay.events"] {
        assert!(told.contains(key), "{told}");
    }
    // The next comment is a heartbeat. By the old policy it would come in an hour.
    for client in &mut clients {
        client.next_comment().await;
    }
    // The log was trimmed to its new bounds, and whoever comes is greeted by the new policy.
    let mut late = joined(Client::get("/").after(1).header("Origin", "https://a.example"), &gateway).await;
    assert_eq!(late.header("access-control-allow-origin"), Some("*"));
    assert_eq!(late.next_event().await.data, gap("evicted", None));
    assert_eq!((late.next_data().await, late.next_data().await), ("4".to_owned(), "5".to_owned()));
    assert!(late.retries()[0] > 2000);
    body.event(&numbered(6)).await;
    for client in clients.iter_mut().chain([&mut late]) {
        assert_eq!(client.next_event().await.id, "6", "nobody was disconnected");
    }
    assert_eq!((origin.requests().len(), origin.connections()), (1, 1), "the origin saw nothing of it");
}

#[tokio::test]
async fn a_shorter_life_ends_clients_that_are_there() {
    let origin = Origin::start();
    let with = |lines: &str| configuration("", [route("/*", &origin).with(lines)]);
    let gateway = Gateway::start(&with("client.max_lifetime_secs = 36000")).await;
    let (mut first, _body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut second = joined(Client::get("/").h2(), &gateway).await;
    rewrite(&gateway, &with("client.max_lifetime_secs = 0.5"));
    reload(&gateway, 1).await;
    assert_eq!((first.ended().await, second.ended().await), (End::Orderly, End::Orderly));
    assert!(!first.retries().is_empty() && !second.retries().is_empty(), "they are told when to come back");
}

#[tokio::test]
async fn private_streams_take_another_policy_and_end_with_their_route() {
    let origin = Origin::start();
    let with = |lines: &str| route("/p/*", &origin).with("share.mode = \"private\"").with(lines);
    let server = "drain_secs = 0.2";
    let other = || route("/other", &origin);
    let gateway = Gateway::start(&configuration(server, [with("client.heartbeat_secs = 3600"), other()])).await;
    let (mut client, mut body) = opened(Client::get("/p/a"), &gateway, &origin).await;
    client.next_comment().await;
    rewrite(&gateway, &configuration(server, [with("client.heartbeat_secs = 0.2"), other()]));
    reload(&gateway, 1).await;
    client.next_comment().await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    rewrite(&gateway, &configuration(server, [other()]));
    reload(&gateway, 2).await;
    assert_eq!(client.ended().await, End::Orderly);
    body.gone().await;
}

#[tokio::test]
async fn routes_come_and_go_and_never_share_a_stream() {
    let [one, two, another] = [(); 3].map(|()| Origin::start());
    let server = format!("{ADMIN}\ndrain_secs = 1");
    let proxy = || route("/p/*", &two).with("kind = \"proxy\"");
    let gateway = Gateway::start(&configuration(&server, [route("/a", &one), route("/b", &two), proxy()])).await;
    let admin = gateway.admin().await;
    let mut crowd = Vec::new();
    let (first, mut of_one) = opened(Client::get("/a"), &gateway, &one).await;
    crowd.push(first);
    crowd.push(joined(Client::get("/a").h2(), &gateway).await);
    let (mut removed, of_two) = opened(Client::get("/b"), &gateway, &two).await;
    // A request of a proxy that is under way is answered though its route is gone.
    let request = unanswered_at(&gateway, &two).await;
    rewrite(&gateway, &configuration(&server, [route("/a", &another), route("/c", &two)]));
    let told = reload(&gateway, 1).await;
    for fate in ["replaced=/a(origin)", "removed=/b", "removed=/p/*", "new=/c"] {
        assert!(told.contains(fate), "{told}");
    }
    // New requests find the new routes at once.
    assert_eq!(Client::get("/b").connect(&gateway).await.status, 404);
    let (mut client, mut of_another) = opened(Client::get("/a"), &gateway, &another).await;
    for n in 1..=3 {
        of_another.event(&format!("data: another {n}\n\n")).await;
        assert_eq!(client.next_data().await, format!("another {n}"));
    }
    of_one.event("data: the last of one\n\n").await;
    for old in &mut crowd {
        let mut got = Vec::new();
        let end = loop {
            match old.event_or_end().await {
                Ok(event) => got.push(event.data),
                Err(end) => break end,
            }
        };
        assert_eq!(end, End::Orderly);
        assert!(got.iter().all(|data| data == "the last of one"), "{got:?}");
        assert!(!old.retries().is_empty());
    }
    assert_eq!(removed.ended().await, End::Orderly);
    of_one.gone().await;
    of_two.gone().await;
    let (mut connection, exchange) = request;
    exchange.reply(200, &[], "done").await;
    assert!(connection.receive(12).await.starts_with(b"HTTP/1.1 200"));
    let (_c, mut body) = opened(Client::get("/c"), &gateway, &two).await;
    body.event(&numbered(1)).await;
    // The counters of a name go on. Those of a route that is gone go with its last client.
    until(admin, "manifold_opens_total{route=\"/a\"}", 3.0).await;
    until(admin, "manifold_closes_total{route=\"/a\",reason=\"drain\"}", 2.0).await;
    guarded("no series of /b", async {
        while text_at(admin, "/metrics").await.1.contains("route=\"/b\"") {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A request that the origin has not answered yet.
async fn unanswered_at(gateway: &Gateway, origin: &Origin) -> (crate::client::Connection, crate::origin::Exchange) {
    let mut connection = crate::client::Connection::open(gateway).await;
    connection.send("GET /p/slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    (connection, origin.accept().await)
}

#[tokio::test]
async fn a_configuration_with_errors_changes_nothing_and_every_surface_says_so() {
    let origin = Origin::start();
    let good = configuration(ADMIN, [route("/*", &origin)]);
    let gateway = Gateway::start(&good).await;
    let admin = gateway.admin().await;
    let mut events = Client::get("/api/events?ticks=1").connect(admin).await.stream();
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    assert_eq!(text_at(admin, "/readyz").await, (200, "ready\n".to_owned()));
    until(admin, "manifold_config_last_reload_successful", 1.0).await;
    rewrite(&gateway, &good.replace("path = \"/*\"", "path = 3\nnonsense = 1"));
    gateway.signal(Signal::HUP);
    let line = gateway.log_line("configuration not reloaded, the old configuration stays").await;
    assert!(line.contains("ERROR") && line.contains("path") && line.contains("nonsense"), "{line}");
    let told = happening(&mut events, "reload", "HappeningReload").await;
    assert_eq!(told["outcome"], "failed");
    let (status, text) = text_at(admin, "/readyz").await;
    assert!(status == 200 && text.contains("reload failed"), "{text}");
    until(admin, "manifold_config_reloads_total{outcome=\"failed\"}", 1.0).await;
    until(admin, "manifold_config_last_reload_successful", 0.0).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    joined(Client::get("/"), &gateway).await;
    rewrite(&gateway, &good.replace("path = \"/*\"", "path = \"/*\"\nclient.heartbeat_secs = 7"));
    reload(&gateway, 1).await;
    assert_eq!(happening(&mut events, "reload", "HappeningReload").await["outcome"], "ok");
    assert_eq!(text_at(admin, "/readyz").await, (200, "ready\n".to_owned()));
    until(admin, "manifold_config_last_reload_successful", 1.0).await;
    let (_, config) = text_at(admin, "/api/config").await;
    assert!(config.contains("\"key\":\"heartbeat_secs\"") && config.contains("\"value\":7"), "{config}");
}

#[tokio::test]
async fn what_a_process_takes_at_its_start_alone_is_named_and_the_rest_is_taken() {
    let origin = Origin::start();
    let of = |server: &str, lines: &str| configuration(server, [route("/*", &origin).with(lines)]);
    let gateway = Gateway::start(&of("", "client.heartbeat_secs = 3600")).await;
    let (mut client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    client.next_comment().await;
    let other = of("max_connections = 77\nthreads = 3", "client.heartbeat_secs = 0.2");
    rewrite(&gateway, &other.replace("127.0.0.1:0", "127.0.0.1:1"));
    let told = reload(&gateway, 1).await;
    client.next_comment().await;
    let waiting = gateway.log_lines("waits for an upgrade", 3).await.join("\n");
    for named in [
        "server.listen runs=127.0.0.1:0 wanted=127.0.0.1:1",
        "server.max_connections runs=auto wanted=77",
        "server.threads runs=",
    ] {
        assert!(waiting.contains(named), "{waiting}");
    }
    assert!(!told.contains("server.listen"), "{told}");
    joined(Client::get("/"), &gateway).await;
}

#[tokio::test]
async fn limits_and_the_drain_time_hold_at_once() {
    let origin = Origin::start();
    let of = |server: &str| configuration(server, [route("/*", &origin)]);
    let mut gateway = Gateway::start(&of("drain_secs = 3600")).await;
    let (mut client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    rewrite(
        &gateway,
        &of("drain_secs = 0.2\nhead_bytes = \"1KiB\"\nlimits.per_address = 1\nlimits.refuse = \"status\""),
    );
    let told = reload(&gateway, 1).await;
    assert!(told.contains("server.limits.per_address") && told.contains("server.head_bytes"), "{told}");
    let first = joined(Client::get("/"), &gateway).await;
    assert_eq!(Client::get("/").connect(&gateway).await.status, 429, "{}", gateway.log());
    drop(first);
    gateway.signal(Signal::TERM);
    assert_eq!(client.ended().await, End::Orderly);
    assert_eq!(gateway.exit_code().await, 0);
}

#[tokio::test]
async fn without_a_file_what_the_variables_name_is_read_again() {
    let (origin, token) = (Origin::start(), config_file("first"));
    let path = token.path().to_str().unwrap();
    let variables = [
        ("MANIFOLD_ORIGIN", origin.url()),
        ("MANIFOLD_LISTEN", "127.0.0.1:0".to_owned()),
        ("MANIFOLD_ADMIN", "127.0.0.1:0".to_owned()),
        ("MANIFOLD_ADMIN_TOKEN_FILE", path.to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let gateway = Gateway::spawn_on(&[], &variables);
    let admin = gateway.admin().await;
    let status = async |token: &str| {
        let bearer = format!("Bearer {token}");
        Client::get("/api/routes").header("Authorization", bearer).connect(admin).await.status
    };
    assert_eq!((status("first").await, status("second").await), (200, 401));
    fs::write(path, "second").unwrap();
    let told = reload(&gateway, 1).await;
    assert!(told.contains("server.admin_token_file") && !told.contains("second"), "{told}");
    assert_eq!((status("first").await, status("second").await), (401, 200));
}

#[tokio::test]
async fn headers_and_their_files_are_read_anew_for_the_next_connection() {
    let (origin, secret) = (Origin::start(), config_file("first"));
    let header = format!("upstream.headers.x-token = {{ file = {:?} }}", secret.path());
    let of = |more: &str| -> Route { route("/*", &origin).with(&header).with(more) };
    let gateway = Gateway::start(&configuration("", [of("upstream.headers.x-plain = \"old\"")])).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    fs::write(secret.path(), "second").unwrap();
    rewrite(&gateway, &configuration("", [of("upstream.headers.x-plain = \"new\"")]));
    let told = reload(&gateway, 1).await;
    assert!(told.contains("upstream.headers.x-plain") && !told.contains("new\""), "{told}");
    // The connection of the stream stays. The next one is made by the new policy.
    body.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "2");
    body.end().await;
    let mut body = origin.stream().await;
    let request = origin.requests().last().unwrap().clone();
    assert_eq!((request.headers.one("x-token"), request.headers.one("x-plain")), (Some("second"), Some("new")));
    body.event(&numbered(3)).await;
    assert_eq!(client.next_data().await, "3");
}

#[tokio::test]
async fn clients_that_are_held_are_held_for_as_long_as_the_new_policy_says() {
    let origin = Origin::start();
    let with = |lines: &str| configuration("", [route("/*", &origin).with(lines)]);
    // The next attempt comes after the end of the hold.
    let never = "upstream.hold_secs = 60\nupstream.backoff_min_ms = 3600000\nupstream.backoff_max_ms = 3600000";
    let gateway = Gateway::start(&with(never)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    origin.kill().await;
    gateway.log_line("origin down").await;
    origin.restart();
    rewrite(&gateway, &with("upstream.hold_secs = 3600"));
    reload(&gateway, 1).await;
    let mut body = origin.stream().await;
    body.event(&numbered(2)).await;
    assert_eq!(client.next_event().await.id, "2");
}

#[tokio::test]
async fn a_certificate_file_that_was_changed_is_trusted_on_the_next_connection() {
    let [origin, stranger] = [(); 2].map(|()| Origin::speaking(Speech::Tls(&["http/1.1"])));
    let trusted = config_file(&fs::read_to_string(stranger.authority().path()).unwrap());
    let lines = format!("upstream.ca_file = {:?}", trusted.path());
    let gateway = Gateway::with(route("/*", &origin).with(&lines)).await;
    let (client, mut body) = tokio::join!(Client::get("/").connect(&gateway), async {
        gateway.log_line("origin down").await;
        fs::copy(origin.authority().path(), trusted.path()).unwrap();
        let told = reload(&gateway, 1).await;
        assert!(told.ends_with("policy=/*(upstream.ca_file)"), "{told}");
        origin.stream().await
    });
    body.event(&numbered(1)).await;
    let mut client = client.stream();
    let mut event = client.next_event().await;
    if event.kind == "gap" {
        // The client was sent a 200 before the origin's certificate was trusted.
        event = client.next_event().await;
    }
    assert_eq!(event.id, "1");
}

#[tokio::test]
async fn a_process_that_starts_its_successor_does_not_reload() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    let _held = unanswered(&gateway, &origin).await;
    gateway.signal(Signal::QUIT);
    let _successor = crate::stage::Successor::of(&gateway.log_line("a new process serves").await);
    gateway.signal(Signal::HUP);
    gateway.log_line("SIGHUP: ignored: this process drains").await;
}
