//! The owners of ids: the origin, this gateway, and a gateway behind it.

use crate::client::{Client, Response, event};
use crate::gateway::{Gateway, configuration, route};
use crate::mode::HTTP1_ONLY;
use crate::origin::{Body, Exchange, Origin, Port};
use crate::stage::{gap, joined, numbered, opened};
use rustix::process::Signal;
use std::collections::BTreeSet;

/// Ends a gateway, so that another can listen on its address.
async fn end(gateway: &mut Gateway) {
    gateway.signal(Signal::INT);
    gateway.exit_code().await;
}

fn asked_after(exchange: &Exchange) -> Option<&str> {
    exchange.request.headers.one("last-event-id")
}

#[tokio::test]
async fn a_minted_id_behind_an_origins_outlives_the_gateway() {
    let origin = Origin::start();
    let mut gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("id: 1\ndata: 1\n\ndata: ping\n\n").await;
    assert_eq!(client.next_event().await, event("message", "1", "1"));
    let ping = client.next_event().await;
    assert!(ping.data == "ping" && ping.id.starts_with('~') && ping.id.ends_with("~1"), "{ping:?}");
    let mut resumed = joined(Client::get("/").after(&ping.id), &gateway).await;
    end(&mut gateway).await;

    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, _bodies) = tokio::join!(Client::get("/").after(&ping.id).connect(&gateway), async {
        let exchanges = [origin.accept().await, origin.accept().await];
        let asked: BTreeSet<_> = exchanges.iter().map(asked_after).collect();
        assert_eq!(asked, BTreeSet::from([None, Some("1")]), "the origin's part");
        let mut bodies = Vec::new();
        for exchange in exchanges {
            let mut body = exchange.sse().await;
            body.event(&numbered(2)).await;
            bodies.push(body);
        }
        bodies
    });
    assert_eq!(client.next_event().await, event("message", "2", "2"), "neither lost nor told as lost");
    let mut late = joined(Client::get("/").after(&ping.id), &gateway).await;
    assert_eq!(late.next_event().await, event("message", "2", "2"));
    resumed.ended().await;
    assert_eq!(resumed.unread_events(), [], "it had seen the ping");
}

#[tokio::test]
async fn the_id_of_an_event_that_is_too_large_counts_though_it_stands_behind_the_data() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.max_event_bytes = 100")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let large = format!("data: {}\nid: 2\n\n", "x".repeat(200));
    body.event(&(numbered(1) + &large)).await;
    assert_eq!(client.next_event().await, event("message", "1", "1"));
    let told = client.next_event().await;
    assert_eq!((told.kind.as_str(), told.data), ("gap", gap("upstream", Some(1))));
    client.until("id: 2\n\n").await;
    assert_eq!(client.last_id(), "2", "it need not be told again");
    body.abort();
    let exchange = origin.accept().await;
    assert_eq!(asked_after(&exchange), Some("2"), "it is not fetched again");
    let mut body = exchange.sse().await;
    body.event(&numbered(3)).await;
    assert_eq!(client.next_event().await, event("message", "3", "3"));
    let mut late = joined(Client::get("/").after(2), &gateway).await;
    assert_eq!(late.next_event().await, event("message", "3", "3"));
}

#[tokio::test]
async fn responses_that_end_within_an_event_are_told_once_until_one_does_not() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (_client, body) = opened(Client::get("/"), &gateway, &origin).await;
    let within = async |mut body: Body| {
        body.raw("id: 7\ndata: seven\n").await;
        body.end().await;
    };
    within(body).await;
    within(origin.stream().await).await;
    within(origin.stream().await).await;
    let mut whole = origin.stream().await;
    whole.raw("id: 7\ndata: seven\n\n").await;
    whole.end().await;
    within(origin.stream().await).await;
    let told = gateway.log_lines("response ended within an event", 2).await;
    assert!(told.iter().all(|line| line.contains("empty line") && line.contains("bytes=18")), "{told:?}");
    let _next = origin.stream().await;
    assert_eq!(gateway.log().matches("response ended within an event").count(), 2);
}

#[tokio::test]
async fn a_block_with_an_id_alone_moves_the_id_of_clients() {
    for ids in ["auto", "origin"] {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin).with(&format!("replay.ids = \"{ids}\""))).await;
        let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
        body.event("id: 1\ndata: 1\n\nid: 9\n\n").await;
        assert_eq!(client.next_event().await, event("message", "1", "1"));
        client.until("id: 9\n\n").await;
        assert_eq!((client.last_id(), client.unread_events()), ("9", vec![]));
        body.event(&numbered(10)).await;
        for mut client in [client, joined(Client::get("/").after(9), &gateway).await] {
            assert_eq!(client.next_event().await, event("message", "10", "10"));
        }
        let mut behind = joined(Client::get("/").after(1), &gateway).await;
        assert_eq!(behind.next_event().await, event("message", "10", "10"));
        assert!(behind.bytes.windows(7).any(|bytes| bytes == b"id: 9\n\n"));
    }
}

