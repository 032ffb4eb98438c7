//! Requests of one path take different routes, by their method and `Accept`.

use crate::client::Client;
use crate::gateway::{Gateway, Route, config_file, configuration, route};
use crate::origin::Origin;
use crate::stage::{asked, numbered, opened};

const ACCEPTED: &str = "application/json, text/event-stream";

/// MCP: a stream for GET requests that accept one, and another origin for POST and DELETE.
fn mcp(streams: &Origin, calls: &Origin, more: &str) -> [Route; 2] {
    let stream = route("/mcp", streams).with("methods = [\"GET\"]\naccept = \"text/event-stream\"").with(more);
    let calls = route("/mcp", calls).with("kind = \"proxy\"\nmethods = [\"POST\", \"DELETE\"]");
    [stream, calls]
}

#[tokio::test]
async fn the_get_of_a_path_is_a_stream_and_its_post_is_proxied() {
    for mode in ["", "share.mode = \"private\""] {
        let (streams, calls) = (Origin::start(), Origin::start());
        let gateway = Gateway::with_all(mcp(&streams, &calls, mode)).await;
        let client = Client::get("/mcp").header("Accept", ACCEPTED);
        let (mut client, mut body) = opened(client, &gateway, &streams).await;
        body.event(&numbered(1)).await;
        assert_eq!(client.next_data().await, "1");
        for method in ["POST", "DELETE"] {
            let call = Client::method(method, "/mcp").header("Accept", ACCEPTED).body("{}");
            let mut answer = asked(call, &gateway, &calls, async |ask| ask.reply(202, &[], "done").await).await;
            assert_eq!((answer.status, answer.text().await.as_str()), (202, "done"));
            assert_eq!(calls.requests().last().unwrap().method, method);
        }
        let (streams, calls) = (streams.requests().len(), calls.requests().len());
        assert_eq!((streams, calls), (1, 2));
    }
}

#[tokio::test]
async fn who_fits_no_route_of_a_path_is_told_what_would() {
    let (streams, calls) = (Origin::start(), Origin::start());
    for (more, methods) in [("", "GET, HEAD, POST, DELETE"), ("[routes.cors]", "GET, HEAD, OPTIONS, POST, DELETE")] {
        let gateway = Gateway::with_all(mcp(&streams, &calls, more)).await;
        let answer = Client::method("PUT", "/mcp").body("x").connect(&gateway).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(methods)));
        for accept in ["*/*", "application/json", "text/event-stream;q=0"] {
            let mut answer = Client::get("/mcp").header("Accept", accept).connect(&gateway).await;
            assert_eq!(answer.status, 406, "{accept}");
            let said = answer.text().await;
            assert!(said.contains("text/event-stream"), "{said}");
        }
        assert_eq!(Client::get("/mcp").connect(&gateway).await.status, 406);
        assert_eq!(Client::get("/mcp/a").connect(&gateway).await.status, 404);
    }
    assert!(streams.requests().is_empty() && calls.requests().is_empty());
}

#[tokio::test]
async fn other_requests_of_a_path_go_to_the_next_route_that_fits() {
    let (streams, calls, rest) = (Origin::start(), Origin::start(), Origin::start());
    let [stream, call] = mcp(&streams, &calls, "");
    let gateway = Gateway::with_all([route("/*", &rest).with("kind = \"proxy\""), call, stream]).await;
    for (method, accept) in [("GET", "text/html"), ("PUT", ACCEPTED), ("OPTIONS", "*/*")] {
        let client = Client::method(method, "/mcp").header("Accept", accept);
        let answer = asked(client, &gateway, &rest, async |ask| ask.reply(200, &[], "page").await).await;
        assert_eq!(answer.status, 200);
        assert_eq!(rest.requests().last().unwrap().method, method);
    }
    let head = Client::method("HEAD", "/mcp").header("Accept", ACCEPTED).connect(&gateway).await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert!(streams.requests().is_empty() && calls.requests().is_empty());
}

#[tokio::test]
async fn a_preflight_goes_where_the_request_will_go() {
    let (streams, calls) = (Origin::start(), Origin::start());
    let gateway = Gateway::with_all(mcp(&streams, &calls, "cors.origins = [\"https://a.com\"]")).await;
    let preflight = |method| {
        let client = Client::method("OPTIONS", "/mcp").header("Origin", "https://a.com");
        client.header("Access-Control-Request-Method", method)
    };
    let answer = preflight("GET").connect(&gateway).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("https://a.com")));
    let answer = asked(preflight("POST"), &gateway, &calls, async |ask| ask.reply(204, &[("X-Odd", "1")], "").await);
    let answer = answer.await;
    assert_eq!((answer.status, answer.header("x-odd")), (204, Some("1")));
    assert_eq!((streams.requests().len(), calls.requests().len()), (0, 1));
}

#[tokio::test]
async fn a_path_that_would_be_asked_for_twice_is_told_at_start_and_at_the_test() {
    let origin = Origin::start();
    let doubled = format!("{}/events", origin.url());
    let config = configuration("", [route("/events", doubled.as_str())]);
    let url = format!("{doubled}/events");
    let file = config_file(&config);
    let (code, said) = Gateway::run(&["--test", "-c", file.path().to_str().unwrap()]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("warning: route /events: ") && said.contains(&format!("asks the origin for {url},")),
        "{said}"
    );
    let gateway = Gateway::start(&config).await;
    let line = gateway.log_line("WARN").await;
    assert!(line.contains(&format!("asks the origin for {url},")), "{line}");
}

#[tokio::test]
async fn who_finds_no_route_is_told_the_nearest_in_the_log() {
    let origin = Origin::start();
    let routes = [route("/events/*", &origin), route("/other", &origin).with("name = \"o\"\nhost = \"a.com\"")];
    let gateway = Gateway::with_all(routes).await;
    for (n, (path, nearest)) in [
        ("/events", "/events/* (route /events/*)"),
        ("/evnets/1", "/events/*"),
        ("/other", "/other of a.com (route o)"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(Client::get(path).connect(&gateway).await.status, 404, "{path}");
        let line = gateway.log_lines("no_route", n + 1).await.remove(n);
        assert!(line.contains(&format!("the nearest is {nearest}")), "{line}");
    }
}

#[tokio::test]
async fn a_head_is_as_large_as_the_configuration_allows() {
    let origin = Origin::start();
    let routes = [route("/*", &origin).with("kind = \"proxy\"")];
    let gateway = Gateway::start(&configuration("head_bytes = \"2KiB\"", routes)).await;
    let with = |length| Client::get("/").header("X", "x".repeat(length));
    let small = asked(with(1 << 10), &gateway, &origin, async |ask| ask.reply(200, &[], "").await).await;
    assert_eq!(small.status, 200);
    assert_eq!(with(3 << 10).connect(&gateway).await.status, 431);
}
