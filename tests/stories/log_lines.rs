//! Secrets and forged text never get into the log, whatever `RUST_LOG` says and whatever strangers send.

use crate::client::Client;
use crate::gateway::{Gateway, Route, configuration, route};
use crate::origin::{Exchange, Origin};
use crate::stage::{asked, opened};
use rustix::process::Signal;

/// A gateway with this `RUST_LOG`, as soon as it serves.
async fn logging(spec: &str, routes: impl IntoIterator<Item = Route>) -> Gateway {
    let gateway = Gateway::spawn_with(&configuration("", routes), &[("RUST_LOG", spec)]);
    gateway.log_line("listening addr=").await;
    gateway
}

/// The text that no line may hold. Clients and origins send it in cookies, credentials and bodies.
const SECRET: &str = "s3cret";

#[tokio::test]
async fn heads_and_bodies_are_never_logged_whatever_is_asked_for() {
    let origin = Origin::start();
    for spec in [
        "trace",
        "manifold=info,pingora_proxy=debug",
        "manifold=info,pingora_proxy=trace,pingora_proxy::proxy_h1=trace,pingora_proxy::proxy_trait=trace",
        "info,pingora_core=trace,pingora_core::protocols::http::v1::client=trace,pingora=trace",
        "info,hyper=trace,hyper::proto=trace,h2=debug,h2::codec::framed_read=trace,hpack=trace,rustls=trace",
    ] {
        let routes = [
            route("/proxy/*", &origin).with("kind = \"proxy\""),
            route("/private", &origin).with("share.mode = \"private\""),
            route("/*", &origin),
        ];
        let mut gateway = logging(spec, routes).await;
        let with_secrets = |client: Client<'static>| {
            let client = client.header("Cookie", format!("id={SECRET}")).header("X-Odd", SECRET);
            client.header("Authorization", format!("Bearer {SECRET}"))
        };
        let cookie = format!("a={SECRET}");
        let set = [("Set-Cookie", cookie.as_str())];
        for post in [Client::method("POST", "/proxy/post"), Client::method("POST", "/proxy/post").h2()] {
            let post = with_secrets(post).body(SECRET);
            let mut answer = asked(post, &gateway, &origin, async |ask| ask.reply(200, &set, SECRET).await).await;
            assert_eq!(answer.text().await, SECRET);
        }
        for stream in [Client::get("/private"), Client::get("/shared")] {
            let (mut client, mut body) = opened(with_secrets(stream), &gateway, &origin).await;
            body.event(&format!("data: {SECRET}\n\n")).await;
            assert_eq!(client.next_data().await, SECRET);
            body.end().await;
        }
        // Both the client and the origin send a head that cannot be read.
        let odd = with_secrets(Client::get("/proxy/odd").http11()).header("X-Worse", format!("{SECRET}\0"));
        drop(odd.connect(&gateway).await);
        let answer = format!("HTTP/1.1 200 OK\r\nSet-Cookie: a={SECRET}\r\nno field {SECRET}\r\n\r\n");
        // If the connection was a kept one, the origin gets the request again.
        let broken = async {
            loop {
                let exchange = origin.accept().await;
                if exchange.request.target == "/proxy/broken" {
                    exchange.bytes(&answer).await;
                } else {
                    exchange.abort();
                }
            }
        };
        let response = tokio::select! {
            response = Client::get("/proxy/broken").connect(&gateway) => response,
            () = broken => unreachable!("it serves for ever"),
        };
        assert_eq!(response.status, 502);
        gateway.signal(Signal::INT);
        assert_eq!(gateway.exit_code().await, 0);
        let log = gateway.log();
        assert!(!log.contains(SECRET), "{spec}:\n{log}");
        assert!(!log.contains("X-Odd") && !log.contains("x-odd"), "{spec}:\n{log}");
        assert!(log.contains("listening addr="), "{spec}:\n{log}");
    }
}

#[tokio::test]
async fn a_rust_log_that_cannot_be_used_is_told_and_is_as_none() {
    let origin = Origin::start();
    for (spec, told) in [
        ("", "RUST_LOG: it is empty: the default is used, warn,manifold=info"),
        ("inof", "RUST_LOG: \"inof\" is neither a level"),
        ("manifold=loud", "RUST_LOG: \"loud\" is not a level"),
        ("sqlx=debug", "RUST_LOG: \"sqlx=debug\" names no crate of this program"),
        ("info/a/b", "RUST_LOG: \"info/a/b\" has more than one slash"),
    ] {
        let gateway = logging(spec, [route("/*", &origin)]).await;
        let log = gateway.log();
        assert!(log.contains(told), "{spec:?}:\n{log}");
        let (_client, _body) = opened(Client::get("/"), &gateway, &origin).await;
        gateway.log_line("stream opened").await;
    }
    let gateway = logging("manifold=info,h2=trace", [route("/*", &origin)]).await;
    gateway.log_line("RUST_LOG: fewer lines of \"h2\" are written").await;
    let gateway = logging("info", [route("/*", &origin)]).await;
    assert!(!gateway.log().contains("RUST_LOG"), "{}", gateway.log());
    let arguments = ["healthcheck", "-c", gateway.config().to_str().unwrap()];
    let (_, said) = Gateway::run_with(&arguments, &[("RUST_LOG", "inof")]).await;
    assert!(said.contains("the default is used, warn"), "{said}");
}

