//! The file of the configuration is watched, and the service manager is told of a reload.

use crate::admin::Manager;
use crate::client::Client;
use crate::gateway::{Gateway, configuration, on_the_path_under_test, route};
use crate::origin::Origin;
use crate::reload::rewrite;
use crate::stage::{numbered, opened};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::tempdir;

const WATCH: &str = "watch = true";

#[tokio::test]
async fn a_file_that_is_renamed_over_is_taken_and_one_with_errors_is_not() {
    let origin = Origin::start();
    let of = |lines: &str| configuration(WATCH, [route("/*", &origin).with(lines)]);
    let gateway = Gateway::start(&of("client.heartbeat_secs = 3600")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    client.next_comment().await;
    fs::write(gateway.config(), "half a fi").unwrap();
    gateway.log_line("configuration not reloaded").await;
    let new = gateway.config().with_extension("new");
    fs::write(&new, on_the_path_under_test(&of("client.heartbeat_secs = 0.2"))).unwrap();
    fs::rename(&new, gateway.config()).unwrap();
    gateway.log_line("configuration file changed").await;
    gateway.log_line("configuration reloaded policy=/*(client.heartbeat_secs)").await;
    client.next_comment().await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn a_link_that_is_switched_is_taken_as_kubernetes_does_it() {
    let (origin, folder) = (Origin::start(), tempdir().unwrap());
    let of = |lines: &str| on_the_path_under_test(&configuration(WATCH, [route("/*", &origin).with(lines)]));
    let path = |name: &str| folder.path().join(name);
    for (name, secs) in [("..1", "3600"), ("..2", "0.2")] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("manifold.toml"), of(&format!("client.heartbeat_secs = {secs}"))).unwrap();
    }
    symlink("..1", path("..data")).unwrap();
    symlink("..data/manifold.toml", path("manifold.toml")).unwrap();
    let gateway = Gateway::spawn_on(&["-c", path("manifold.toml").to_str().unwrap()], &[]);
    gateway.log_line("listening addr=").await;
    let (mut client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    client.next_comment().await;
    symlink("..2", path("..tmp")).unwrap();
    fs::rename(path("..tmp"), path("..data")).unwrap();
    gateway.log_line("configuration reloaded policy=/*(client.heartbeat_secs)").await;
    client.next_comment().await;
}

#[tokio::test]
async fn a_file_that_the_configuration_names_is_watched_too() {
    let (origin, secret) = (Origin::start(), crate::gateway::config_file("first"));
    let admin = format!("{WATCH}\nadmin = \"127.0.0.1:0\"\nadmin_token_file = {:?}", secret.path());
    let gateway = Gateway::start(&configuration(&admin, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    fs::write(secret.path(), "second").unwrap();
    gateway.log_line("configuration reloaded process=(server.admin_token_file)").await;
    let asked = Client::get("/api/routes").header("Authorization", "Bearer second").connect(admin).await;
    assert_eq!(asked.status, 200);
}

/// A certificate and its key, in PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_taken_and_half_of_one_is_not() {
    let (origin, folder) = (Origin::start(), tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    let ((cert, key), (new_cert, new_key)) = (certificate(), certificate());
    fs::write(path("tls.crt"), cert).unwrap();
    fs::write(path("tls.key"), key).unwrap();
    let tls = format!(
        "{WATCH}\n[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = {:?}\nkey = {:?}",
        path("tls.crt"),
        path("tls.key")
    );
    let gateway = Gateway::start(&configuration(&tls, [route("/*", &origin)])).await;
    fs::write(path("tls.crt"), new_cert).unwrap();
    let refused = gateway.log_line("configuration not reloaded").await;
    assert!(refused.contains("the key does not belong to the certificate"), "{refused}");
    fs::write(path("tls.key"), new_key).unwrap();
    gateway.log_line("configuration reloaded process=(server.tls.cert)").await;
}

#[tokio::test]
async fn the_service_manager_is_told_when_a_reload_begins_and_when_it_is_done() {
    let (origin, manager) = (Origin::start(), Manager::new());
    let config = configuration("", [route("/*", &origin)]);
    let gateway = Gateway::spawn_with(&config, &[("NOTIFY_SOCKET", &manager.path())]);
    assert_eq!(manager.told().await, "READY=1");
    for text in [config.as_str(), "nonsense"] {
        rewrite(&gateway, text);
        gateway.signal(Signal::HUP);
        let begins = manager.told().await;
        assert!(begins.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{begins}");
        // It is ready again with either outcome, because it serves as before.
        assert_eq!(manager.told().await, "READY=1");
    }
}
