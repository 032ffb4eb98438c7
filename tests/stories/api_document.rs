//! What docs/api.md shows works, and it shows every resource.

use crate::admin_api::{ADMIN, OPENAPI, get, only_stream};
use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::origin::Origin;
use crate::stage::{Successor, numbered, opened};

const DOCUMENT: &str = include_str!("../../docs/api.md");

/// The requests that the document shows: method, path, and whether it is a request to act.
fn shown() -> Vec<(&'static str, &'static str, bool)> {
    let of_line = |line: &'static str| {
        let (options, url) = line.strip_prefix("curl ")?.split_once("'http://127.0.0.1:9090")?;
        let method = options.split_once("-X ").map_or("GET", |(_, rest)| rest.split(' ').next().unwrap());
        Some((method, url.trim_end_matches('\''), options.contains("-H 'X-Manifold-Action: 1'")))
    };
    DOCUMENT.lines().filter_map(of_line).collect()
}

#[tokio::test]
async fn the_examples_of_the_document_work() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let (mut client, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    client.next_event().await;
    let stream = only_stream(admin).await;
    let detail = get(admin, &format!("/api/streams/{stream}"), "StreamDetail").await;
    let of_client = detail["subscribers"][0]["id"].as_str().unwrap();
    let shown = shown();
    for (method, path, acts) in &shown {
        let path = path.replace("STREAM", &stream).replace("CLIENT", of_client);
        let request = Client::method(method, path.clone());
        let request = if *acts { request.header("X-Manifold-Action", 1) } else { request };
        let status = request.connect(admin).await.status;
        // An upgrade is answered when it is done.
        let is_done = !acts || path == "/api/upgrade";
        assert_eq!(status, if is_done { 200 } else { 202 }, "{method} {path}");
    }
    let _successor = Successor::of(&gateway.log_line("a new process serves").await);
    // Every path that is described is shown.
    for (path, methods) in OPENAPI["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "STREAM").replace("{sid}", "CLIENT");
        for method in methods.as_object().unwrap().keys().filter(|method| *method != "parameters") {
            let is_this = |(of, shown, _): &(&str, &str, bool)| {
                of.eq_ignore_ascii_case(method) && shown.split('?').next() == Some(&path)
            };
            assert!(shown.iter().any(is_this), "{method} {path} is not in docs/api.md");
        }
    }
}
