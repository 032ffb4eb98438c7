//! Responses that the origin marks as private to one client, although the client sent no credential.

use crate::client::{Client, End, Response, event};
use crate::gateway::{Gateway, configuration, route};
use crate::origin::{Body, Coding, Exchange, Origin};
use crate::stage::{asked, gap, joined, opened};
use std::collections::HashSet;
use tokio::task::JoinSet;

/// Answers with a response that is private to the `n`-th client.
async fn own(exchange: Exchange, n: usize) -> Body {
    let cookie = format!("session={n}");
    let headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "private"), ("Set-Cookie", &cookie)];
    exchange.head(200, &headers, Coding::Chunked).await
}

async fn private(exchange: Exchange) -> Body {
    let headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "private")];
    exchange.head(200, &headers, Coding::Chunked).await
}

/// Connects a client, and answers it through an upstream of its own.
async fn opens_own(client: Client<'_>, gateway: &Gateway, origin: &Origin, n: usize) -> (Response, Body) {
    let (client, body) = tokio::join!(client.connect(gateway), async { own(origin.accept().await, n).await });
    (client.stream(), body)
}

#[tokio::test]
async fn each_client_has_its_own_cookie_and_its_own_events() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut clients = Vec::new();
    for (n, version) in ["http/1.1", "http/1.0", "h2", "http/1.1"].into_iter().enumerate() {
        let client = match version {
            "h2" => Client::get("/me").h2(),
            "http/1.0" => Client::get("/me").http10(),
            _ => Client::get("/me"),
        };
        let (client, body) = opens_own(client, &gateway, &origin, n).await;
        assert_eq!(client.headers.all("set-cookie"), [format!("session={n}")]);
        assert_eq!(client.header("cache-control"), Some("no-cache, no-transform, no-store"));
        clients.push((client, body));
    }
    for (n, (_, body)) in clients.iter_mut().enumerate() {
        body.event(&format!("data: of {n}\n\n")).await;
    }
    for (n, (client, _)) in clients.iter_mut().enumerate() {
        assert_eq!(client.next_data().await, format!("of {n}"));
        assert_eq!(client.unread_events(), []);
    }
    let head = Client::method("HEAD", "/me").connect(&gateway).await;
    assert_eq!((head.status, head.header("set-cookie")), (200, None));
    assert_eq!(origin.requests().len(), 4);
    let told = gateway.log_line("response not shared").await;
    for key in ["share.trust_origin", "share.mode = 'private'", "share.credentials", "sets a cookie"] {
        assert!(told.contains(key), "{told}");
    }
    assert!(!gateway.log().contains("session="), "no cookie is in the log");
    assert_eq!(gateway.log().matches("response not shared").count(), 1, "it is said once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_client_of_a_crowd_that_waits_for_one_response_gets_one_of_its_own() {
    const CLIENTS: usize = 200;
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let client = if n % 4 == 0 { Client::get("/me").h2() } else { Client::get("/me") };
        drop(clients.spawn(client.connect(gateway.target())));
    }
    let mut bodies = Vec::new();
    for n in 0..CLIENTS {
        let mut body = own(origin.accept().await, n).await;
        body.event(&format!("data: {n}\n\n")).await;
        bodies.push(body);
    }
    let mut seen = HashSet::new();
    let mut held = Vec::new();
    while let Some(client) = clients.join_next().await {
        let mut client = client.unwrap().stream();
        let data = client.next_data().await;
        assert_eq!(client.headers.all("set-cookie"), [format!("session={data}")]);
        assert!(seen.insert(data), "nobody else has it");
        assert_eq!(client.unread_events(), []);
        held.push(client);
    }
    assert_eq!((seen.len(), origin.requests().len()), (CLIENTS, CLIENTS));
}

#[tokio::test]
async fn clients_that_were_answered_before_the_origin_answered_are_let_go_except_the_opener() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let down = async |exchange: Exchange| exchange.reply(503, &[], "down").await;
    let mut opener = asked(Client::get("/me"), &gateway, &origin, down).await.stream();
    let mut others = Vec::new();
    for client in [Client::get("/me"), Client::get("/me"), Client::get("/me").h2()] {
        others.push(joined(client, &gateway).await);
    }
    let mut body = own(origin.accept().await, 0).await;
    body.event("id: 7\ndata: secret\n\n").await;
    assert_eq!(opener.next_data().await, gap("upstream", None), "events of the outage may be missing");
    assert_eq!(opener.next_data().await, "secret");
    for client in &mut others {
        assert_ne!(client.ended().await, End::Orderly);
        assert_eq!(client.unread_events(), []);
        assert_eq!(client.header("set-cookie"), None);
    }
    // Clients that come back need not wait for the verdict again, even with an id.
    let (mut again, mut own_body) = opens_own(Client::get("/me").after(3), &gateway, &origin, 1).await;
    own_body.event("id: 4\ndata: mine\n\n").await;
    assert_eq!(again.next_data().await, "mine");
    assert_eq!(again.headers.all("set-cookie"), ["session=1"]);
    body.event("data: more\n\n").await;
    assert_eq!(opener.next_data().await, "more");
    assert_eq!(again.unread_events(), []);
}

