//! openai's decoder takes an empty line after an id for an event, and fails because that event is not JSON.

use crate::ecosystem::python;
use crate::gateway::{Gateway, Url, route};
use crate::line::Line;
use crate::listener::{Listener, Report};
use crate::origin::{Coding, Origin};

fn chunk(word: &str) -> String {
    format!(
        r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":null}}]}}"#
    ) + "\n\n"
}

fn openai(arguments: &[&str]) -> Listener {
    let mut command = python("clients/python/openai_client.py");
    command.args(arguments);
    Listener::program(command)
}

#[tokio::test]
async fn ids_and_heartbeats_do_not_disturb_openai() {
    let origin = Origin::start();
    let gateway =
        Gateway::with(route("/*", &origin).with("client.heartbeat_secs = 0.02\nclient.retry_ms = 1000")).await;
    let line = Line::to(gateway.addr());
    let (mut client, mut body) = tokio::join!(async { openai(&[&line.url(""), "GET", "/a"]) }, origin.stream());
    for (n, word) in ["one", "two", "three"].into_iter().enumerate() {
        // The second event gets a minted id. The others have an id of the origin.
        let id = if n == 1 { String::new() } else { format!("id: {n}\n") };
        body.event(&(id + &chunk(word))).await;
        assert_eq!(client.data().await, word);
        // Each is a chunk of its own.
        line.carried(b"\r\n:\n\r\n", 3 * (n + 1)).await;
    }
    body.event("data: [DONE]\n\n").await;
    assert_eq!(client.report().await, Report::Done);
}

#[tokio::test]
async fn a_completion_of_ones_own_goes_through_a_proxy_route() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/v1/*", &origin).with("kind = \"proxy\"")).await;
    let base = format!("http://{}/v1", gateway.addr());
    let (mut client, exchange) = tokio::join!(async { openai(&[&base.url(), "POST"]) }, origin.accept());
    assert_eq!((exchange.request.method.as_str(), exchange.request.target.as_str()), ("POST", "/v1/chat/completions"));
    let mut body = exchange.head(200, &[("Content-Type", "text/event-stream")], Coding::Chunked).await;
    for word in ["one", "two"] {
        body.event(&chunk(word)).await;
        assert_eq!(client.data().await, word);
    }
    body.event("data: [DONE]\n\n").await;
    assert_eq!(client.report().await, Report::Done);
}
