//! Origins that fail, refuse, redirect, end or answer nonsense.

use crate::client::{Client, End, event};
use crate::gateway::{Gateway, route};
use crate::origin::{Coding, Origin, Port, Speech};
use crate::stage::{asked, gap, joined, numbered, opened, read_burst};
use std::time::{Duration, Instant};

const REFLECT: &str = "upstream.on_error = \"reflect\"";

#[tokio::test]
async fn an_origin_without_ids_that_was_lost_gives_a_gap() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("data: 1\n\n").await;
    let last = client.next_event().await;
    assert_eq!(last.data, "1");
    body.abort();
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.headers.one("last-event-id"), None);
    let mut body = exchange.sse().await;
    body.event("data: 2\n\n").await;
    let told = client.next_event().await;
    assert_eq!((told.kind.as_str(), told.data), ("gap", gap("upstream", None)));
    assert_eq!(client.next_data().await, "2");
    let mut resumed = joined(Client::get("/").after(last.id), &gateway).await;
    assert_eq!(resumed.next_data().await, gap("upstream", None));
    assert_eq!(resumed.next_data().await, "2");
}

#[tokio::test]
async fn an_origin_at_503_is_held_and_what_was_lost_meanwhile_is_told() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let held = asked(Client::get("/"), &gateway, &origin, async |ask| ask.reply(503, &[], "down").await).await;
    let mut held = held.stream();
    for _ in 0..3 {
        origin.accept().await.reply(503, &[], "down").await;
    }
    let mut body = origin.stream().await;
    body.event(&numbered(1)).await;
    assert_eq!(held.next_data().await, gap("upstream", None));
    assert_eq!(held.next_event().await, event("message", "1", "1"));
}

#[tokio::test]
async fn a_live_stream_outlives_its_origin() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    origin.kill().await;
    let mut late = joined(Client::get("/").after(0), &gateway).await;
    assert_eq!(late.next_event().await.kind, "gap");
    assert_eq!(late.next_data().await, "1");
    origin.restart();
    origin.accept().await.reply(500, &[], "not yet").await;
    let mut body = origin.stream().await;
    body.event(&numbered(2)).await;
    for mut client in [client, late] {
        assert_eq!(client.next_event().await, event("message", "2", "2"));
    }
}

#[tokio::test]
async fn an_origin_that_is_not_there_is_held_until_it_comes() {
    let origin = Origin::start();
    origin.kill().await;
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut client = joined(Client::get("/"), &gateway).await;
    origin.restart();
    let mut body = origin.stream().await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, gap("upstream", None));
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn failures_are_reflected_where_the_route_says_so() {
    let (nobody, origin) = (Port::reserve(), Origin::start());
    let routes = [
        route("/nobody", &nobody).with(REFLECT),
        route("/silent", &origin).with(REFLECT).with("upstream.head_timeout_secs = 0.05"),
        route("/*", &origin).with(REFLECT),
    ];
    let gateway = Gateway::with_all(routes).await;
    assert_eq!(Client::get("/nobody").connect(&gateway).await.status, 502);
    assert_eq!(asked(Client::get("/silent"), &gateway, &origin, async |ask| ask.gone().await).await.status, 504);
    for status in [500, 503, 429, 408, 425] {
        let client = Client::get(format!("/{status}"));
        let retry = [("Retry-After", "7")];
        let client = asked(client, &gateway, &origin, async |ask| ask.reply(status, &retry, "sorry").await).await;
        assert_eq!((client.status, client.header("retry-after")), (status, Some("7")));
    }
}

#[tokio::test]
async fn a_refusal_is_the_origins_answer_and_a_crowd_does_not_repeat_it() {
    const CROWD: usize = 50;
    for status in [400, 401, 403, 404, 410] {
        let origin = Origin::answering(move |exchange| async move {
            let headers = [("Content-Type", "text/plain"), ("WWW-Authenticate", "Basic")];
            exchange.reply(status, &headers, "go away").await;
        });
        let gateway = Gateway::with(route("/*", &origin)).await;
        let begun = Instant::now();
        for _ in 0..CROWD {
            let mut client = Client::get("/").connect(&gateway).await;
            assert_eq!((client.status, client.text().await.as_str()), (status, "go away"));
            assert_eq!(client.header("www-authenticate"), Some("Basic"));
        }
        // The gateway remembers a refusal for a second.
        let most = 1 + begun.elapsed().as_secs();
        assert!(origin.requests().len() as u64 <= most, "{} requests in {most} s", origin.requests().len());
    }
}

