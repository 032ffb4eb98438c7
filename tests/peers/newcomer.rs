//! The mistakes of a new user's first minutes. Each is answered by one log line that says what to do.

use crate::client::{Client, Response};
use crate::ecosystem::{go, node};
use crate::gateway::{Gateway, Route, Url, config_file, configuration, route};
use crate::origin::{Origin, Port, Speech};
use crate::program::Program;

/// A route that holds a client only until the first failure.
fn told(origin: &(impl Url + ?Sized)) -> Route {
    route("/*", origin).with("upstream.on_error = \"reflect\"")
}

/// A gateway that writes no access lines, because those say why, too.
async fn told_once(route: Route) -> Gateway {
    Gateway::start(&format!("{}[log]\naccess = \"off\"\n", configuration("", [route]))).await
}

/// A client's answer, and the one log line that says why.
async fn asked(route: Route) -> (Response, String) {
    let gateway = told_once(route).await;
    let mut answer = Client::get("/a").connect(&gateway).await;
    answer.complete().await;
    let line = gateway.log_line("why=").await;
    assert_eq!(gateway.log().matches("why=").count(), 1, "{}", gateway.log());
    (answer, line)
}

/// Compares the status, and what the log says about it.
#[track_caller]
fn assert_told((answer, line): &(Response, String), status: u16, told: &[&str]) {
    assert_eq!(answer.status, status, "{line}");
    for part in told {
        assert!(line.contains(part), "{part:?} in {line}");
    }
}

#[tokio::test]
async fn an_origin_that_does_not_run() {
    let port = Port::reserve();
    for proxied in ["", "kind = \"proxy\""] {
        let route = if proxied.is_empty() { told(&port) } else { route("/*", &port).with(proxied) };
        let addr = port.addr().to_string();
        assert_told(
            &asked(route).await,
            502,
            &[&addr, "connection refused: start the origin, or correct the route's origin"],
        );
    }
}

#[tokio::test]
async fn an_origin_whose_name_nobody_knows() {
    let told = asked(told("http://origin.invalid:9000")).await;
    assert_told(&told, 502, &["cannot resolve origin.invalid: ", "correct the route's origin, or its DNS"]);
}

#[tokio::test]
async fn an_origin_that_answers_a_page() {
    let html = [("Content-Type", "text/html")];
    let origin = Origin::answering(move |asked| async move { asked.reply(200, &html, "<p>").await });
    let (answer, line) = asked(route("/*", &origin)).await;
    let why = "origin answered 200 with text/html, not text/event-stream: if it is not a stream, its route needs kind \
               = 'proxy'";
    assert_told(&(answer, line), 502, &[why]);
}

/// better-sse marks every response in this way.
#[tokio::test]
async fn an_origin_that_calls_private_what_is_for_all() {
    let port = Port::reserve();
    let mut command = node("origins/node/server.js");
    command.arg(port.addr().to_string());
    let mut origin = Program::run(command);
    origin.listens(&port).await;
    let shared = route("/*", &port).with("share.credentials = \"share\"");
    let gateway = told_once(shared).await;
    let refused = Client::get("/events").connect(&gateway).await;
    let why = "the origin says Cache-Control: private: share.credentials = 'isolate' keeps clients apart, \
               share.trust_origin = true shares the response anyway";
    assert_told(&(refused, gateway.log_line("why=").await), 502, &[why]);

    let trusted = route("/*", &port).with("share.credentials = \"share\"\nshare.trust_origin = true");
    let gateway = Gateway::with(trusted).await;
    let mut client = Client::get("/events").connect(&gateway).await.stream();
    assert_eq!(client.next_event().await.kind, "tick");
}

#[tokio::test]
async fn http_to_an_origin_of_https() {
    let origin = Origin::speaking(Speech::Tls(&["http/1.1"]));
    let told = asked(told(origin.url().replace("https:", "http:").as_str())).await;
    assert_told(&told, 502, &["the answer is not HTTP: if the origin speaks TLS, its URL must begin with https://"]);
}

