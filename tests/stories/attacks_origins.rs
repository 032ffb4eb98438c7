//! Origins that send too much, too little, or something else than they say. An origin is believed only where its word is
//! checked, and no word of it makes the gateway ask another origin.

use crate::client::{Client, Connection, End};
use crate::gateway::{Gateway, Route, route};
use crate::http1::latin1;
use crate::origin::{Coding, Origin, over};
use crate::stage::{asked, gap, opened, request_for};
use crate::under_attack::{KIB, MIB, SERVING, Siege, besieged, statuses};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The path of each way to serve a request: a stream, a stream of one client, and a proxy.
pub const WAYS: [&str; 3] = ["/shared/a", "/private/a", "/proxied/a"];

/// A path that no other request of the story has, so that it opens a stream of its own.
pub fn at(way: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("{way}{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Failures are answered at once, so that no client waits.
pub fn routes(origin: &Origin) -> [Route; 3] {
    let reflect = "upstream.on_error = \"reflect\"\nlimits.subscribers = 1000";
    [
        route("/shared/*", origin).with(reflect),
        route("/private/*", origin).with("share.mode = \"private\""),
        route("/proxied/*", origin).with("kind = \"proxy\""),
    ]
}

/// The statuses of the answers to a GET, in the order in which they came, and all that came.
async fn answers_to(path: &str, gateway: &Gateway) -> (Vec<u16>, String) {
    let mut connection = Connection::open(gateway).await;
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
    let all = latin1(&connection.rest().await);
    (statuses(&all), all)
}

/// Sends a piece of a body until the other side closes. Returns whether it did before so many bytes were sent.
pub async fn endless(mut body: crate::origin::Body, piece: &str, most: usize) -> bool {
    let gone = body.watch_gone();
    let send = async {
        for _ in 0..most / piece.len() {
            body.bytes(piece.as_bytes()).await;
        }
    };
    tokio::select! {
        () = send => false,
        () = over(gone) => true,
    }
}

#[tokio::test]
async fn a_line_without_end_is_left_out_and_costs_no_more_than_an_event_may() {
    let origin = Origin::start();
    let small = "upstream.max_event_bytes = \"64KiB\"";
    let (gateway, peaceful) = besieged("", [route("/*", &origin).with(small)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for (path, begin) in
        [("/data", "data: "), ("/comment", ": "), ("/id", "id: "), ("/event", "event: "), ("/none", "x")]
    {
        let (mut client, mut body) = opened(Client::get(path), &gateway, &origin).await;
        body.event("id: 1\ndata: 1\n\n").await;
        assert_eq!(client.next_data().await, "1");
        body.raw(begin).await;
        for _ in 0..64 {
            body.raw(vec![b'x'; MIB]).await;
        }
        body.event("\n\ndata: after\n\n").await;
        let next = client.next_data().await;
        assert!(next == "after" || next == gap("upstream", Some(1)), "{path}: {next}");
    }
    siege.endured(SERVING + 2 * MIB).await;
}

#[tokio::test]
async fn a_head_without_end_is_502_and_costs_no_more_than_a_head_may() {
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let large = "x".repeat(32 * MIB);
    for head in [
        format!("HTTP/1.1 200 OK\r\nX: {large}"),
        format!("HTTP/1.1 200 {large}"),
        format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(5 * MIB)),
        "\r\n".repeat(2 * MIB),
        large,
    ] {
        for path in WAYS {
            let answered = asked(Client::get(at(path)), &gateway, &origin, async |ask| ask.bytes(&head).await).await;
            assert_eq!(answered.status, 502, "{path} {:?}", head.get(..30));
        }
    }
    siege.endured(SERVING + 8 * MIB).await;
}

#[tokio::test]
async fn a_head_that_comes_in_single_bytes_after_many_empty_lines_is_served() {
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    // Less than a head may have. Each two of these lines were once a reason to parse all that had come.
    let empty = "\r\n".repeat(400 * KIB);
    let (mut client, _body) = tokio::join!(Client::get("/shared/a").connect(&gateway), async {
        let mut body = origin.accept().await.head(100, &[], Coding::Bare).await;
        body.bytes(empty.as_bytes()).await;
        for byte in b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n" {
            body.bytes(&[*byte]).await;
        }
        body
    });
    assert_eq!((client.status, client.next_data().await), (200, "1".to_owned()));
    siege.endured(SERVING + 4 * MIB).await;
}

#[tokio::test]
async fn interim_responses_without_end_are_502() {
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for head in ["HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n", "HTTP/1.1 100 Go on\r\n\r\n", "HTTP/1.1 199 Odd\r\n\r\n"] {
        for path in WAYS.map(at) {
            let answer = async {
                let body = request_for(&path, &origin).await.head(102, &[], Coding::Bare).await;
                assert!(endless(body, head, 512 * MIB).await, "{path}: the gateway reads for ever");
            };
            let ((statuses, all), ()) = tokio::join!(answers_to(&path, &gateway), answer);
            let (last, interim) = statuses.split_last().expect("an answer");
            assert_eq!(*last, 502, "{path}: {all}");
            assert!(interim.len() <= 101 && interim.iter().all(|status| *status < 200), "{path}: {all}");
        }
    }
    siege.endured(SERVING + 4 * MIB).await;
}

#[tokio::test]
async fn no_redirect_leads_the_gateway_to_a_server_that_is_not_configured() {
    let (origin, victim) = (Origin::start(), Origin::start());
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let (own, other) = (origin.addr(), victim.addr());
    for location in [
        format!("http://{other}/"),
        format!("//{other}/"),
        format!("\\\\{other}/"),
        format!("/\\{other}/"),
        format!("http:\\\\{other}\\"),
        format!("http://{own}@{other}/"),
        format!("http://{own}:80@{other}/"),
        format!("http://{other}#@{own}/"),
        format!("http://{other}\\@{own}/"),
        format!("h\tttp://{other}/"),
        format!(" http://{other}/"),
        format!("http://127.1:{}/", other.port()),
        format!("http://0x7f000001:{}/", other.port()),
        format!("http://localhost:{}/", other.port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "javascript:alert(1)".to_owned(),
    ] {
        for path in WAYS {
            for status in [301, 302, 303, 307, 308] {
                let fields = [("Location", location.as_str())];
                let answer =
                    asked(Client::get(at(path)), &gateway, &origin, async |ask| ask.reply(status, &fields, "").await);
                let answer = answer.await;
                assert!([status, 502].contains(&answer.status), "{location:?}: {}", answer.status);
            }
        }
    }
    assert_eq!(victim.connections(), 0);
    siege.endured(SERVING).await;
}

#[tokio::test]
async fn redirects_that_lead_to_each_other_come_to_an_end() {
    let origin = Origin::answering(|exchange| async move {
        let next = format!("{}x", exchange.request.target);
        let next = if next.len() > 30 { "/shared/a".to_owned() } else { next };
        exchange.reply(302, &[("Location", &next)], "").await;
    });
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for path in WAYS {
        let before = origin.requests().len();
        let status = Client::get(at(path)).connect(&gateway).await.status;
        assert!([302, 502].contains(&status), "{path}: {status}");
        let asked = origin.requests().len() - before;
        assert!(asked <= 20, "{path}: {asked} requests");
    }
    siege.endured(SERVING).await;
}

#[tokio::test]
async fn a_body_that_is_shorter_than_its_length_never_looks_whole() {
    let origin = Origin::start();
    let gateway = Gateway::with_all(routes(&origin)).await;
    for path in ["/private/a", "/proxied/a"] {
        for (fields, body) in [
            (&[("Content-Length", "1000")][..], "abc"),
            (&[("Transfer-Encoding", "chunked")], "3\r\nabc\r\n"),
            (&[("Transfer-Encoding", "chunked")], "ff\r\nabc"),
            (&[("Transfer-Encoding", "chunked")], "3\r\nabc\r\n0\r\n"),
            (&[("Transfer-Encoding", "chunked")], "3\r\nabcd\r\n0\r\n\r\n"),
        ] {
            let mut client = asked(Client::get(at(path)), &gateway, &origin, async |ask| {
                let mut answer =
                    ask.head(200, &[&[("Content-Type", "text/plain")], fields].concat(), Coding::Bare).await;
                answer.bytes(body.as_bytes()).await;
                answer.cut().await;
            })
            .await;
            let end = if client.status == 200 { client.ended().await } else { End::Cut };
            assert_ne!(end, End::Orderly, "{path} {body:?}: {}", latin1(&client.bytes));
        }
    }
}

/// Two answers where one was asked for. The second must not become the answer to the next request.
#[tokio::test]
async fn what_comes_after_the_end_of_a_response_is_nobodys_answer() {
    let origin = Origin::start();
    let gateway = Gateway::with_all(routes(&origin)).await;
    let poison = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 14\r\n\r\ndata: poison\n\n";
    let ok = "Content-Type: text/event-stream\r\n";
    for path in WAYS {
        for first in [
            format!("HTTP/1.1 200 OK\r\n{ok}Content-Length: 10\r\n\r\ndata: 12\n\n{poison}"),
            format!("HTTP/1.1 200 OK\r\n{ok}Transfer-Encoding: chunked\r\n\r\na\r\ndata: 12\n\n\r\n0\r\n\r\n{poison}"),
            format!("HTTP/1.1 200 OK\r\n{ok}Content-Length: 0\r\n\r\n{poison}"),
            format!("HTTP/1.1 204 No\r\n\r\n{poison}"),
            format!("HTTP/1.1 304 No\r\nContent-Length: 10\r\n\r\n{poison}"),
        ] {
            let client = asked(Client::get(at(path)), &gateway, &origin, async |ask| {
                tokio::spawn(ask.bytes(first.clone()));
            });
            drop(client.await);
            let next = asked(Client::get(at(path)), &gateway, &origin, async |ask| {
                ask.reply(404, &[], "the right one").await;
            });
            let mut next = next.await;
            assert_eq!((next.status, next.text().await.as_str()), (404, "the right one"), "{path} {first:?}");
        }
    }
}

#[tokio::test]
async fn two_lengths_and_odd_framings_of_a_response_are_502_or_a_cut() {
    let origin = Origin::start();
    let gateway = Gateway::with_all(routes(&origin)).await;
    for fields in [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 4",
        "Content-Length: -1",
        "Content-Length: 0x3",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "X: a\0b",
        "X: a\rb",
        "no field",
        "X Y: z",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{fields}\r\n\r\ndata: 1\n\n");
        for path in WAYS {
            let mut client = asked(Client::get(at(path)), &gateway, &origin, async |ask| ask.bytes(&head).await).await;
            let end = if client.status == 200 { Some(client.ended().await) } else { None };
            let is_refused = client.status == 502 || end.is_some_and(|end| end != End::Orderly);
            assert!(is_refused || !client.bytes.contains(&0), "{path} {fields:?}: {} {end:?}", client.status);
            assert!(client.headers.all("content-length").len() <= 1, "{path} {fields:?}: {:?}", client.headers);
        }
    }
}