#[tokio::test]
async fn a_refusal_of_a_live_stream_closes_its_clients() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, body) = opened(Client::get("/"), &gateway, &origin).await;
    body.abort();
    origin.accept().await.reply(403, &[], "no more").await;
    assert_eq!(client.ended().await, End::Cut);
}

#[tokio::test]
async fn a_hold_has_an_end() {
    let nobody = Port::reserve();
    let gateway = Gateway::with(route("/*", &nobody).with("upstream.hold_secs = 0.05")).await;
    let mut held = 0;
    for _ in 0..100 {
        let mut client = Client::get("/").connect(&gateway).await;
        // On a very slow machine the hold may be over before the client is told that it is held.
        if client.status == 502 {
            continue;
        }
        client = client.stream();
        assert_eq!(client.ended().await, End::Cut);
        held += 1;
        if held == 2 {
            return;
        }
    }
    panic!("held {held} of 100 clients");
}

#[tokio::test]
async fn redirects_within_the_origin_are_followed() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut bodies = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        let target = format!("/{status}");
        let (client, body) = tokio::join!(Client::get(&target).header("Authorization", "x").connect(&gateway), async {
            origin.accept().await.reply(status, &[("Location", "/there?x=1")], "").await;
            let exchange = origin.accept().await;
            assert_eq!(exchange.request.target, "/there?x=1");
            assert_eq!(exchange.request.headers.one("authorization"), Some("x"));
            exchange.sse().await
        });
        assert_eq!(client.stream().status, 200);
        bodies.push(body);
    }
}

#[tokio::test]
async fn redirects_elsewhere_and_without_end_are_not_followed() {
    let (origin, elsewhere) = (Origin::start(), Origin::start());
    let gateway = Gateway::with(route("/*", &origin)).await;
    for location in [elsewhere.url(), "".to_owned(), "https://localhost/".to_owned()] {
        let client = Client::get(format!("/?{location}")).header("Authorization", "secret");
        let client =
            asked(client, &gateway, &origin, async |ask| ask.reply(302, &[("Location", &location)], "").await).await;
        assert!([302, 502].contains(&client.status), "{} for {location:?}", client.status);
    }
    assert_eq!(elsewhere.requests().len(), 0);

    let endless = Origin::answering(|exchange| async move { exchange.reply(307, &[("Location", "/again")], "").await });
    let gateway = Gateway::with(route("/*", &endless)).await;
    let client = Client::get("/").connect(&gateway).await;
    assert!([307, 502].contains(&client.status), "{}", client.status);
    assert!(endless.requests().len() < 20, "{}", endless.requests().len());
}

#[tokio::test]
async fn a_204_ends_the_stream_for_all() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let client =
        asked(Client::get("/"), &gateway, &origin, async |ask| ask.head(204, &[], Coding::Bare).await.end().await)
            .await;
    assert_eq!(client.status, 204);

    let (mut live, body) = opened(Client::get("/live"), &gateway, &origin).await;
    body.end().await;
    origin.accept().await.head(204, &[], Coding::Bare).await.end().await;
    assert_eq!(live.ended().await, End::Orderly);
    let before = origin.requests().len();
    assert_eq!(Client::get("/live").connect(&gateway).await.status, 204);
    assert_eq!(origin.requests().len(), before);
}