#[tokio::test]
async fn a_shared_stream_that_turns_private_is_over_for_all_and_each_comes_back_to_its_own() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (one, mut body) = opened(Client::get("/me"), &gateway, &origin).await;
    let two = joined(Client::get("/me").h2(), &gateway).await;
    let mut clients = [one, two];
    body.event("data: shared\n\n").await;
    for client in &mut clients {
        assert_eq!(client.next_data().await, "shared");
    }
    body.abort();
    let mut secret = own(origin.accept().await, 9).await;
    secret.raw("data: secret\n\n").await;
    for client in &mut clients {
        assert_ne!(client.ended().await, End::Orderly);
        assert!(!String::from_utf8_lossy(&client.bytes).contains("secret"));
    }
    // Both stay: a stream that loses its origin asks for another response.
    let mut own = Vec::new();
    for n in 0..2 {
        let (client, body) = opens_own(Client::get("/me"), &gateway, &origin, n).await;
        assert_eq!(client.headers.all("set-cookie"), [format!("session={n}")]);
        own.push((client, body));
    }
}

#[tokio::test]
async fn an_own_stream_outlives_its_upstream_unless_the_origin_takes_its_client_for_a_new_one() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opens_own(Client::get("/me"), &gateway, &origin, 1).await;
    body.event("id: 1\ndata: 1\n\n").await;
    assert_eq!(client.next_data().await, "1");
    body.abort();
    let mut body = private(origin.accept().await).await;
    assert_eq!(origin.requests().last().unwrap().headers.one("last-event-id"), Some("1"));
    body.event("id: 2\ndata: 2\n\n").await;
    assert_eq!(client.next_data().await, "2");
    body.abort();
    let mut body = own(origin.accept().await, 2).await;
    body.raw("data: of another session\n\n").await;
    assert_ne!(client.ended().await, End::Orderly);
    assert!(!String::from_utf8_lossy(&client.bytes).contains("another"));
    // The client comes back with its cookie, which is now part of the key.
    let with_cookie = || Client::get("/me").header("Cookie", "session=1").after(2);
    let answers = async {
        let mut shared = None;
        for _ in 0..2 {
            let exchange = origin.accept().await;
            assert_eq!(exchange.request.headers.one("cookie"), Some("session=1"));
            let has_id = exchange.request.headers.one("last-event-id").is_some();
            let body = own(exchange, 3).await;
            if has_id {
                // The origin has nothing after this id.
                tokio::spawn(body.gone());
            } else {
                shared = Some(body);
            }
        }
        shared.unwrap()
    };
    let (again, mut body) = tokio::join!(with_cookie().connect(&gateway), answers);
    let mut again = again.stream();
    assert_eq!(again.header("set-cookie"), None, "a stream of one credential may have several clients");
    let mut tab = joined(with_cookie(), &gateway).await;
    body.event("id: 3\ndata: 3\n\n").await;
    for client in [&mut again, &mut tab] {
        assert_eq!(client.next_data().await, "3");
    }
}

#[tokio::test]
async fn an_opener_with_an_id_resumes_though_its_response_turns_out_to_be_private() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("share.max_streams = 1")).await;
    let mut answers = Vec::new();
    // The gateway makes the shared request, perhaps one for what was missed, and the client's own request.
    let answer_all = async {
        loop {
            let exchange = origin.accept().await;
            let id = exchange.request.headers.one("last-event-id").map(str::to_owned);
            let mut body = own(exchange, answers.len()).await;
            if id.is_some() {
                body.event("id: 46\ndata: missed\n\n").await;
            }
            answers.push((id, body));
        }
    };
    let client = tokio::select! {
        client = Client::get("/me").after(45).connect(&gateway) => client,
        () = answer_all => unreachable!(),
    };
    let mut client = client.stream();
    assert_eq!(client.next_event().await, event("message", "missed", "46"), "and no gap before it");
    let [session] = client.headers.all("set-cookie")[..] else { panic!("{:?}", client.headers) };
    let (id, body) = &mut answers[session.trim_start_matches("session=").parse::<usize>().unwrap()];
    assert_eq!(id.as_deref(), Some("45"));
    body.event("id: 47\ndata: live\n\n").await;
    assert_eq!(client.next_data().await, "live");
}

#[tokio::test]
async fn an_own_stream_ends_with_its_client() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("share.linger_secs = 600\nshare.max_streams = 1")).await;
    for n in 0..3 {
        let (client, body) = opens_own(Client::get("/me"), &gateway, &origin, n).await;
        assert_eq!(Client::get("/me").connect(&gateway).await.status, 503, "it counts among the streams of the route");
        drop(client);
        body.gone().await;
        gateway.log_lines("stream closed", n + 1).await;
    }
}

#[tokio::test]
async fn an_origin_that_is_trusted_is_shared_whatever_it_says() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration("", [route("/*", &origin).with("share.trust_origin = true")])).await;
    let (one, mut body) = opens_own(Client::get("/me"), &gateway, &origin, 1).await;
    let two = joined(Client::get("/me"), &gateway).await;
    body.event("data: for all\n\n").await;
    for mut client in [one, two] {
        assert_eq!(client.header("set-cookie"), None);
        assert_eq!(client.next_data().await, "for all");
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_not_shared_either() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    for n in 0..3 {
        let answer = async {
            let own = [("Content-Type", "text/plain"), ("Cache-Control", "private")];
            origin.accept().await.reply(403, &own, &format!("not for {n}")).await;
        };
        let (mut client, ()) = tokio::join!(Client::get("/me").connect(&gateway), answer);
        assert_eq!((client.status, client.text().await), (403, format!("not for {n}")));
    }
    let (mut waiting, mut bodies) = (JoinSet::new(), HashSet::new());
    for _ in 0..5 {
        drop(waiting.spawn(Client::get("/crowd").connect(gateway.target())));
    }
    for n in 0..5 {
        origin.accept().await.reply(404, &[("Set-Cookie", "a=1")], &format!("not for {n}")).await;
    }
    while let Some(client) = waiting.join_next().await {
        assert!(bodies.insert(client.unwrap().text().await));
    }
    assert_eq!((bodies.len(), origin.requests().len()), (5, 8));
}
