//! The API of the admin address, asked as its description says.

use crate::client::{Client, Response};
use crate::guard::guarded;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::LazyLock;

/// A line of `[server]`: an admin address.
pub const ADMIN: &str = "admin = \"127.0.0.1:0\"";

/// The description of the API.
pub static OPENAPI: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../docs/openapi.json");
    serde_json::from_str(text).unwrap()
});

/// Fails unless a value is what the OpenAPI file says of this schema.
pub fn fits(schema: &str, value: &Value) {
    let mut root = json!({ "$ref": format!("#/components/schemas/{schema}") });
    root["components"] = OPENAPI["components"].clone();
    let validator = jsonschema::validator_for(&root).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{schema}: {errors:?} in {value}");
}

/// Asks for a resource. The answer must fit its schema.
pub async fn get(admin: SocketAddr, path: &str, schema: &str) -> Value {
    let (status, value) = asked(admin, Client::get(path)).await;
    assert_eq!(status, 200, "{path}: {value}");
    fits(schema, &value);
    value
}

/// Asks, and judges the head of the answer. Returns its status and JSON.
pub async fn asked(admin: SocketAddr, client: Client<'_>) -> (u16, Value) {
    let mut answer = client.connect(admin).await;
    let kind = if answer.status < 400 { "application/json" } else { "application/problem+json" };
    assert_eq!(answer.header("content-type"), Some(kind));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let (status, value) = (answer.status, serde_json::from_str(&answer.text().await).unwrap());
    if status >= 400 {
        fits("Problem", &value);
        assert_eq!(value["status"], status);
    }
    (status, value)
}

/// Acts as a program does that means it.
pub async fn act(admin: SocketAddr, method: &'static str, path: &str) -> (u16, Value) {
    asked(admin, Client::method(method, path).header("X-Manifold-Action", 1)).await
}

/// Asks until the answer is as expected.
pub async fn until(admin: SocketAddr, path: &str, schema: &str, expected: impl Fn(&Value) -> bool) -> Value {
    let reached = async {
        loop {
            let value = get(admin, path, schema).await;
            if expected(&value) {
                return value;
            }
            tokio::task::yield_now().await;
        }
    };
    guarded(format!("{path} as expected"), reached).await
}

/// The id of the only stream. Waits until there is one.
pub async fn only_stream(admin: SocketAddr) -> String {
    let streams = until(admin, "/api/streams", "Streams", |page| page["total"] == 1).await;
    streams["streams"][0]["id"].as_str().unwrap().to_owned()
}

/// The next message of `/api/events` of this kind. It must fit its schema.
pub async fn happening(events: &mut Response, kind: &str, schema: &str) -> Value {
    loop {
        let event = events.next_event().await;
        if event.kind == kind {
            let value = serde_json::from_str(&event.data).unwrap();
            fits(schema, &value);
            return value;
        }
    }
}