#[tokio::test]
async fn an_end_at_the_origin_is_unnoticed_or_passed_on_as_the_route_says() {
    let (origin, other) = (Origin::start(), Origin::start());
    let routes = [route("/goes-on", &origin), route("/ends", &other).with("upstream.on_close = \"close\"")];
    let gateway = Gateway::with_all(routes).await;
    let (mut client, mut body) = opened(Client::get("/goes-on"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    body.end().await;
    origin.stream().await.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "1");
    assert_eq!(client.next_data().await, "2");

    let (mut client, mut body) = opened(Client::get("/ends"), &gateway, &other).await;
    body.event(&numbered(1)).await;
    body.end().await;
    assert_eq!(client.next_data().await, "1");
    assert_eq!(client.ended().await, End::Orderly);
}

#[tokio::test]
async fn half_an_event_is_nothing() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.raw("id: 1\ndata: 1\n\nid: 2\ndata: half").await;
    body.cut().await;
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.headers.one("last-event-id"), Some("1"));
    let mut body = exchange.sse().await;
    body.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "1");
    assert_eq!(client.next_event().await, event("message", "2", "2"));
}

#[tokio::test]
async fn a_200_that_is_no_stream_is_502_and_logged() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let stream = ("Content-Type", "text/event-stream");
    for (headers, said) in [
        (vec![("Content-Type", "text/html")], "text/html"),
        (vec![("Content-Type", "text/event-streams")], "text/event-streams"),
        (vec![stream, ("Content-Encoding", "gzip")], "gzip"),
        (vec![stream, ("Content-Encoding", "br")], "br"),
        (vec![], "content-type"),
    ] {
        let client = Client::get(format!("/{}", said.replace('/', "-")));
        let client = asked(client, &gateway, &origin, async |ask| ask.reply(200, &headers, "data: x\n\n").await).await;
        assert_eq!(client.status, 502, "{headers:?}");
        gateway.log_line(said).await;
    }
}

#[tokio::test]
async fn a_content_type_with_parameters_is_a_stream() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut bodies = Vec::new();
    for (n, kind) in ["Text/Event-Stream;charset=UTF-8", "text/event-stream ; charset=utf-8"].into_iter().enumerate() {
        let (client, body) = tokio::join!(Client::get(format!("/{n}")).connect(&gateway), async {
            origin.accept().await.head(200, &[("Content-Type", kind)], Coding::Chunked).await
        });
        let said = client.header("content-type").unwrap().to_lowercase().replace(' ', "");
        assert_eq!(said, "text/event-stream;charset=utf-8");
        bodies.push(body);
    }
}

#[tokio::test]
async fn every_framing_of_an_origin_is_understood() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.on_close = \"close\"")).await;
    let text = numbered(1);
    for (n, coding) in [Coding::Chunked, Coding::Length(text.len()), Coding::UntilClose].into_iter().enumerate() {
        let (client, ()) = tokio::join!(Client::get(format!("/{n}")).connect(&gateway), async {
            let mut body = origin.accept().await.head(200, &[("Content-Type", "text/event-stream")], coding).await;
            body.event(&text).await;
            body.end().await;
        });
        let mut client = client.stream();
        assert_eq!(client.next_data().await, "1", "{coding:?}");
        assert_eq!(client.ended().await, End::Orderly, "{coding:?}");
    }
}

#[tokio::test]
async fn a_quiet_origin_is_asked_anew_before_its_response_is_left_and_nothing_is_told() {
    for id in ["", "id: 1\n"] {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin).with("upstream.idle_timeout_secs = 0.05")).await;
        let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
        body.event(&format!("{id}data: 1\n\n")).await;
        assert_eq!(client.next_data().await, "1");
        for _ in 0..3 {
            // The next request comes while the response is still open.
            let next = origin.accept().await;
            origin.open_connections(2).await;
            let next = next.sse().await;
            body.gone().await;
            body = next;
        }
        // The response ends at the fourth quiet time or earlier. The gateway hears the event in both cases.
        body.event(&format!("{}data: 2\n\n", id.replace('1', "2"))).await;
        assert_eq!(client.next_data().await, "2");
    }
}

#[tokio::test]
async fn a_quiet_response_stays_when_nothing_takes_its_place() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.idle_timeout_secs = 0.05")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    for status in [503, 404, 200] {
        origin.accept().await.reply(status, &[("Content-Type", "text/html")], "deploying").await;
    }
    body.event(&numbered(1)).await;
    assert_eq!(client.next_event().await, event("message", "1", "1"));
}

