//! An upgrade that the API is asked for: who asks learns the outcome.

use crate::admin_api::{ADMIN, act, asked, fits, get};
use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::Origin;
use crate::releases::Releases;
use crate::stage::{Successor, answered, goes_on, joined, numbered, opened, unanswered};
use rustix::process::Signal;
use std::fs;
use std::net::SocketAddr;
use tempfile::NamedTempFile;

/// Asks for an upgrade that is refused. Returns why.
async fn refused(admin: SocketAddr) -> String {
    let (status, problem) = act(admin, "POST", "/api/upgrade").await;
    assert_eq!(status, 409, "{problem}");
    problem["detail"].as_str().unwrap().to_owned()
}

/// A gateway that runs the release of now, with its admin address.
async fn released(releases: &Releases, text: &str) -> (Gateway, SocketAddr, NamedTempFile) {
    let (gateway, file) = releases.run(text).await;
    let admin = gateway.admin().await;
    (gateway, admin, file)
}

#[tokio::test]
async fn who_asks_for_an_upgrade_learns_which_process_serves_now() {
    let (origin, releases) = (Origin::start(), Releases::serving());
    let (mut gateway, admin, _file) = released(&releases, &configuration(ADMIN, [route("/*", &origin)])).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    // A reader of what happens holds a connection to the admin address of the old process.
    let _events = Client::get("/api/events").connect(admin).await;
    releases.switch();

    let (status, upgraded) = act(admin, "POST", "/api/upgrade").await;
    assert_eq!(status, 200, "{upgraded}");
    fits("Upgraded", &upgraded);
    let successor = Successor::of(&format!("pid={}", upgraded["pid"]));
    // The old process accepts no connection to the admin address any more.
    assert_eq!(get(admin, "/api/process", "Process").await["lifecycle"], "running");
    let line = gateway.log_line("a new process serves").await;
    assert!(
        line.contains(&format!("POST /api/upgrade: draining, because a new process serves pid={}", upgraded["pid"]))
    );
    assert!(gateway.log().contains("the second release"), "{}", gateway.log());

    goes_on(client, true, &mut gateway, &origin).await;

    // The new process is replaced in turn.
    let (status, upgraded) = act(admin, "POST", "/api/upgrade").await;
    assert_eq!(status, 200, "{upgraded}");
    let _third = Successor::of(&format!("pid={}", upgraded["pid"]));
    gateway.log_lines("drained: exit", 2).await;
    drop(successor);
    joined_anew(&gateway, &origin).await;
}

/// A new client is served by the process that has the address now.
async fn joined_anew(gateway: &Gateway, origin: &Origin) {
    let (mut client, mut body) = opened(Client::get("/anew"), gateway, origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn who_asks_for_an_upgrade_that_fails_learns_why_and_nothing_changes() {
    let (origin, releases) = (Origin::start(), Releases::serving());
    let (gateway, admin, file) = released(&releases, &configuration(ADMIN, [route("/*", &origin)])).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let good = fs::read_to_string(file.path()).unwrap();
    fs::write(file.path(), "nonsense").unwrap();
    let program = releases.path("current/manifold");
    let why = refused(admin).await;
    assert!(why.contains(program.to_str().unwrap()) && why.contains("exit status: 64"), "{why}");
    gateway.log_line("POST /api/upgrade: this process continues to serve").await;
    fs::write(file.path(), good).unwrap();
    fs::remove_file(releases.path("current")).unwrap();
    let why = refused(admin).await;
    assert!(why.contains("cannot start") && why.contains(program.to_str().unwrap()), "{why}");
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    joined(Client::get("/"), &gateway).await;
}

#[tokio::test]
async fn one_upgrade_runs_at_a_time_and_a_signal_to_end_ends_it() {
    let (origin, releases) = (Origin::start(), Releases::silent());
    let (mut gateway, admin, _file) = released(&releases, &configuration(ADMIN, [route("/*", &origin)])).await;
    releases.switch();
    let first = tokio::spawn(refused(admin));
    gateway.log_line("the second release").await;
    let why = refused(admin).await;
    assert!(why.contains("another upgrade is running already"), "{why}");
    gateway.signal(Signal::QUIT);
    gateway.log_line("SIGQUIT: ignored: a new process is already starting").await;
    gateway.signal(Signal::TERM);
    let why = guarded("the answer", first).await.unwrap();
    assert!(why.contains("this process ends") && why.contains("SIGTERM"), "{why}");
    // The log ends when no process holds its pipe. So the new process has ended, too.
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
}

#[tokio::test]
async fn a_process_that_drains_is_not_replaced() {
    let origin = Origin::start();
    let proxy = route("/*", &origin).with("kind = \"proxy\"");
    let mut gateway = Gateway::start(&configuration(&format!("{ADMIN}\ndrain_secs = 3600"), [proxy])).await;
    let admin = gateway.admin().await;
    let request = unanswered(&gateway, &origin).await;
    gateway.signal(Signal::TERM);
    gateway.log_line("SIGTERM: draining").await;
    let why = refused(admin).await;
    assert!(why.contains("drains") || why.contains("ends"), "{why}");
    answered(request).await;
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
}

#[tokio::test]
async fn a_page_of_another_site_cannot_upgrade() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let post = || Client::method("POST", "/api/upgrade");
    assert_eq!(asked(admin, post()).await.0, 403);
    assert_eq!(asked(admin, post().header("X-Manifold-Action", 1).header("Origin", "http://evil")).await.0, 403);
    assert_eq!(act(admin, "POST", "/api/upgrade?now=1").await.0, 400);
    assert_eq!(asked(admin, Client::get("/api/upgrade")).await.0, 405);
    assert!(!gateway.log().contains("a new process is started"), "{}", gateway.log());
}
