//! What an origin answers: codings, redirects and heads beyond the limits. Also the headers that it is asked with.

use crate::client::Client;
use crate::gateway::{Gateway, route};
use crate::origin::{Coding, Origin};
use crate::stage::{asked, opened};

const REFLECT: &str = "upstream.on_error = \"reflect\"";

#[tokio::test]
async fn no_redirect_shows_clients_where_the_origin_is() {
    let origin = Origin::start();
    let shared = route("/shared/*", &origin).with(REFLECT);
    let private = route("/private/*", &origin).with("share.mode = \"private\"");
    let proxied = route("/proxied/*", &origin).with("kind = \"proxy\"");
    let stripped = route("/stripped/*", &origin).with("kind = \"proxy\"\nstrip_prefix = \"/stripped\"");
    let gateway = Gateway::with_all([shared, private, proxied, stripped]).await;
    let address = origin.addr();
    let beside = format!("https://{address}/x");
    for (path, page, status, location, shown, answered) in [
        ("/shared/300", None, 300, format!("http://{address}/x?y"), Some("/x?y"), 300),
        ("/shared/404", None, 404, format!("http://{address}/x"), Some("/x"), 404),
        ("/shared/302", None, 302, beside.clone(), None, 502),
        ("/shared/3021", None, 302, "https://login.example/".to_owned(), Some("https://login.example/"), 302),
        ("/private/303", Some("https://page.example"), 303, format!("http://{address}/x"), Some("/x"), 303),
        ("/private/302", None, 302, beside.clone(), None, 502),
        ("/private/404", None, 404, beside, None, 404),
        ("/proxied/302", None, 302, format!("http://{address}/x"), Some("/x"), 302),
        ("/stripped/302", None, 302, format!("http://{address}/x"), Some("/stripped/x"), 302),
        ("/stripped/3021", None, 302, "/x".to_owned(), Some("/stripped/x"), 302),
    ] {
        let client = page.into_iter().fold(Client::get(path), |client, page| client.header("Origin", page));
        let ask = if path.starts_with("/stripped") { client.header("X-A", 1) } else { client };
        let headers = [("Location", location.as_str()), ("Content-Location", location.as_str())];
        let answer = asked(ask, &gateway, &origin, async |ask| ask.reply(status, &headers, "").await).await;
        assert_eq!((answer.status, answer.header("location")), (answered, shown), "{path}");
        assert!(!format!("{:?}", answer.headers).contains(&address.to_string()), "{path}: {:?}", answer.headers);
    }
}

#[tokio::test]
async fn a_cookie_of_a_redirect_that_was_followed_makes_a_response_ones_own() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("share.credentials = \"share\"")).await;
    for (name, value) in [("Set-Cookie", "session=1"), ("Cache-Control", "private")] {
        let client = asked(Client::get(format!("/{name}")), &gateway, &origin, async |ask| {
            ask.reply(302, &[("Location", "/there"), (name, value)], "").await;
            let _body = origin.stream().await;
        });
        let client = client.await;
        assert_eq!((client.status, client.header("set-cookie")), (502, None), "{name}");
    }
}

#[tokio::test]
async fn cookies_of_a_redirect_go_with_the_request_that_follows_it() {
    for (own, next) in [(None, "session=1; b=2"), (Some("a=1; session=0"), "a=1; session=1; b=2")] {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin)).await;
        let ask = own.into_iter().fold(Client::get("/login"), |client, own| client.header("Cookie", own));
        let (client, _body) = tokio::join!(ask.connect(&gateway), async {
            let set = [("Location", "/stream"), ("Set-Cookie", "session=1; Path=/"), ("Set-Cookie", "b=2")];
            origin.accept().await.reply(303, &set, "").await;
            let exchange = origin.accept().await;
            assert_eq!(
                (exchange.request.target.as_str(), exchange.request.headers.one("cookie")),
                ("/stream", Some(next))
            );
            exchange.sse().await
        });
        let client = client.stream();
        // A response to a request without a credential belongs to this one client, so its cookies are passed on.
        let set: &[&str] = if own.is_none() { &["session=1; Path=/", "b=2"] } else { &[] };
        assert_eq!(client.headers.all("set-cookie"), set, "{own:?}");
    }
}

