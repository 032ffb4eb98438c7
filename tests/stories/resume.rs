//! What a client with a `Last-Event-ID` gets, and what it is told if the log cannot serve it.

use crate::client::{Client, Response, event};
use crate::gateway::{Gateway, route};
use crate::origin::{Body, Exchange, Origin, ResumingOrigin};
use crate::stage::{gap, joined, numbered, opened};
use std::collections::BTreeSet;

/// A stream on `/` with events 1 to `n`, all of which its first client has seen.
async fn after_events(n: u64, options: &str) -> (Gateway, Origin, Response, Body) {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with(options)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    for n in 1..=n {
        body.event(&numbered(n)).await;
        assert_eq!(client.next_data().await, n.to_string());
    }
    (gateway, origin, client, body)
}

#[tokio::test]
async fn a_known_id_resumes_after_it_and_goes_on_live() {
    let (gateway, origin, _first, mut body) = after_events(5, "").await;
    let resumed = [
        joined(Client::get("/").after(3), &gateway).await,
        joined(Client::get("/?lastEventId=3"), &gateway).await,
        joined(Client::get("/").after(3).http10(), &gateway).await,
        joined(Client::get("/").after(3).h2(), &gateway).await,
    ];
    body.event(&numbered(6)).await;
    for mut client in resumed {
        for n in 4..=6 {
            assert_eq!(client.next_event().await, event("message", &n.to_string(), &n.to_string()));
        }
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_evicted_id_gives_a_gap_and_then_the_oldest_held() {
    let (gateway, _origin, _first, _body) = after_events(5, "replay.events = 2").await;
    let mut client = joined(Client::get("/").after(1), &gateway).await;
    let told = client.next_event().await;
    assert_eq!((told.kind.as_str(), told.id.as_str()), ("gap", ""));
    assert!(
        told.data.starts_with("{\"reason\":\"evicted\",\"missed\":") || told.data == gap("unknown", None),
        "{told:?}"
    );
    assert_eq!(client.next_data().await, "4");
    assert_eq!(client.next_data().await, "5");
    let mut client = joined(Client::get("/").after(3), &gateway).await;
    assert_eq!(client.next_event().await, event("message", "4", "4"), "the newest evicted id is known");
}

#[tokio::test]
async fn a_minted_id_that_was_evicted_tells_how_many_were_missed() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("replay.events = 2")).await;
    let (mut first, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut ids = Vec::new();
    for n in 1..=5 {
        body.event(&format!("data: {n}\n\n")).await;
        ids.push(first.next_event().await.id);
    }
    assert!(ids.iter().all(|id| id.starts_with('~')), "{ids:?}");
    let mut client = joined(Client::get("/").after(&ids[0]), &gateway).await;
    assert_eq!(client.next_data().await, gap("evicted", Some(2)));
    assert_eq!(client.next_data().await, "4");
    let mut client = joined(Client::get("/").after(&ids[3]), &gateway).await;
    assert_eq!(client.next_data().await, "5");
}

#[tokio::test]
async fn an_unknown_id_gives_a_gap() {
    let (gateway, _origin, _first, _body) = after_events(2, "replay.gap_event = \"lost\"").await;
    for id in ["7", "~other-life-1", "~"] {
        let mut client = joined(Client::get("/").after(id), &gateway).await;
        assert_eq!(client.next_event().await, event("lost", &gap("unknown", None), ""));
        assert_eq!(client.next_data().await, "1");
    }
}

#[tokio::test]
async fn a_quiet_stream_gives_no_gap() {
    let (gateway, _origin, first, mut body) = after_events(2, "replay.age_secs = 0.01").await;
    drop(first);
    gateway.log_line("client left").await;
    let mut client = joined(Client::get("/").after(2), &gateway).await;
    body.event(&numbered(3)).await;
    assert_eq!(client.next_data().await, "3");
}

#[tokio::test]
async fn a_route_may_choose_not_to_tell_of_gaps() {
    for (on_gap, next) in [("oldest", "4"), ("live", "6")] {
        let options = format!("replay.events = 2\nreplay.on_gap = \"{on_gap}\"");
        let (gateway, _origin, _first, mut body) = after_events(5, &options).await;
        let mut client = joined(Client::get("/").after(1), &gateway).await;
        body.event(&numbered(6)).await;
        assert_eq!(client.next_data().await, next, "on_gap = {on_gap}");
    }
}

#[tokio::test]
async fn a_client_without_an_id_starts_as_the_route_says() {
    for (start, next) in [("\"live\"", "6"), ("\"all\"", "1"), ("2", "4"), ("100", "1")] {
        let (gateway, _origin, _first, mut body) = after_events(5, &format!("replay.start = {start}")).await;
        let mut client = joined(Client::get("/"), &gateway).await;
        body.event(&numbered(6)).await;
        assert_eq!(client.next_data().await, next, "start = {start}");
    }
}

#[tokio::test]
async fn on_a_cold_stream_each_gets_what_it_missed_and_no_id_decides_for_another() {
    let origin = ResumingOrigin::start_live();
    for _ in 1..=18 {
        origin.publish();
    }
    let gateway = Gateway::with(route("/*", &*origin)).await;
    let ids = [Some("18"), Some("10"), None, Some("3"), Some("999999999"), Some("10")];
    let clients = ids.map(|id| {
        let client = Client::get("/");
        let client = match id {
            Some(id) => client.after(id),
            None => client,
        };
        async { client.connect(&gateway).await.stream() }
    });
    let mut clients = futures_util::future::join_all(clients).await;
    origin.publish();
    for (client, id) in clients.iter_mut().zip(ids) {
        let first = match id {
            Some("10") => 11,
            Some("3") => 4,
            _ => 19,
        };
        for n in first..=19 {
            assert_eq!(client.next_data().await, n.to_string(), "{id:?}");
        }
    }
    let requests = origin.requests();
    let shared = requests.iter().filter(|request| request.headers.one("last-event-id").is_none());
    assert_eq!(shared.count(), 1, "one upstream is shared");
}

#[tokio::test]
async fn an_id_that_the_origin_refuses_is_told_to_its_client_alone() {
    for (status, told) in [(404, 200), (410, 200), (500, 200), (401, 401), (204, 204)] {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin)).await;
        let answers = async {
            let mut body = None;
            for _ in 0..2 {
                let exchange = origin.accept().await;
                match exchange.request.headers.one("last-event-id") {
                    Some("bad") => exchange.reply(status, &[], "").await,
                    _ => body = Some(exchange.sse().await),
                }
            }
            body.unwrap()
        };
        let (mut forged, mut body) = tokio::join!(Client::get("/").after("bad").connect(&gateway), answers);
        assert_eq!(forged.status, told, "{status}");
        let mut other = joined(Client::get("/"), &gateway).await;
        body.event(&numbered(1)).await;
        assert_eq!(other.next_data().await, "1");
        if told == 200 {
            forged = forged.stream();
            assert_eq!(forged.next_data().await, gap("unknown", None), "{status}");
            assert_eq!(forged.next_data().await, "1");
        }
    }
}