#[tokio::test]
async fn an_id_is_known_without_the_spaces_around_it() {
    let origin = Origin::start();
    // In HTTP/2 a field with spaces around its value is malformed (RFC 9113, section 8.2.1).
    let gateway = Gateway::with(route("/*", &origin).with(HTTP1_ONLY)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("id:  a b \ndata: 1\n\n").await;
    assert_eq!(client.next_event().await, event("message", "1", " a b "), "it passes as it is");
    let resumed = [
        joined(Client::get("/").after(" a b "), &gateway).await,
        joined(Client::get("/").after("a b"), &gateway).await,
        joined(Client::get("/?lastEventId=+a+b+"), &gateway).await,
    ];
    body.event(&numbered(2)).await;
    for mut client in resumed {
        assert_eq!(client.next_event().await, event("message", "2", "2"));
    }
}

#[tokio::test]
async fn an_id_that_no_header_can_bring_back_counts_as_none() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    for bad in ["x".repeat(9 << 10), "a\u{7}b".to_owned()] {
        body.event(&format!("id: 1\ndata: 1\n\nid: {bad}\ndata: 2\n\n")).await;
        assert_eq!(client.next_event().await, event("message", "1", "1"));
        let second = client.next_event().await;
        assert!(second.data == "2" && second.id.starts_with('~') && second.id.ends_with("~1"), "{second:?}");
        let mut resumed = joined(Client::get("/").after(&second.id), &gateway).await;
        body.event("id: 3\ndata: 3\n\n").await;
        assert_eq!((resumed.next_data().await, client.next_data().await), ("3".to_owned(), "3".to_owned()));
    }
}

#[tokio::test]
async fn what_cannot_be_an_id_is_unknown_and_never_refused() {
    let origin = Origin::start();
    let gateway = Gateway::with_all([route("/*", &origin), route("/cold/*", &origin)]).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    client.next_data().await;
    let long = "x".repeat(9 << 10);
    for client in [
        Client::get("/").after(&long),
        Client::get(format!("/?lastEventId={long}")),
        Client::get("/?lastEventId=a%00b"),
        Client::get("/?lastEventId=a%0Ab"),
    ] {
        let mut client = joined(client, &gateway).await;
        assert_eq!(client.next_data().await, gap("unknown", None));
        assert_eq!(client.next_data().await, "1");
    }
    let (mut client, mut body) = opened(Client::get("/cold/a").after(&long), &gateway, &origin).await;
    assert_eq!(origin.request(2).await.headers.one("last-event-id"), None);
    body.event(&numbered(7)).await;
    assert_eq!(client.next_data().await, gap("unknown", None));
    assert_eq!(client.next_data().await, "7");
}

#[tokio::test]
async fn every_name_of_the_query_parameter_resumes_and_is_no_part_of_the_stream() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/?a=1"), &gateway, &origin).await;
    body.event(&(numbered(1) + &numbered(2))).await;
    client.next_data().await;
    for name in ["lastEventId", "lastEventID", "last-event-id"] {
        let mut client = joined(Client::get(format!("/?a=1&{name}=1")), &gateway).await;
        assert_eq!(client.next_data().await, "2", "{name}");
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_origin_that_is_no_gateway_is_asked_for_its_part_of_an_id_that_another_gateway_minted() {
    // The id is of an earlier time, when the route had another origin.
    let minted = "~5365003efae239c6-1001";
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, _bodies) = tokio::join!(Client::get("/a").after(format!("{minted}~1")).connect(&gateway), async {
        let mut bodies = Vec::new();
        let mut asked = BTreeSet::new();
        for _ in 0..3 {
            let exchange = origin.accept().await;
            let after = asked_after(&exchange).map(str::to_owned);
            let mut body = exchange.sse().await;
            if after.as_deref() == Some("1") {
                body.event("id: 2\ndata: 2\n\n").await;
            }
            asked.insert(after);
            bodies.push(body);
        }
        assert_eq!(asked, BTreeSet::from([None, Some(format!("{minted}~1")), Some("1".to_owned())]));
        bodies
    });
    assert_eq!(client.next_data().await, "2");
    // Without the origin's part of the id, nothing is known about what was lost.
    let (mut client, _bodies) = tokio::join!(Client::get("/b").after(minted).connect(&gateway), async {
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let mut body = origin.accept().await.sse().await;
            body.event("id: 3\ndata: 3\n\n").await;
            bodies.push(body);
        }
        bodies
    });
    assert_eq!(client.next_data().await, gap("unknown", None));
    assert_eq!(client.next_data().await, "3");
}