#[tokio::test]
async fn https_to_an_origin_of_http() {
    let port = Port::reserve();
    let mut command = go("origins/go/main.go").await;
    command.arg(port.addr().to_string());
    let mut origin = Program::run(command);
    origin.listens(&port).await;
    let told = asked(told(port.url().replace("http:", "https:").as_str())).await;
    assert_told(
        &told,
        502,
        &["the origin did not answer in TLS: if the origin speaks plain HTTP, its URL must begin with http://"],
    );
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_nobody_knows() {
    let origin = Origin::speaking(Speech::Tls(&["http/1.1"]));
    let told = asked(told(&origin)).await;
    assert_told(&told, 502, &["its certificate is not trusted: name the file of its authority in upstream.ca_file"]);
}

#[tokio::test]
async fn a_certificate_of_another_host() {
    let origin = Origin::speaking(Speech::Tls(&["http/1.1"]));
    let ca_file = format!("upstream.ca_file = {:?}", origin.authority().path());
    let url = format!("https://{}", origin.addr());
    let told = asked(told(url.as_str()).with(&ca_file)).await;
    let advice = "its certificate is not for 127.0.0.1: the route's origin must name a host of the certificate";
    assert_told(&told, 502, &[advice]);
}

#[tokio::test]
async fn an_address_that_is_taken() {
    let port = Port::reserve();
    let _taken = port.listen();
    let addr = port.addr().to_string();
    let config = configuration("", [told(&port)]).replace("127.0.0.1:0", &addr);
    let file = config_file(&config);
    let (code, said) = Gateway::run(&["-c", file.path().to_str().unwrap()]).await;
    let line = format!(
        "manifold: cannot listen on {addr}: Address already in use (os error 98): stop what listens there, or choose \
         another address in server.listen"
    );
    let (starts, told) = said.split_once('\n').unwrap();
    assert!(starts.contains("manifold starts version="), "{said}");
    assert_eq!((code, told.trim_end()), (1, line.as_str()));
}

#[tokio::test]
async fn a_key_that_was_mistyped() {
    let origin = "[[routes]]\npath = \"/*\"\norigin = \"http://127.0.0.1:9000\"\n";
    for (written, line, meant) in [
        ("[routes.client]\nheartbeat_sec = 5\n", 5, "heartbeat_secs"),
        ("[routes.corss]\norigins = [\"*\"]\n", 4, "cors"),
        ("hots = \"a.example\"\n", 4, "host"),
        ("[serve]\nlisten = [\"127.0.0.1:1\"]\n", 4, "server"),
    ] {
        let file = config_file(&format!("{origin}{written}"));
        let path = file.path().to_str().unwrap();
        let (code, said) = Gateway::run(&["--test", "-c", path]).await;
        assert_eq!((code, said.lines().count()), (64, 1), "{said}");
        assert!(
            said.contains(&format!("{path}:{line}:")) && said.contains(&format!("did you mean {meant}?")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_path_that_no_route_serves() {
    let origin = Origin::start();
    let secret = route("/secret-path/*", &origin).with("name = \"secret-name\"\nhost = \"secret.example\"");
    let gateway = Gateway::with(secret).await;
    let mut answer = Client::get("/ticks?token=mine").connect(&gateway).await;
    assert_eq!((answer.status, answer.text().await.as_str()), (404, "no route serves this path\n"));
    assert!(!format!("{:?}", answer.headers).contains("secret"), "{:?}", answer.headers);
    let line = gateway.log_line("no_route").await;
    assert!(line.contains("path=\"/ticks\": no [[routes]] path serves it; the nearest is /secret-path/*"), "{line}");
}

#[tokio::test]
async fn a_page_of_another_origin() {
    const PAGE: &str = "https://page.example";
    let origin = Origin::start();
    let routes = [
        route("/none", &origin),
        route("/other", &origin).with("cors.origins = [\"https://other.example\"]"),
        route("/this", &origin).with("cors.origins = [\"https://page.example\"]"),
    ];
    let gateway = Gateway::with_all(routes).await;
    let mut bodies = Vec::new();
    for path in ["/none", "/other", "/this"] {
        let asked = Client::get(path).header("Origin", PAGE).connect(&gateway);
        let (client, body) = tokio::join!(asked, origin.stream());
        bodies.push(body);
        assert_eq!(client.header("access-control-allow-origin"), (path == "/this").then_some(PAGE));
    }
    let refused = gateway.log_lines("cors_origin_refused", 2).await;
    let told = [
        "route=/none origin=\"https://page.example\": the route has no [routes.cors]: to allow it, write into \
         the route: cors.origins = [\"https://page.example\"]",
        "route=/other origin=\"https://page.example\": to allow it, add it to cors.origins of the \
         route: [\"https://page.example\"]",
    ];
    for (line, told) in refused.iter().zip(told) {
        assert!(line.ends_with(told), "{line}");
    }
    assert_eq!(gateway.log().matches("cors_origin_refused").count(), 2);
}
