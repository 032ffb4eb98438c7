//! Clients of other ecosystems over TLS, with HTTP/1.1 and with HTTP/2. Each loses its connection and resumes.

use crate::admin_api::{self, ADMIN};
use crate::browser::Browser;
use crate::curl::{curl, until};
use crate::ecosystem::{go, node, python};
use crate::gateway::{Gateway, Route, configuration, route};
use crate::line::Line;
use crate::listener::Listener;
use crate::origin::{Authority, Origin};
use crate::resuming::quick;
use serde_json::Value;
use std::collections::HashMap;
use tokio::process::Command;

const HTTP1: &str = "http/1.1";
const H2: &str = "h2";

/// Which certificates Node, Go and Python trust.
const TRUST: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"];

/// A gateway that offers this protocol only, over TLS.
async fn secured(routes: impl IntoIterator<Item = Route>, authority: &Authority, protocol: &str) -> Gateway {
    let tls = authority.listens();
    let gateway = Gateway::spawn(&format!("{}\n{tls}alpn = [{protocol:?}]\n", configuration(ADMIN, routes)));
    gateway.log_line(" tls=on").await;
    gateway
}

/// The API's description of the stream with this key, when it is as expected.
async fn stream_until(gateway: &Gateway, key: &str, expected: impl Fn(&Value) -> bool) -> Value {
    let admin = gateway.admin().await;
    let path = format!("/api/streams?q={key}");
    let listed = admin_api::until(admin, &path, "Streams", |page| page["total"] == 1).await;
    let path = format!("/api/streams/{}", listed["streams"][0]["id"].as_str().unwrap());
    admin_api::until(admin, &path, "StreamDetail", expected).await
}

/// Fails unless all clients of a stream speak this protocol, as the API says.
async fn speak(gateway: &Gateway, key: &str, protocol: &str) {
    let name = if protocol == H2 { "HTTP/2" } else { "HTTP/1.1" };
    let told = stream_until(gateway, key, |told| told["subscribers"] != Value::from([(); 0])).await;
    for client in told["subscribers"].as_array().unwrap() {
        assert_eq!(client["protocol"], name, "{client}");
    }
}

/// A client hears all events of a stream, although its connection is cut in between.
async fn it_resumes(protocol: &str, mut command: Command) {
    let (origin, authority) = (Origin::start(), Authority::new());
    let gateway = secured([quick(&origin)], &authority, protocol).await;
    let line = Line::to(gateway.tls_addr().unwrap());
    command.arg(line.secured_url("/a"));
    if protocol == H2 {
        command.arg("--http2");
    }
    for variable in TRUST {
        command.env(variable, authority.path());
    }
    let (mut client, mut body) = tokio::join!(async { Listener::program(command) }, origin.stream());
    for n in 1..=3 {
        body.event(&format!("data: {n}\n\n")).await;
        assert_eq!(client.data().await, n.to_string());
    }
    speak(&gateway, "/a", protocol).await;
    line.cut();
    body.event("data: 4\n\n").await;
    body.event("data: 5\n\n").await;
    line.mend();
    body.event("data: 6\n\n").await;
    for n in 4..=6 {
        assert_eq!(client.data().await, n.to_string());
    }
    assert_eq!(origin.requests().len(), 1, "the gateway held the stream");
}

#[tokio::test]
async fn node_resumes() {
    it_resumes(HTTP1, node("clients/node/eventsource.mjs")).await;
}

#[tokio::test]
async fn go_resumes_over_http_1() {
    let mut command = go("clients/go/main.go").await;
    command.env("GODEBUG", "http2client=0");
    it_resumes(HTTP1, command).await;
}

#[tokio::test]
async fn go_resumes_over_http_2() {
    it_resumes(H2, go("clients/go/main.go").await).await;
}

#[tokio::test]
async fn python_resumes_over_http_1() {
    it_resumes(HTTP1, python("clients/python/httpx_sse_client.py")).await;
}

#[tokio::test]
async fn python_resumes_over_http_2() {
    it_resumes(H2, python("clients/python/httpx_sse_client.py")).await;
}

