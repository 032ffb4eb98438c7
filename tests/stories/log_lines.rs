//! What the log never holds, whatever `RUST_LOG` says and whatever strangers send.

use crate::client::Client;
use crate::gateway::{Gateway, Route, configuration, route};
use crate::origin::Origin;
use crate::stage::{asked, opened};
use rustix::process::Signal;

/// A gateway with this `RUST_LOG`, as soon as it serves, and the line that says where it listens if that is told.
async fn logging(spec: &str, routes: impl IntoIterator<Item = Route>) -> Gateway {
    let gateway = Gateway::spawn_with(&configuration("", routes), &[("RUST_LOG", spec)]);
    gateway.log_line("listening addr=").await;
    gateway
}

/// What no line may hold: it is in cookies, credentials and bodies, of either side.
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
        // A head that cannot be read, of either side.
        let odd = with_secrets(Client::get("/proxy/odd")).header("X-Worse", format!("{SECRET}\0"));
        drop(odd.connect(&gateway).await);
        let answer = format!("HTTP/1.1 200 OK\r\nSet-Cookie: a={SECRET}\r\nno field {SECRET}\r\n\r\n");
        // It is asked again where the connection was kept.
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
        ("", "RUST_LOG: it is empty: what is told is warn,manifold=info"),
        ("inof", "RUST_LOG: \"inof\" is no level"),
        ("manifold=loud", "RUST_LOG: \"loud\" is no level"),
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
    gateway.log_line("RUST_LOG: of \"h2\" only warnings and errors are told").await;
    let gateway = logging("info", [route("/*", &origin)]).await;
    assert!(!gateway.log().contains("RUST_LOG"), "{}", gateway.log());
    let arguments = ["healthcheck", "-c", gateway.config().to_str().unwrap()];
    let (_, said) = Gateway::run_with(&arguments, &[("RUST_LOG", "inof")]).await;
    assert!(said.contains("what is told is warn"), "{said}");
}