#[tokio::test]
async fn a_minted_id_is_never_sent_upstream_and_unknown_to_another_stream() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/one"), &gateway, &origin).await;
    body.event("data: 1\n\n").await;
    let minted = client.next_event().await.id;
    let (mut other, mut other_body) = opened(Client::get("/other").after(minted), &gateway, &origin).await;
    assert_eq!(origin.request(2).await.headers.one("last-event-id"), None);
    other_body.event(&numbered(10)).await;
    assert_eq!(other.next_data().await, gap("unknown", None));
    assert_eq!(other.next_data().await, "10");
}

#[tokio::test]
async fn an_id_that_no_header_can_hold_is_told_as_a_gap() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/?lastEventId=a%07b"), &gateway, &origin).await;
    assert_eq!(origin.request(1).await.headers.one("last-event-id"), None);
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, gap("unknown", None));
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn the_query_parameter_never_reaches_the_origin() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let answers = async {
        let (first, second) = (origin.accept().await, origin.accept().await);
        (first.sse().await, second.sse().await)
    };
    let (_client, _bodies) = tokio::join!(Client::get("/?a=1&lastEventId=9&b=2").connect(&gateway), answers);
    let asked: BTreeSet<_> = origin
        .requests()
        .iter()
        .map(|request| (request.target.clone(), request.headers.one("last-event-id").map(str::to_owned)))
        .collect();
    let target = || "/?a=1&b=2".to_owned();
    assert_eq!(asked, BTreeSet::from([(target(), None), (target(), Some("9".to_owned()))]));
    let _same = joined(Client::get("/?a=1&b=2"), &gateway).await;
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn ids_are_minted_unless_the_route_says_that_they_are_the_origins() {
    let origin = Origin::start();
    let routes = [route("/auto", &origin), route("/origin", &origin).with("replay.ids = \"origin\"")];
    let gateway = Gateway::with_all(routes).await;
    let (mut client, mut body) = opened(Client::get("/auto"), &gateway, &origin).await;
    body.event("id: a\ndata: 1\n\nid\ndata: 2\n\ndata: 3\n\n").await;
    let ids = [client.next_event().await.id, client.next_event().await.id, client.next_event().await.id];
    assert_eq!(ids[0], "a");
    assert!(ids[1].starts_with('~') && ids[2].starts_with('~') && ids[1] != ids[2], "{ids:?}");

    let (mut client, mut body) = opened(Client::get("/origin"), &gateway, &origin).await;
    body.event("data: 1\n\nid: a\n\ndata: 2\n\nid\ndata: 3\n\n").await;
    assert_eq!(client.next_event().await, event("message", "1", ""));
    assert_eq!(client.next_event().await, event("message", "2", "a"));
    assert_eq!(client.next_event().await, event("message", "3", ""));
}