#[tokio::test]
async fn an_origin_that_sends_no_head_before_its_first_event_is_waited_for() {
    let origin = Origin::start();
    let lazy = "upstream.head_timeout_secs = 0.05\nupstream.hold_secs = 0.1\nupstream.idle_timeout_secs = \"off\"";
    let gateway = Gateway::with(route("/*", &origin).with(lazy)).await;
    let (mut client, exchange) = tokio::join!(Client::get("/").connect(&gateway), origin.accept());
    assert_eq!(client.status, 200, "it is held");
    client = client.stream();
    let mut body = exchange.sse().await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_event().await, event("message", "1", "1"));
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_deploy_that_answers_with_something_else_is_held() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    body.abort();
    for (status, kind) in [(200, "text/html"), (404, "text/plain"), (410, "text/plain"), (503, "text/html")] {
        origin.accept().await.reply(status, &[("Content-Type", kind)], "deploying").await;
    }
    let late = joined(Client::get("/"), &gateway).await;
    assert_eq!(late.status, 200);
    let mut body = origin.stream().await;
    body.event(&numbered(2)).await;
    for mut client in [client, late] {
        // The 410 answered a request with an id, so the origin does not know that id any more.
        assert_eq!(client.next_data().await, gap("upstream", None));
        assert_eq!(client.next_data().await, "2");
    }
}

#[tokio::test]
async fn a_finite_stream_is_not_asked_again_while_nobody_is_there() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("data: [DONE]\n\n").await;
    assert_eq!(client.next_data().await, "[DONE]");
    let id = client.last_id().to_owned();
    drop(client);
    gateway.log_line("client left").await;
    body.end().await;
    origin.open_connections(0).await;
    // Many times longer than the longest backoff of these stories.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(origin.requests().len(), 1);
    // A client that comes back finds the log and the origin.
    let (mut back, mut body) = tokio::join!(Client::get("/").after(id).connect(&gateway), origin.stream());
    body.event("data: again\n\n").await;
    assert_eq!(back.next_data().await, gap("upstream", None));
    assert_eq!(back.next_data().await, "again");
}

#[tokio::test]
async fn an_outage_is_told_in_two_lines_however_many_streams_it_hits() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(opened(Client::get(format!("/{n}")), &gateway, &origin).await);
    }
    origin.kill().await;
    let down = gateway.log_line("origin down").await;
    assert!(down.contains(&format!("origin={}", origin.url())) && down.contains("streams=20"), "{down}");
    origin.restart();
    for _ in 0..20 {
        tokio::spawn(origin.stream().await.gone());
    }
    let up = gateway.log_line("origin up").await;
    assert!(up.contains("down_secs=") && up.contains("attempts=") && up.contains("lost=20"), "{up}");
    let warnings: Vec<_> = gateway.log().lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
}

#[tokio::test]
async fn a_burst_passes_whole_to_a_client_that_reads() {
    const EVENTS: usize = 20_000;
    // The client reads more slowly than the origin sends. A busy machine may keep it from reading for so long that it
    // counts as stalled. Then the test tries again with a new client.
    for _ in 0..5 {
        let origin = Origin::start();
        let gateway =
            Gateway::with(route("/*", &origin).with("replay.events = 100\nupstream.on_close = \"close\"")).await;
        let (mut client, body) = opened(Client::get("/").small_receive_buffer(), &gateway, &origin).await;
        let pause = |next| (next % 100 == 0).then(|| Duration::from_millis(5));
        let read = read_burst(&mut client, body, EVENTS, pause).await;
        if read == (EVENTS, End::Orderly) {
            return;
        }
        assert_ne!(read.1, End::Orderly, "a response that was cut does not look complete");
    }
    panic!("no client was sent the whole burst");
}

