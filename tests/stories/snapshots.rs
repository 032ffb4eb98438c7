//! Replay logs that go from one process to the next in a file.

use crate::admin_api::{ADMIN, act};
use crate::client::{Client, End};
use crate::gateway::{Gateway, Route, configuration, route};
use crate::origin::{Origin, ResumingOrigin};
use crate::stage::{gap, numbered, opened};
use crate::tokens::{SECRET, bearer, file, now, token, token_of, with_tokens};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder for a snapshot, and the lines of `[server]` that name it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("snapshot")
    }

    fn server(&self) -> String {
        format!("drain_secs = 2\nsnapshot_file = {:?}", self.file().to_str().unwrap())
    }

    async fn gateway(&self, routes: impl IntoIterator<Item = Route>) -> Gateway {
        Gateway::start(&configuration(&self.server(), routes)).await
    }

    /// The files in the folder.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }
}

async fn stopped(mut gateway: Gateway) {
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit_code().await, 0);
}

#[tokio::test]
async fn clients_resume_over_a_restart_and_nothing_is_lost_or_doubled() {
    let (place, origin) = (Place::new(), ResumingOrigin::start_live());
    let gateway = place.gateway([route("/*", &*origin)]).await;
    gateway.log_line("no snapshot to read").await;
    let mut client = Client::get("/ticks").connect(&gateway).await.stream();
    (0..10).for_each(|_| origin.publish());
    for n in 1..=10_u64 {
        assert_eq!(client.next_data().await, n.to_string());
    }
    gateway.signal(Signal::TERM);
    assert_eq!(client.ended().await, End::Orderly);
    let mut gateway = gateway;
    assert_eq!(gateway.exit_code().await, 0);
    gateway.log_line("snapshot written").await;
    assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(place.files(), ["snapshot"], "nothing else is left");

    // Nobody is there to receive these.
    (0..5).for_each(|_| origin.publish());
    let gateway = place.gateway([route("/*", &*origin)]).await;
    assert!(gateway.log_line("snapshot read").await.contains("streams=1 events=10 unwanted=0"));
    assert!(place.files().is_empty(), "a snapshot is used once");
    let mut client = Client::get("/ticks").after(4).connect(&gateway).await.stream();
    for n in 5..=15_u64 {
        assert_eq!(client.next_data().await, n.to_string());
    }
    assert_eq!(origin.requests().last().unwrap().headers.one("last-event-id"), Some("10"));
}

#[tokio::test]
async fn ids_of_our_own_are_known_in_the_next_process_and_what_may_be_lost_between_is_told() {
    let (place, origin) = (Place::new(), Origin::start());
    let gateway = place.gateway([route("/*", &origin)]).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut ids = Vec::new();
    for n in 1..=3 {
        body.event(&format!("data: {n}\n\n")).await;
        let event = client.next_event().await;
        ids.push(event.id);
    }
    drop(client);
    stopped(gateway).await;
    let gateway = place.gateway([route("/*", &origin)]).await;
    let client = Client::get("/").header("Last-Event-ID", &ids[1]);
    let (mut client, mut body) = opened(client, &gateway, &origin).await;
    assert_eq!(client.next_data().await, "3");
    body.event("data: 5\n\n").await;
    assert_eq!(client.next_data().await, gap("upstream", None));
    let event = client.next_event().await;
    assert_eq!(event.data, "5");
    assert!(!ids.contains(&event.id), "the ids go on");
}

#[tokio::test]
async fn what_is_not_wanted_any_more_begins_empty() {
    let (place, origin) = (Place::new(), Origin::start());
    let named = |name: &str| route(&format!("/{name}/*"), &origin).with(&format!("name = {name:?}"));
    let gateway = place.gateway([named("same"), named("other"), named("gone")]).await;
    let mut kept = Vec::new();
    for path in ["/same/a", "/other/a", "/gone/a"] {
        let (mut client, mut body) = opened(Client::get(path), &gateway, &origin).await;
        body.event(&numbered(7)).await;
        assert_eq!(client.next_data().await, "7");
        kept.push((client, body));
    }
    drop(kept);
    stopped(gateway).await;
    let other = named("other").with("replay.ids = \"origin\"");
    let gateway = place.gateway([named("same"), other]).await;
    assert!(gateway.log_line("snapshot read").await.contains("streams=1 events=1 unwanted=2"));
}

