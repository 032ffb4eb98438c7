//! Requests of pages of other origins.

use crate::client::Client;
use crate::gateway::{Gateway, route};
use crate::origin::{Coding, Origin};
use crate::stage::{joined, opened};

const PAGE: &str = "https://page.example";

fn preflight(target: &str) -> Client<'_> {
    Client::method("OPTIONS", target)
        .header("Origin", PAGE)
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "authorization, last-event-id")
}

#[tokio::test]
async fn everyone_may_read_a_route_for_everyone() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("cors.origins = [\"*\"]")).await;
    let (client, _body) = opened(Client::get("/").header("Origin", PAGE), &gateway, &origin).await;
    assert_eq!(client.header("access-control-allow-origin"), Some("*"));
    assert_eq!(client.header("access-control-allow-credentials"), None);
    let refused = Client::method("POST", "/").header("Origin", PAGE).connect(&gateway).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (405, Some("*")));
}

#[tokio::test]
async fn a_listed_page_may_read_with_credentials_and_no_other_page() {
    let origin = Origin::start();
    let listed = format!("cors.origins = [\"{PAGE}\"]\ncors.credentials = true");
    let gateway = Gateway::with(route("/*", &origin).with(&listed)).await;
    let (client, _body) = opened(Client::get("/").header("Origin", PAGE), &gateway, &origin).await;
    assert_eq!(client.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(client.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(client.header("vary").map(str::to_lowercase).as_deref(), Some("origin"));
    for other in [Client::get("/").header("Origin", "https://other.example"), Client::get("/")] {
        let other = joined(other, &gateway).await;
        assert_eq!(other.header("access-control-allow-origin"), None);
        assert_eq!(other.header("vary").map(str::to_lowercase).as_deref(), Some("origin"));
    }
}

#[tokio::test]
async fn a_preflight_is_answered_here() {
    let origin = Origin::start();
    let listed = format!("cors.origins = [\"{PAGE}\"]\ncors.credentials = true\ncors.max_age_secs = 77");
    let routes =
        [route("/*", &origin).with(&listed), route("/private", &origin).with("share.mode = \"private\"").with(&listed)];
    let gateway = Gateway::with_all(routes).await;
    for target in ["/", "/private"] {
        let answer = preflight(target).connect(&gateway).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-max-age"), Some("77"));
        assert!(answer.header("access-control-allow-methods").unwrap().contains("GET"));
        let allowed = answer.header("access-control-allow-headers").unwrap().to_lowercase();
        assert!(allowed.contains("authorization") && allowed.contains("last-event-id"), "{allowed}");
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn without_cors_no_such_header_is_ours_or_the_origins() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (client, _body) = tokio::join!(Client::get("/").header("Origin", PAGE).connect(&gateway), async {
        let headers =
            [("Content-Type", "text/event-stream"), ("Access-Control-Allow-Origin", "https://theirs.example")];
        origin.accept().await.head(200, &headers, Coding::Chunked).await
    });
    let client = client.stream();
    assert!(!client.headers.names().iter().any(|name| name.starts_with("access-control")), "{:?}", client.headers);
    assert_eq!(origin.request(1).await.headers.one("origin"), None);
    assert_eq!(preflight("/").connect(&gateway).await.status, 405);
}

#[tokio::test]
async fn the_log_says_what_the_origin_sent_to_a_page_that_may_not_read() {
    let origin = Origin::start();
    let listed = "cors.origins = [\"https://other.example\"]";
    let gateway = Gateway::with_all([
        route("/none", &origin),
        route("/listed", &origin).with(listed),
        route("/private", &origin).with("share.mode = \"private\"").with(listed),
        route("/silent", &origin),
    ])
    .await;
    let stream = ("Content-Type", "text/event-stream");
    let (theirs, forged) =
        (("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Origin", "https://\u{e9} x=\"1\""));
    let sent = " (the origin sent Access-Control-Allow-Origin: \"*\", which is not passed on)";
    let (listing, paste) = ("to allow it, add it to cors.origins of the route:", "[\"https://page.example\"]");
    let writing = "the route has no [routes.cors]: to allow it, write into the route: cors.origins =";
    let mut bodies = Vec::new();
    for (path, fields, told) in [
        ("/none", &[stream, theirs][..], format!("{writing} {paste}{sent}")),
        ("/listed", &[stream, theirs], format!("{listing} {paste}{sent}")),
        ("/private", &[stream, theirs], format!("{listing} {paste}{sent}")),
        (
            "/none?2",
            &[stream, forged],
            format!("{writing} {paste} (the origin sent Access-Control-Allow-Origin: \"https://"),
        ),
        ("/silent", &[stream], format!("{writing} {paste}")),
    ] {
        let asked = Client::get(path).header("Origin", PAGE).connect(&gateway);
        let (client, body) =
            tokio::join!(asked, async { origin.accept().await.head(200, fields, Coding::Chunked).await });
        assert_eq!(client.header("access-control-allow-origin"), None, "{path}");
        bodies.push((client, body));
        let lines = gateway.log_lines("cors_origin_refused", bodies.len()).await;
        let line = lines.last().unwrap();
        assert!(if told.ends_with("https://") { line.contains(&told) } else { line.ends_with(&told) }, "{line}");
    }
    assert!(!gateway.log().contains("x=\"1\""), "the origin forged a field of the line");
}