/// Node's own `http2` leaves its session, and then loses one. Each stream goes on without a loss and a duplicate.
#[tokio::test]
async fn streams_of_a_session_of_node_resume_over_http_2() {
    const PATHS: [&str; 3] = ["/a", "/b", "/c"];
    let (origin, authority) = (Origin::start(), Authority::new());
    let gateway = secured([quick(&origin)], &authority, H2).await;
    let line = Line::to(gateway.tls_addr().unwrap());
    let mut command = node("clients/node/http2.mjs");
    command.arg(line.secured_url("")).arg("2").args(PATHS).env(TRUST[0], authority.path());
    let mut client = Listener::program(command);
    let mut bodies = Vec::new();
    for _ in PATHS {
        let asked = origin.accept().await;
        bodies.push((asked.request.target.clone(), asked.sse().await));
    }
    let mut sent = 0;
    let mut send = async |more: usize| {
        for n in sent + 1..=sent + more {
            for (path, body) in &mut bodies {
                body.event(&format!("id: {n}\ndata: {path} {n}\n\n")).await;
            }
        }
        sent += more;
    };
    let mut heard: HashMap<String, usize> = HashMap::new();
    let mut until = async |n: usize| {
        while heard.len() < PATHS.len() || heard.values().any(|heard| *heard < n) {
            let data = client.data().await;
            let (path, number) = data.split_once(' ').unwrap();
            let last = heard.entry(path.to_owned()).or_default();
            *last += 1;
            assert_eq!(number, last.to_string(), "{path}");
        }
    };
    // It leaves its session after two events on each stream.
    send(4).await;
    until(4).await;
    for path in PATHS {
        speak(&gateway, path, H2).await;
    }
    line.cut();
    send(3).await;
    line.mend();
    send(3).await;
    until(10).await;
    assert_eq!(origin.requests().len(), PATHS.len(), "the gateway held the streams");
}

#[tokio::test]
async fn curl_resumes_over_every_protocol() {
    for (protocol, option) in [(HTTP1, "--http1.1"), (H2, "--http2"), (H2, "--http2-prior-knowledge")] {
        let (origin, authority) = (Origin::start(), Authority::new());
        let gateway = secured([route("/*", &origin)], &authority, protocol).await;
        let (line, url);
        if option == "--http2-prior-knowledge" {
            line = Line::to(gateway.addr());
            url = line.url("/a");
        } else {
            line = Line::to(gateway.tls_addr().unwrap());
            url = line.secured_url("/a");
        }
        let asked = [option, "--cacert", authority.path().to_str().unwrap(), &url];
        let (mut first, mut body) = tokio::join!(async { curl(&asked) }, origin.stream());
        for n in 1..=3 {
            body.event(&format!("id: {n}\ndata: {n}\n\n")).await;
        }
        let (_, id) = until(&mut first, "3").await;
        speak(&gateway, "/a", protocol).await;
        line.cut();
        assert_ne!(first.exit_code().await, 0, "{option}: it was cut off");
        body.event("id: 4\ndata: 4\n\n").await;
        line.mend();
        let mut second = curl(&[&asked[..], &["--header", &format!("Last-Event-ID: {id}")]].concat());
        let (before, _) = until(&mut second, "4").await;
        assert!(!before.iter().any(|line| line.starts_with("data:")), "{option}: {before:?}");
        body.event("id: 5\ndata: 5\n\n").await;
        let (before, _) = until(&mut second, "5").await;
        assert!(!before.iter().any(|line| line.starts_with("data:")), "{option}: {before:?}");
        assert_eq!(origin.requests().len(), 1, "{option}: both shared");
    }
}

/// Opens EventSources in a page. It counts how often one breaks off.
async fn open(page: &Browser, url: &str, sources: usize) {
    page.run(&format!(
        "window.heard = Array.from({{ length: {sources} }}, () => []);
         window.broken = 0;
         return Promise.all(heard.map((one) => new Promise((opened) => {{
             const source = new EventSource({url:?});
             source.onmessage = ({{ data }}) => one.push(data);
             source.onerror = () => broken++;
             source.onopen = () => opened(null);
         }})));"
    ))
    .await;
}

/// So many EventSources, of which each has heard the first events: those from 1 on.
fn each_heard(sources: usize, events: usize) -> Value {
    vec![(1..=events).map(|n| n.to_string()).collect::<Vec<_>>(); sources].into()
}

/// What each EventSource of the page has heard, when each has so many events.
async fn heard(page: &Browser, events: usize) -> Value {
    page.run(&format!(
        "return new Promise((done) => {{
            const look = () => heard.every((one) => one.length >= {events}) ? done(heard) : setTimeout(look, 20);
            look();
        }});"
    ))
    .await
}