#[tokio::test]
async fn a_reconnect_resumes_upstream_and_drops_repeats() {
    let (_gateway, origin, mut client, body) = after_events(3, "").await;
    body.abort();
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.headers.one("last-event-id"), Some("3"));
    let mut body = exchange.sse().await;
    for n in 2..=4 {
        body.event(&numbered(n)).await;
    }
    assert_eq!(client.next_event().await, event("message", "4", "4"));
}

#[tokio::test]
async fn what_differs_from_the_log_is_no_repeat() {
    let (_gateway, origin, mut client, body) = after_events(3, "").await;
    body.abort();
    let mut body = origin.stream().await;
    body.event("id: 2\ndata: 2\n\nid: 3\ndata: other\n\nid: 3\ndata: 3\n\n").await;
    assert_eq!(client.next_data().await, "other");
    assert_eq!(client.next_data().await, "3");
}

#[tokio::test]
async fn a_route_without_replay_is_live_only() {
    let (gateway, _origin, _first, mut body) = after_events(2, "replay.events = \"off\"").await;
    let mut client = joined(Client::get("/"), &gateway).await;
    body.event(&numbered(3)).await;
    assert_eq!(client.next_data().await, "3");
}

/// The shared request and the request for an id, in this order.
async fn two_requests(origin: &Origin) -> [Exchange; 2] {
    let two = [origin.accept().await, origin.accept().await];
    let [one, other] = two;
    if one.request.headers.one("last-event-id").is_none() { [one, other] } else { [other, one] }
}

#[tokio::test]
async fn an_origin_that_dies_in_a_backfill_is_asked_again() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, _bodies) = tokio::join!(Client::get("/").after(5).connect(&gateway), async {
        let [shared, asked] = two_requests(&origin).await;
        let mut shared = shared.sse().await;
        shared.event(&numbered(7)).await;
        let mut dying = asked.sse().await;
        dying.event(&numbered(6)).await;
        dying.abort();
        let again = origin.accept().await;
        assert_eq!(again.request.headers.one("last-event-id"), Some("6"), "the id of the last event that came");
        let mut body = again.sse().await;
        body.event(&numbered(7)).await;
        (shared, body)
    });
    assert_eq!(client.next_data().await, "6");
    assert_eq!(client.next_data().await, "7");
}

#[tokio::test]
async fn an_origin_that_gives_its_history_in_pages_is_asked_for_each() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, _bodies) = tokio::join!(Client::get("/").after(5).connect(&gateway), async {
        let [shared, page] = two_requests(&origin).await;
        let mut shared = shared.sse().await;
        shared.event(&numbered(9)).await;
        let mut body = page.sse().await;
        body.event(&(numbered(6) + &numbered(7))).await;
        body.end().await;
        let page = origin.accept().await;
        assert_eq!(page.request.headers.one("last-event-id"), Some("7"));
        let mut body = page.sse().await;
        body.event(&(numbered(8) + &numbered(9))).await;
        (shared, body)
    });
    for n in 6..=9 {
        assert_eq!(client.next_data().await, n.to_string());
    }
}

#[tokio::test]
async fn an_event_that_is_too_large_for_a_backfill_costs_only_itself() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.max_event_bytes = 1024")).await;
    let (mut client, _bodies) = tokio::join!(Client::get("/").after(4).connect(&gateway), async {
        let [shared, asked] = two_requests(&origin).await;
        let mut shared = shared.sse().await;
        shared.event(&numbered(7)).await;
        let mut body = asked.sse().await;
        let large = format!("id: 5\ndata: {}\n\n", "x".repeat(2000));
        body.event(&(large + &numbered(6) + &numbered(7))).await;
        (shared, body)
    });
    assert_eq!(client.next_data().await, gap("upstream", Some(1)));
    assert_eq!(client.next_data().await, "6");
    assert_eq!(client.next_data().await, "7");
}

#[tokio::test]
async fn a_stream_without_an_event_of_its_own_goes_on_after_what_a_backfill_brought() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, (shared, _backfill)) = tokio::join!(Client::get("/").after(5).connect(&gateway), async {
        let [shared, asked] = two_requests(&origin).await;
        let shared = shared.sse().await;
        let mut backfill = asked.sse().await;
        backfill.event(&numbered(6)).await;
        (shared, backfill)
    });
    assert_eq!(client.next_data().await, "6");
    shared.abort();
    let next = origin.accept().await;
    assert_eq!(next.request.headers.one("last-event-id"), Some("6"), "the origin's id, and no client's");
    let mut body = next.sse().await;
    body.event(&numbered(7)).await;
    assert_eq!(client.next_event().await, event("message", "7", "7"), "and no gap");
}