/// Waits for a line that holds `text`, and returns all such lines. None of them may hold a control character or a
/// forged pair, or be very long.
async fn plain_lines(gateway: &Gateway, text: &str) -> Vec<String> {
    gateway.log_line(text).await;
    let lines: Vec<_> = gateway.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect();
    for line in &lines {
        assert!(line.starts_with("[20"), "a line begins with its time: {line:?}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.len() < 2500, "{} bytes: {line:?}", line.len());
        assert_eq!(key_values(line).iter().filter(|(key, _)| key == "forged").count(), 0, "{line}");
    }
    lines
}

/// The `key=value` pairs of a line, read as a program would read them. A value is a word or a text in double quotes.
fn key_values(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.rsplit(' ').next().unwrap_or_default().to_owned();
        if let Some(quoted) = after.strip_prefix('"') {
            let mut is_escaped = false;
            let (value, after) = quoted
                .split_once(|character| {
                    let ends = character == '"' && !is_escaped;
                    is_escaped = character == '\\' && !is_escaped;
                    ends
                })
                .unwrap_or_else(|| panic!("quotes without an end: {line}"));
            pairs.push((key, value.to_owned()));
            rest = after;
        } else {
            let (value, after) = after.split_once(' ').unwrap_or((after, ""));
            pairs.push((key, value.to_owned()));
            rest = after;
        }
    }
    pairs
}

/// A text that tries to end the quotes, to forge a pair, and to control the terminal.
const FORGERY: &str = "x\" forged=1 why=\"";

#[tokio::test]
async fn what_clients_send_forges_nothing() {
    let origin = Origin::start();
    let private = route("/private/*", &origin).with("share.mode = \"private\"");
    let gateway = Gateway::with_all([route("/s/*", &origin), private]).await;
    let long = "l".repeat(5000);
    for path in ["/s/a\"forged=1\"", "/private/a\"forged=1", &format!("/s/{long}"), &format!("/private/{long}")] {
        drop(opened(Client::get(path), &gateway, &origin).await);
    }
    gateway.log_lines("client left", 4).await;
    for line in plain_lines(&gateway, "stream=").await {
        let pairs = key_values(&line);
        let stream = &pairs.iter().find(|(key, _)| key == "stream").unwrap().1;
        assert!(stream.starts_with("/s/") || stream.starts_with("/private/"), "{line}");
        assert!(stream.len() < 300, "{line}");
        assert_eq!(
            stream.rsplit_once('#').map(|(_, variant)| variant.len()),
            Some(8),
            "it ends in the variant: {line}"
        );
    }
    let asked = Client::get(format!("/nowhere\"forged=1{long}"));
    drop(asked.connect(&gateway).await);
    plain_lines(&gateway, "no_route").await;
    let page = format!("http://page {FORGERY}{long}");
    let asked = Client::get("/s/page").header("Origin", page);
    drop(opened(asked, &gateway, &origin).await);
    plain_lines(&gateway, "cors_origin_refused").await;
}

#[tokio::test]
async fn what_origins_send_forges_nothing() {
    let origin = Origin::start();
    let reflect = "upstream.on_error = \"reflect\"";
    let gateway = Gateway::with_all([
        route("/private/*", &origin).with("share.mode = \"private\""),
        route("/*", &origin).with(reflect),
    ])
    .await;
    let long = "l".repeat(5000);
    for value in [FORGERY.to_owned(), format!("{FORGERY}{long}"), "\u{1b}[2Jx\u{9b}".to_owned()] {
        let content_type = [("Content-Type", value.as_str())];
        // The redirect leads to the origin's host with another scheme. It is neither followed nor passed on.
        let beside = format!("https://{}/{value}", origin.addr());
        let location = [("Location", beside.as_str())];
        let coded = [("Content-Type", "text/event-stream"), ("Content-Encoding", value.as_str())];
        for (n, (status, headers)) in
            [(200, &content_type[..]), (302, &location), (200, &coded)].into_iter().enumerate()
        {
            for path in [format!("/{n}{}", value.len()), format!("/private/{n}{}", value.len())] {
                let answer = async |ask: Exchange| ask.reply(status, headers, "").await;
                drop(asked(Client::get(path), &gateway, &origin, answer).await);
            }
        }
    }
    let refused = plain_lines(&gateway, "stream refused").await;
    assert!(refused.len() >= 6, "{refused:#?}");
    for line in refused {
        assert!(key_values(&line).iter().any(|(key, why)| key == "why" && why.starts_with("origin ")), "{line}");
    }
    plain_lines(&gateway, "").await;
}
