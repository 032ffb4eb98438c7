//! The form of the log: text, or JSON objects.

use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::origin::Origin;
use crate::stage::opened;
use serde_json::Value;

#[tokio::test]
async fn every_line_of_a_json_log_is_one_object() {
    let origin = Origin::start();
    let config = format!("{}[log]\nformat = \"json\"\n", configuration("", [route("/s/*", &origin)]));
    let gateway = Gateway::spawn_with(&config, &[("RUST_LOG", "info,inof=")]);
    gateway.log_line("RUST_LOG").await;
    let gateway = Gateway::spawn_with(&config, &[("RUST_LOG", "manifold=debug")]);
    gateway.log_line("\"listening addr=").await;
    let hostile = "x\" forged=1 \\ \t\u{9b} é";
    let client = Client::get("/s/a\"b").header("User-Agent", hostile).header("Last-Event-ID", "1\" é");
    drop(opened(client, &gateway, &origin).await);
    drop(Client::get("/nowhere\"x").header("User-Agent", hostile).connect(&gateway).await);
    gateway.log_line("client left").await;
    gateway.log_line("request answered").await;
    let joins = gateway.log_line("client joins").await;
    assert!(joins.contains("opened_it=true resumes=true"), "{joins}");
    for line in gateway.log().lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let read: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let time = read["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        assert!(read["message"].is_string() && read["target"].as_str().unwrap().starts_with("manifold"), "{line}");
        if let Some(said) = read.get("user_agent") {
            assert_eq!(said.as_str().unwrap(), hostile, "{line}");
        }
    }
}

#[tokio::test]
async fn what_is_served_and_within_which_limits_is_told_at_the_start() {
    let origin = Origin::start();
    let routes = [
        route("/s/*", &origin),
        route("/private", &origin).with("share.mode = \"private\""),
        route("/*", &origin).with("kind = \"proxy\""),
    ];
    let server = "admin = \"127.0.0.1:0\"\nmax_connections = 77\nreplay_bytes = \"1MiB\"";
    let gateway = Gateway::start(&configuration(server, routes)).await;
    gateway.admin().await;
    let log = gateway.log();
    let config = gateway.config().display();
    for told in [
        format!("manifold starts version={} configuration={config}", env!("CARGO_PKG_VERSION")),
        format!("route name=/s/* path=/s/* origin=http://{} kind=shared", origin.addr()),
        format!("route name=/private path=/private origin=http://{} kind=private", origin.addr()),
        format!("route name=/* path=/* origin=http://{} kind=proxy", origin.addr()),
        "limits max_connections=77 descriptors=".to_owned(),
        " replay_bytes=1048576 threads=".to_owned(),
    ] {
        assert!(log.contains(&told), "{told:?} is not in\n{log}");
    }
}

#[tokio::test]
async fn a_wrong_log_table_is_told() {
    for (line, told) in [
        ("format = \"xml\"", "log.format = \"xml\": must be \"text\" or \"json\""),
        ("access = \"some\"", "log.access = \"some\": must be \"off\", \"end\" or \"all\""),
        ("access_every_secs = 0.5", "log.access_every_secs = 0.5: must be at least 1 second"),
        ("acess = \"end\"", "log.acess"),
    ] {
        let config = format!("[log]\n{line}\n[[routes]]\npath = \"/*\"\norigin = \"http://127.0.0.1:1\"\n");
        let file = crate::gateway::config_file(&config);
        let (code, said) = Gateway::run(&["--test", "-c", file.path().to_str().unwrap()]).await;
        assert!(code == 64 && said.contains(told), "{told:?} is not in\n{said}");
    }
}
