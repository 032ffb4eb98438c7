//! No answer of the API holds a secret, and each setting says where it came from.

use crate::admin_api::{asked, fits};
use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::Origin;
use crate::stage::{joined, opened};
use serde_json::{Value, json};
use std::net::SocketAddr;

const TOKEN: &str = "planted-token";

async fn get(admin: SocketAddr, path: &str) -> (u16, Value) {
    asked(admin, Client::get(path).header("Authorization", format!("Bearer {TOKEN}"))).await
}

#[tokio::test]
async fn planted_secrets_are_in_no_answer() {
    let origin = Origin::start();
    let directory = tempfile::tempdir().unwrap();
    let (token, key) = (directory.path().join("token"), directory.path().join("key"));
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::write(&key, "planted-in-file").unwrap();
    let server = format!("admin = \"127.0.0.1:0\"\nadmin_token_file = {token:?}");
    let headers = format!(
        "upstream.headers = {{ authorization = \"Bearer planted-in-text\", x-key = {{ file = {key:?} }}, x-env = {{ env =          \"API_PLANTED\" }} }}\nclient.heartbeat_secs = 7\nshare.credentials = \"share\""
    );
    let routes = [route("/own/*", origin.url().as_str()).with(&headers), route("/*", &origin)];
    let gateway = Gateway::spawn_with(&configuration(&server, routes), &[("API_PLANTED", "planted-in-variable")]);
    let admin = gateway.admin().await;

    let mut bodies = Vec::new();
    for path in ["/a?api_key=planted-1&x=1", "/a?id=planted-and-longer-than-any-plain-value", "/own/b?sid=planted-2"] {
        let client = Client::get(path)
            .header("Authorization", "Bearer planted-3")
            .header("Cookie", "session=planted-4")
            .header("X-Api-Key", "planted-5")
            .header("Referer", "https://user:planted-6@page.example/planted-7?token=planted-8")
            .header("User-Agent", "reader/1")
            .header("X-Request-Id", "id-7");
        bodies.push(opened(client, &gateway, &origin).await);
    }
    let mut answers = Vec::new();
    for path in ["/api/streams", "/api/routes", "/api/config", "/api/process"] {
        let (status, value) = get(admin, path).await;
        assert_eq!(status, 200, "{path} {value}");
        answers.push(value);
    }
    let streams = answers[0]["streams"].as_array().unwrap().clone();
    assert_eq!(streams.len(), 3);
    for stream in streams {
        let (_, told) = get(admin, &format!("/api/streams/{}?events=100", stream["id"].as_str().unwrap())).await;
        let client = &told["subscribers"][0];
        assert_eq!((&client["page_origin"], &client["request_id"]), (&json!("https://page.example"), &json!("id-7")));
        assert_eq!(client["user_agent"], "reader/1");
        answers.push(told);
    }
    // A parameter that is wrong is named, and its value may be quoted. A credential is not taken for a parameter.
    for path in ["/api/streams?api_key=planted-9", "/api/nothing?token=planted-10"] {
        answers.push(get(admin, path).await.1);
    }
    let all = format!("{answers:?}{}", gateway.log());
    assert!(!all.contains("planted"), "{all}");

    let config = &answers[2];
    fits("Config", config);
    assert_eq!(config["file"], gateway.config().to_str().unwrap());
    let setting = |section: &str, route: Value, key: &str| {
        let all = config["settings"].as_array().unwrap().iter();
        let mut found = all.filter(|of| of["section"] == section && of["route"] == route && of["key"] == key);
        found.next().unwrap_or_else(|| panic!("{section}.{key}")).clone()
    };
    let of_own = |key: &str| setting("routes.upstream", json!("/own/*"), key);
    assert_eq!(of_own("headers.x-key")["value"], json!({ "file": key }));
    assert_eq!(of_own("headers.x-env")["variables"], json!(["API_PLANTED"]));
    let hidden = of_own("headers.authorization");
    assert_eq!((&hidden["value"], &hidden["is_hidden"], &hidden["from"]), (&Value::Null, &json!(true), &json!("file")));
    let heartbeat = setting("routes.client", json!("/own/*"), "heartbeat_secs");
    let line = usize::try_from(heartbeat["line"].as_u64().unwrap()).unwrap();
    let text = std::fs::read_to_string(gateway.config()).unwrap();
    assert_eq!(text.lines().nth(line - 1), Some("client.heartbeat_secs = 7"));
    let built_in = setting("routes.client", json!("/*"), "heartbeat_secs");
    assert_eq!(
        (&built_in["value"], &built_in["from"], &built_in["line"]),
        (&json!(15), &json!("default"), &Value::Null)
    );
    assert_eq!(setting("server", Value::Null, "admin_token_file")["value"], token.to_str().unwrap());
}

#[tokio::test]
async fn who_may_not_ask_is_told_so_as_a_problem() {
    let origin = Origin::start();
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let server = format!("admin = \"127.0.0.1:0\"\nadmin_token_file = {token:?}");
    let gateway = Gateway::start(&configuration(&server, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    for path in ["/api/streams", "/api/config", "/api/events", "/api/nothing"] {
        let (status, problem) = asked(admin, Client::get(path)).await;
        assert_eq!(status, 401, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("server.admin_token_file"), "{problem}");
        let foreign = Client::get(path).header("Host", "evil.example").header("Authorization", "Bearer planted-token");
        let (status, problem) = asked(admin, foreign).await;
        assert_eq!(status, 421, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("server.admin_hosts"), "{problem}");
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_comes_first_and_says_since_when() {
    let origin = Origin::start();
    let options = "client.stall_secs = 600\nreplay.bytes = \"64MiB\"\nupstream.max_event_bytes = \"8MiB\"";
    let server = "admin = \"127.0.0.1:0\"";
    let gateway = Gateway::start(&configuration(server, [route("/*", &origin).with(options)])).await;
    let admin = gateway.admin().await;
    let (mut reads, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let _slow =
        joined(Client::get("/").after("").header("User-Agent", "slow/1").small_receive_buffer(), &gateway).await;
    let event = format!("data: {}\n\n", "x".repeat(4 << 20));
    for _ in 0..2 {
        body.event(&event).await;
        reads.next_event().await;
    }
    let told = async {
        loop {
            let (_, page) = asked(admin, Client::get("/api/streams")).await;
            let id = page["streams"][0]["id"].as_str().unwrap().to_owned();
            let (_, told) = asked(admin, Client::get(format!("/api/streams/{id}"))).await;
            fits("StreamDetail", &told);
            let clients = told["subscribers"].as_array().unwrap();
            if clients.len() == 2 && clients[0]["slow_since"].is_string() && clients[1]["lag_events"] == 0 {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    let told = guarded("a slow client", told).await;
    let (slow, quick) = (&told["subscribers"][0], &told["subscribers"][1]);
    assert_eq!(slow["user_agent"], "slow/1", "{told}");
    assert!(slow["lag_events"].as_u64().unwrap() >= 1, "{told}");
    assert!(slow["lag_bytes"].as_u64().unwrap() > 4 << 20, "{told}");
    assert!(slow["lag_secs"].is_number() && told["stream"]["slowest_lag_events"] == slow["lag_events"], "{told}");
    assert_eq!(
        (&quick["lag_bytes"], &quick["slow_since"], &quick["user_agent"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
}
