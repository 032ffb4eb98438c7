//! `manifold upgrade`: the command asks the running process for an upgrade, and says the outcome.

use crate::client::Client;
use crate::gateway::{Gateway, Route, config_file, configuration, route};
use crate::origin::{Origin, Port};
use crate::releases::Releases;
use crate::stage::{Successor, goes_on, joined, numbered, opened};
use std::fs;
use std::path::Path;
use tempfile::NamedTempFile;

/// Runs the command. Returns its exit code and what it printed.
async fn upgrade(config: &Path) -> (i32, String) {
    Gateway::run(&["upgrade", "-c", config.to_str().unwrap()]).await
}

/// A gateway that runs the release of now, and its configuration.
async fn released(releases: &Releases, text: &str) -> (Gateway, NamedTempFile) {
    let (gateway, file) = releases.run(text).await;
    gateway.log_line("admin listening addr=").await;
    (gateway, file)
}

/// A configuration with this admin address.
fn with_admin(admin: &str, route: Route) -> String {
    configuration(&format!("admin = \"{admin}\""), [route])
}

#[tokio::test]
async fn the_command_says_which_process_serves_now() {
    let (origin, port, place) = (Origin::start(), Port::reserve(), tempfile::tempdir().unwrap());
    let socket = format!("unix:{}", place.path().join("admin.sock").display());
    for admin in [port.addr().to_string(), socket] {
        let releases = Releases::serving();
        let (mut gateway, file) = released(&releases, &with_admin(&admin, route("/*", &origin))).await;
        let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
        body.event(&numbered(1)).await;
        assert_eq!(client.next_data().await, "1");
        releases.switch();
        let (code, said) = upgrade(file.path()).await;
        let process = said.strip_prefix("upgraded: process ").and_then(|rest| rest.strip_suffix(" serves now\n"));
        let process = process.unwrap_or_else(|| panic!("{code} {said}\n{}", gateway.log()));
        let _successor = Successor::of(&format!("pid={process}"));
        assert_eq!(code, 0);
        gateway.log_line(&format!("POST /api/upgrade: draining, because a new process serves pid={process}")).await;
        assert!(gateway.log().contains("the second release"), "{}", gateway.log());
        goes_on(client, true, &mut gateway, &origin).await;
    }
}

#[tokio::test]
async fn a_new_program_that_is_missing_is_named() {
    let (origin, port, releases) = (Origin::start(), Port::reserve(), Releases::serving());
    let (gateway, file) = released(&releases, &with_admin(&port.addr().to_string(), route("/*", &origin))).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    fs::remove_file(releases.path("current")).unwrap();
    let (code, said) = upgrade(file.path()).await;
    assert_eq!(code, 1, "{said}");
    let program = releases.path("current/manifold");
    assert!(said.starts_with("manifold: upgrade: cannot start ") && said.contains(program.to_str().unwrap()), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn a_configuration_that_became_bad_is_refused_before_the_process_is_asked() {
    let (origin, port, releases) = (Origin::start(), Port::reserve(), Releases::serving());
    let text = with_admin(&port.addr().to_string(), route("/*", &origin));
    let (gateway, file) = released(&releases, &text).await;
    let (_client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    fs::write(file.path(), format!("{text}\nno_such_key = 1\n")).unwrap();
    let (code, said) = upgrade(file.path()).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.starts_with("manifold: upgrade: the process was not asked") && said.contains("no_such_key"), "{said}");
    assert!(said.lines().all(|line| line.starts_with("manifold: ")), "{said}");
    assert!(!gateway.log().contains("a new process is started"), "{}", gateway.log());
    // Only the process may be able to judge its configuration. Then it is asked, and the new process refuses.
    let (code, said) = Gateway::run(&["upgrade", "--no-test", "-c", file.path().to_str().unwrap()]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("manifold: upgrade: ") && said.contains("exit status: 64"), "{said}");
    gateway.log_line("POST /api/upgrade: this process continues to serve").await;
    joined(Client::get("/"), &gateway).await;
}

#[tokio::test]
async fn who_cannot_ask_is_told_what_to_do() {
    let (origin, port) = (Origin::start(), Port::reserve());
    let off = config_file(&configuration("", [route("/*", &origin)]));
    let nobody = config_file(&with_admin(&port.addr().to_string(), route("/*", &origin)));
    let chosen = config_file(&with_admin("127.0.0.1:0", route("/*", &origin)));
    let bad = config_file("[server]\nadmin = 1\n");
    let unreachable = format!("manifold: upgrade: {} cannot be reached", port.addr());
    for (file, expected, text) in [
        (
            &off,
            1,
            "manifold: upgrade: there is no address to ask: turn on [server] admin, or send SIGQUIT to the process",
        ),
        (&nobody, 1, unreachable.as_str()),
        (&chosen, 1, "manifold: upgrade: 127.0.0.1:0 has port 0"),
        (&bad, 64, "manifold: "),
    ] {
        let (code, said) = upgrade(file.path()).await;
        assert_eq!(code, expected, "{said}");
        assert!(said.starts_with(text), "{text}:\n{said}");
    }
    assert_eq!(upgrade(Path::new("/nowhere/manifold.toml")).await.0, 64);
    assert_eq!(Gateway::run(&["upgrade", "now"]).await.0, 64);
}

#[tokio::test]
async fn the_command_bears_the_token_of_the_configuration() {
    let (origin, port, place) = (Origin::start(), Port::reserve(), tempfile::tempdir().unwrap());
    let token = place.path().join("token");
    fs::write(&token, "s3cret-token\n").unwrap();
    let releases = Releases::serving();
    let without = with_admin(&port.addr().to_string(), route("/*", &origin));
    let text = without.replacen("admin = ", &format!("admin_token_file = {token:?}\nadmin = "), 1);
    let (mut gateway, file) = released(&releases, &text).await;
    // The process read another token, and has not read this one.
    fs::write(&token, "an0ther-token\n").unwrap();
    let (code, said) = upgrade(file.path()).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("refuses the token of") && said.contains(token.to_str().unwrap()), "{said}");
    assert!(!said.contains("an0ther-token"), "{said}");
    let (code, said) = upgrade(config_file(&without).path()).await;
    assert!(code == 1 && said.contains("needs a token: set [server] admin_token_file"), "{code} {said}");
    assert!(!gateway.log().contains("a new process is started"), "{}", gateway.log());
    fs::write(&token, "s3cret-token\n").unwrap();
    let (code, said) = upgrade(file.path()).await;
    assert_eq!(code, 0, "{said}");
    let _successor = Successor::of(&gateway.log_line("a new process serves").await);
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    assert!(!gateway.log().contains("s3cret"), "{}", gateway.log());
}