#[tokio::test]
async fn a_reconnection_time_of_an_earlier_response_is_not_told() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("client.retry_jitter = 0")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("retry: 4321\nid: 1\ndata: 1\n\n").await;
    assert_eq!(client.next_data().await, "1");
    let mut told = joined(Client::get("/"), &gateway).await;
    body.event(&numbered(2)).await;
    assert_eq!(told.next_data().await, "2");
    assert_eq!(told.retries(), [4321]);
    body.abort();
    let mut body = origin.stream().await;
    body.event(&numbered(3)).await;
    assert_eq!(client.next_data().await, "2");
    assert_eq!(client.next_data().await, "3");
    let mut later = joined(Client::get("/"), &gateway).await;
    body.event(&numbered(4)).await;
    assert_eq!(later.next_data().await, "4");
    assert_eq!(later.retries(), [0; 0]);
}

#[tokio::test]
async fn origins_over_tls_are_verified_and_speak_either_version() {
    for (protocols, version) in [(&["h2", "http/1.1"][..], "HTTP/2"), (&["http/1.1"], "HTTP/1.1")] {
        let origin = Origin::speaking(Speech::Tls(protocols));
        let trusted = format!("upstream.ca_file = {:?}", origin.authority().path());
        let routes = [route("/trusted", &origin).with(&trusted), route("/*", &origin).with(REFLECT)];
        let gateway = Gateway::with_all(routes).await;
        let (mut client, mut body) = opened(Client::get("/trusted"), &gateway, &origin).await;
        assert_eq!(origin.request(1).await.version, version);
        body.event(&numbered(1)).await;
        assert_eq!(client.next_data().await, "1");
        assert_eq!(Client::get("/").connect(&gateway).await.status, 502);
        assert_eq!(origin.requests().len(), 1);
        drop(client);
    }
}

/// An upgrade that the request did not ask for.
const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

#[tokio::test]
async fn nonsense_is_a_failure_like_any_other() {
    let origin = Origin::start();
    let gateway = Gateway::with_all([route("/reflects/*", &origin).with(REFLECT), route("/*", &origin)]).await;
    for (n, nonsense) in
        ["", "HTTP/1.1 ", "220 mail.example ESMTP\r\n\r\n", UPGRADE, "HTTP/1.1 200 OK\r\nno field\r\n\r\n"]
            .into_iter()
            .enumerate()
    {
        let client =
            asked(Client::get(format!("/reflects/{n}")), &gateway, &origin, async |ask| ask.bytes(nonsense).await)
                .await;
        assert_eq!(client.status, 502, "{nonsense:?}");
    }
    assert_eq!(asked(Client::get("/reflects/reset"), &gateway, &origin, async |ask| ask.abort()).await.status, 502);
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    body.bytes(b"not a chunk\r\n").await;
    assert_eq!(client.next_data().await, "1");
    let mut body = origin.stream().await;
    body.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "2");
}

#[tokio::test]
async fn an_origin_that_gave_an_id_once_and_does_not_resume_is_found_out() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("id: 1\ndata: 1\n\ndata: 2\n\n").await;
    assert_eq!(client.next_data().await, "1");
    assert_eq!(client.next_data().await, "2");
    body.abort();
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.headers.one("last-event-id"), Some("1"));
    let mut body = exchange.sse().await;
    // The gateway asked for what follows event 1, which should begin with event 2.
    body.event("data: 3\n\n").await;
    assert_eq!(client.next_data().await, gap("upstream", None));
    assert_eq!(client.next_data().await, "3");
    body.abort();
    let mut body = origin.stream().await;
    body.event("data: 2\n\ndata: 3\n\ndata: 4\n\n").await;
    assert_eq!(client.next_data().await, "4", "events that come again are dropped");
}

#[tokio::test]
async fn a_block_with_an_empty_id_makes_no_gap() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("id: 1\ndata: 1\n\nid:\n\n").await;
    assert_eq!(client.next_data().await, "1");
    body.end().await;
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.headers.one("last-event-id"), Some("1"));
    exchange.sse().await.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "2");
}

#[tokio::test]
async fn an_origin_that_ends_quiet_responses_in_order_makes_no_gaps() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    for _ in 0..5 {
        body.end().await;
        body = origin.stream().await;
    }
    body.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "2");
}