/// Many EventSources of one page resume after their connections were cut. A reader beside them that reads nothing is not
/// in their way.
async fn sources_of_a_page_resume(protocol: &str, sources: usize) {
    let (origin, authority) = (Origin::start(), Authority::new());
    let pages = Origin::answering(async |asked| asked.reply(200, &[("Content-Type", "text/html")], "a page").await);
    let proxied = ["/page", "/favicon.ico"].map(|path| route(path, &pages).with("kind = \"proxy\""));
    let gateway = secured(proxied.into_iter().chain([quick(&origin)]), &authority, protocol).await;
    let line = Line::to(gateway.tls_addr().unwrap());
    let page = Browser::trusting().await;
    page.open(&line.secured_url("/page")).await;
    let (url, unread) = (line.secured_url("/a"), line.secured_url("/unread"));
    let (_, mut body) = tokio::join!(open(&page, &url, sources), origin.stream());
    body.event("data: 1\n\n").await;
    let expected = |events| each_heard(sources, events);
    assert_eq!(heard(&page, 1).await, expected(1));

    let stop = format!("window.stopped = fetch({unread:?}); return stopped.then(() => null);");
    let large = format!("data: {}\n\n", "x".repeat(900_000));
    let stopped = async {
        let mut body = origin.stream().await;
        for _ in 0..10 {
            body.event(&large).await;
        }
        body
    };
    let (_, _unread) = tokio::join!(page.run(&stop), stopped);
    body.event("data: 2\n\n").await;
    assert_eq!(heard(&page, 2).await, expected(2));

    line.cut();
    body.event("data: 3\n\n").await;
    body.event("data: 4\n\n").await;
    line.mend();
    body.event("data: 5\n\n").await;
    assert_eq!(heard(&page, 5).await, expected(5));
    body.event("data: 6\n\n").await;
    assert_eq!(heard(&page, 6).await, expected(6));
}

#[tokio::test]
async fn fifty_sources_of_a_page_in_chromium_resume_over_http_2() {
    sources_of_a_page_resume(H2, 50).await;
}

/// Chromium opens six connections to a host. One of them is for the reader that reads nothing.
#[tokio::test]
async fn sources_of_a_page_in_chromium_resume_over_http_1() {
    sources_of_a_page_resume(HTTP1, 5).await;
}

/// A page sends large bodies on the connection of its EventSources: one that a route takes, and one that the route of the
/// streams refuses. No stream breaks off.
#[tokio::test]
async fn large_bodies_beside_fifty_sources_of_a_page_in_chromium_over_http_2() {
    const SOURCES: usize = 50;
    const BODY_BYTES: usize = 200_000;
    let (origin, authority) = (Origin::start(), Authority::new());
    let site = Origin::answering(async |asked| {
        let taken = asked.request.body.len().to_string();
        asked.reply(200, &[("Content-Type", "text/html")], &taken).await;
    });
    let proxied = ["/page", "/upload", "/favicon.ico"].map(|path| route(path, &site).with("kind = \"proxy\""));
    let gateway = secured(proxied.into_iter().chain([quick(&origin)]), &authority, H2).await;
    let line = Line::to(gateway.tls_addr().unwrap());
    let page = Browser::trusting().await;
    page.open(&line.secured_url("/page")).await;
    let (_, mut body) = tokio::join!(open(&page, "/a", SOURCES), origin.stream());
    body.event("data: 1\n\n").await;
    let expected = |events| each_heard(SOURCES, events);
    assert_eq!(heard(&page, 1).await, expected(1));
    let connections = line.accepted();
    let send = format!(
        "const body = 'x'.repeat({BODY_BYTES});
         const post = async (path) => {{
             const response = await fetch(path, {{ method: 'POST', body }});
             return [response.status, await response.text()];
         }};
         const get = async () => [(await fetch('/page')).status];
         return Promise.all([post('/upload'), post('/a'), get(), post('/upload'), post('/a'), get()]);"
    );
    let sent = page.run(&send).await;
    let taken = serde_json::json!([200, BODY_BYTES.to_string()]);
    assert_eq!((&sent[0], &sent[3]), (&taken, &taken));
    assert_eq!((&sent[1][0], &sent[4][0]), (&405.into(), &405.into()), "the stream takes no body");
    assert_eq!((&sent[2][0], &sent[5][0]), (&200.into(), &200.into()));
    body.event("data: 2\n\n").await;
    assert_eq!(heard(&page, 2).await, expected(2));
    assert_eq!(page.run("return broken").await, 0, "no stream broke off");
    assert_eq!(line.accepted(), connections, "all went over connections that there were");
    assert_eq!(origin.requests().len(), 1);
}