#[tokio::test]
async fn a_header_is_read_from_its_file_anew() {
    let origin = Origin::start();
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "one\n").unwrap();
    let header = format!("upstream.headers = {{ x-token = {{ file = {:?} }} }}", token.path());
    let private = route("/private/*", &origin).with("share.mode = \"private\"").with(&header);
    let proxied = route("/proxied/*", &origin).with("kind = \"proxy\"").with(&header);
    let gateway = Gateway::with_all([private, proxied, route("/*", &origin).with(&header)]).await;
    let sent = |request: &crate::origin::Request| request.headers.one("x-token").unwrap().to_owned();
    let mut open = vec![opened(Client::get("/1"), &gateway, &origin).await];
    assert_eq!(sent(origin.requests().last().unwrap()), "one");

    std::fs::write(token.path(), "another\n").unwrap();
    for path in ["/2", "/private/p", "/proxied/q"] {
        open.push(opened(Client::get(path), &gateway, &origin).await);
        assert_eq!(sent(origin.requests().last().unwrap()), "another", "{path}");
    }

    for path in ["/3", "/private/r"] {
        let last = sent(origin.requests().last().unwrap());
        let next = format!("{last}+");
        let (client, body) = tokio::join!(Client::get(path).connect(&gateway), async {
            let exchange = origin.accept().await;
            assert_eq!(sent(&exchange.request), last, "{path}");
            std::fs::write(token.path(), &next).unwrap();
            exchange.reply(401, &[], "which token?").await;
            let exchange = origin.accept().await;
            assert_eq!(sent(&exchange.request), next, "{path}");
            exchange.sse().await
        });
        open.push((client.stream(), body));
    }
    // If the file has nothing new, the origin's 401 is the answer.
    let refused = asked(Client::get("/4"), &gateway, &origin, async |ask| ask.reply(401, &[], "no").await).await;
    assert_eq!(refused.status, 401);

    let last = sent(origin.requests().last().unwrap());
    std::fs::remove_file(token.path()).unwrap();
    for n in 5..8 {
        open.push(opened(Client::get(format!("/{n}")), &gateway, &origin).await);
        assert_eq!(sent(origin.requests().last().unwrap()), last);
    }
    let log = gateway.log();
    assert_eq!(log.matches("header file cannot be used").count(), 1, "{log}");
    assert!(!log.contains(&last), "{log}");
    std::fs::write(token.path(), "").unwrap();
}

#[tokio::test]
async fn a_content_encoding_that_names_no_coding_is_accepted_and_not_passed_on() {
    let origin = Origin::start();
    let private = route("/private/*", &origin).with("share.mode = \"private\"");
    let gateway = Gateway::with_all([private, route("/*", &origin)]).await;
    let mut bodies = Vec::new();
    for (n, coding) in ["none", "", "UTF-8", "Identity", "utf-8, none"].into_iter().enumerate() {
        for path in [format!("/{n}"), format!("/private/{n}")] {
            let headers = [("Content-Type", "text/event-stream"), ("Content-Encoding", coding)];
            let (client, mut body) = tokio::join!(Client::get(&path).connect(&gateway), async {
                origin.accept().await.head(200, &headers, Coding::Chunked).await
            });
            let mut client = client.stream();
            body.event("data: 1\n\n").await;
            assert_eq!(client.next_data().await, "1", "{coding:?}");
            assert_eq!(client.header("content-encoding"), None, "{coding:?}");
            bodies.push(body);
        }
    }
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_called_so() {
    let fields = |count: usize, of: &str| (0..count).map(|n| format!("X-{n}: {of}\r\n")).collect::<String>();
    for (fields, said) in [
        (fields(300, "s3cret"), "the response head has more than 256 fields"),
        (fields(200, &"s3cret".repeat(1000)), "the response head is larger than 1 MiB"),
        ("Content-Length: s3cret\r\n".to_owned(), "the response head has no valid Content-Length"),
        ("s3cret Content-Length\r\n".to_owned(), "a field of the response head is malformed"),
    ] {
        // Each case is an outage with an origin of its own, because an outage is logged only with its newest reason.
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin).with(REFLECT)).await;
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let answer = asked(Client::get("/"), &gateway, &origin, async |ask| ask.bytes(&head).await).await;
        assert_eq!(answer.status, 502, "{said}");
        let line = gateway.log_line(said).await;
        assert!(!line.contains("s3cret") && !line.contains("the answer is not HTTP"), "{line}");
    }
}