#[tokio::test]
async fn a_snapshot_that_is_too_old_damaged_or_of_another_kind_is_named_and_the_start_goes_on() {
    let origin = Origin::start();
    // A gateway may ask again when its stream ends. So each has a path of its own.
    let serves = async |gateway: &Gateway, path: &str| {
        let (mut client, mut body) = opened(Client::get(path), gateway, &origin).await;
        body.event(&numbered(1)).await;
        assert_eq!(client.next_data().await, "1");
    };
    let place = Place::new();
    let gateway = place.gateway([route("/*", &origin)]).await;
    serves(&gateway, "/whole").await;
    stopped(gateway).await;
    let whole = fs::read(place.file()).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut other = whole.clone();
    other[21] = 9;
    for (path, bytes, why) in [
        ("/damaged", &damaged[..], "it is damaged: its checksum differs"),
        ("/short", &whole[..40], "it is damaged: its checksum differs"),
        ("/later", &other[..], "it has version 9 of the format, and this program reads version 2"),
        ("/other", b"{}", "it is not a snapshot of manifold"),
    ] {
        fs::write(place.file(), bytes).unwrap();
        let gateway = place.gateway([route("/*", &origin)]).await;
        let line = gateway.log_line("snapshot not read").await;
        assert!(line.contains(why) && line.contains(place.file().to_str().unwrap()), "{line}");
        serves(&gateway, path).await;
        // A process that is killed leaves the file as it was.
        assert_eq!(fs::read(place.file()).unwrap(), bytes);
    }
    fs::write(place.file(), &whole).unwrap();
    let config = configuration(&format!("{}\nsnapshot_max_age_secs = 0.001", place.server()), [route("/*", &origin)]);
    let gateway = Gateway::start(&config).await;
    gateway.log_line("snapshot not used, because it is too old").await;
    serves(&gateway, "/old").await;
    assert!(place.files().is_empty());
}

#[tokio::test]
async fn only_a_clean_stop_writes_a_snapshot_and_a_folder_that_is_not_there_is_told_at_the_start() {
    let (place, origin) = (Place::new(), Origin::start());
    for signal in [Signal::INT, Signal::KILL] {
        let mut gateway = place.gateway([route("/*", &origin)]).await;
        let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
        body.event(&numbered(1)).await;
        assert_eq!(client.next_data().await, "1");
        gateway.signal(signal);
        client.ended().await;
        if signal == Signal::INT {
            assert_eq!(gateway.exit_code().await, 0);
        }
        assert!(place.files().is_empty(), "{signal:?}");
    }
    let server = format!("snapshot_file = {:?}", place.0.path().join("none/snapshot").to_str().unwrap());
    let gateway = Gateway::start(&configuration(&server, [route("/*", &origin)])).await;
    let line = gateway.log_line("snapshots cannot be written").await;
    assert!(line.contains("none"), "{line}");
}

/// A relative path begins in the folder of the configuration.
#[tokio::test]
async fn a_relative_path_is_beside_the_configuration() {
    let origin = Origin::start();
    let name = format!("snapshot-of-{}", origin.addr().port());
    let server = format!("snapshot_file = {name:?}");
    let gateway = Gateway::start(&configuration(&server, [route("/*", &origin)])).await;
    let file = gateway.config().with_file_name(&name);
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    drop(client);
    stopped(gateway).await;
    fs::remove_file(file).expect("a snapshot beside the configuration");
}

/// A snapshot whose logs are too old has these still.
#[tokio::test]
async fn what_was_revoked_stays_out_over_a_restart_and_a_used_ticket_stays_used() {
    let (place, origin) = (Place::new(), Origin::start());
    let (key, tickets) = (file(SECRET), file("a key of tickets that is long enough"));
    let tickets = format!("auth.ticket_path = \"/ticket\"\nauth.ticket_key_file = \"{}\"", tickets.path().display());
    let server = format!("{}\nsnapshot_max_age_secs = 1\n{ADMIN}", place.server());
    let config = configuration(&server, [with_tokens(route("/*", &origin), &key, &tickets)]);
    let gateway = Gateway::start(&config).await;
    let (alice, bob) = (token_of("alice", 600), token_of("bob", 600));
    let of = |token: &str| Client::get("/a").header("Authorization", bearer(token));
    let given = Client::method("POST", "/ticket?path=/a").header("Authorization", bearer(&bob));
    let said: Value = serde_json::from_str(&given.connect(&gateway).await.text().await).unwrap();
    let with_ticket = || Client::get(format!("/a?ticket={}", said["ticket"].as_str().unwrap()));
    let (client, body) = tokio::join!(with_ticket().connect(&gateway), origin.stream());
    assert_eq!(client.status, 200);
    assert_eq!(act(gateway.admin().await, "POST", "/api/revoke?subject=alice").await.0, 202);
    assert_eq!(of(&alice).connect(&gateway).await.status, 401);
    drop((client, body));
    stopped(gateway).await;

    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let gateway = Gateway::start(&config).await;
    gateway.log_line("snapshot not used").await;
    assert_eq!(of(&alice).connect(&gateway).await.status, 401);
    assert_eq!(with_ticket().connect(&gateway).await.status, 401);
    let later = token(&json!({ "sub": "alice", "iat": now() + 1, "exp": now() + 600 }));
    for token in [bob, later] {
        let (client, _body) = tokio::join!(of(&token).connect(&gateway), origin.stream());
        assert_eq!(client.status, 200);
    }
}