/// Two gateways, one behind the other. The inner one has a port of its own.
struct Chain<'a> {
    origin: &'a Origin,
    port: Port,
    /// The `replay.ids` of the inner gateway and of the outer one.
    ids: [&'a str; 2],
}

impl Chain<'_> {
    async fn inner(&self) -> Gateway {
        let route = route("/*", self.origin).with(&format!("replay.ids = \"{}\"", self.ids[0]));
        Gateway::start(&configuration("", [route]).replace("127.0.0.1:0", &self.port.addr().to_string())).await
    }

    async fn outer(&self) -> Gateway {
        Gateway::with(route("/*", &self.port).with(&format!("replay.ids = \"{}\"", self.ids[1]))).await
    }

    /// Feeds a client `text`, which ends with a ping, and restarts gateways while the origin publishes `next`, which
    /// ends with `last`. Returns what the client sees then. `part`: the id that the origin is asked to resume after,
    /// if it is asked again.
    async fn told(&self, text: &str, restarts: Restarts, part: Option<&str>, next: &str) -> Vec<(String, String)> {
        let (mut inner, mut outer) = (self.inner().await, self.outer().await);
        let (mut client, body) = opened(Client::get("/"), &outer, self.origin).await;
        let mut bodies = vec![body];
        bodies[0].event(text).await;
        until(&mut client, "ping").await;
        let id = client.last_id().to_owned();
        if restarts.outer {
            end(&mut outer).await;
            client.ended().await;
        }
        if restarts.inner {
            end(&mut inner).await;
            inner = self.inner().await;
        }
        let publish = async {
            if restarts.inner {
                bodies.clear();
                // The gateway makes two requests: the shared one, and one for what the client missed.
                let mut asked = BTreeSet::new();
                for _ in 0..1 + part.iter().len() {
                    let exchange = self.origin.accept().await;
                    asked.insert(asked_after(&exchange).map(str::to_owned));
                    bodies.push(exchange.sse().await);
                }
                assert_eq!(asked, BTreeSet::from([None, part.map(str::to_owned)]), "{:?} {restarts:?}", self.ids);
            }
            for body in &mut bodies {
                body.event(next).await;
            }
        };
        let come_back = async {
            if restarts.outer {
                outer = self.outer().await;
                client = joined(Client::get("/").after(&id), &outer).await;
            }
            until(&mut client, "last").await
        };
        let ((), told) = tokio::join!(publish, come_back);
        end(&mut outer).await;
        end(&mut inner).await;
        told
    }
}

/// The types and data of the events up to the first with this data.
async fn until(client: &mut Response, data: &str) -> Vec<(String, String)> {
    let mut told = Vec::new();
    while told.last().is_none_or(|(_, last)| last != data) {
        let event = client.next_event().await;
        told.push((event.kind, event.data));
    }
    told
}

#[derive(Debug, Clone, Copy)]
struct Restarts {
    inner: bool,
    outer: bool,
}

const ALL_RESTARTS: [Restarts; 3] = [
    Restarts { inner: true, outer: false },
    Restarts { inner: false, outer: true },
    Restarts { inner: true, outer: true },
];

#[tokio::test]
async fn through_two_gateways_each_event_comes_once_whichever_is_restarted() {
    let origin = Origin::start();
    for ids in [["auto", "auto"], ["auto", "origin"], ["origin", "auto"], ["origin", "origin"]] {
        let chain = Chain { origin: &origin, port: Port::reserve(), ids };
        for restarts in ALL_RESTARTS {
            let text = "id: 1\ndata: 1\n\ndata: ping\n\n";
            let mut told = chain.told(text, restarts, Some("1"), "id: 2\ndata: 2\n\ndata: last\n\n").await;
            if ids[0] == "origin" {
                // The ping has the same id as the event before it, so it is sent again at least once.
                told.retain(|(_, data)| data != "ping");
            }
            let expected = ["2", "last"].map(|data| ("message".to_owned(), data.to_owned()));
            assert_eq!(told, expected, "{ids:?} {restarts:?}");
        }
    }
}

#[tokio::test]
async fn through_two_gateways_what_no_id_can_bring_back_is_told() {
    let origin = Origin::start();
    for ids in [["auto", "auto"], ["auto", "origin"]] {
        let chain = Chain { origin: &origin, port: Port::reserve(), ids };
        for restarts in ALL_RESTARTS {
            let text = "data: 1\n\ndata: ping\n\n";
            let told = chain.told(text, restarts, None, "data: 2\n\ndata: last\n\n").await;
            let message = |data: &str| ("message".to_owned(), data.to_owned());
            let lost = ("gap".to_owned(), gap("unknown", None));
            // The inner gateway minted the ids. As long as it runs, nothing is lost.
            let gaps = if restarts.inner { vec![lost] } else { vec![] };
            assert_eq!(told, [gaps, vec![message("2"), message("last")]].concat(), "{ids:?} {restarts:?}");
        }
    }
}
