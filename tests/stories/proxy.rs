//! Proxy routes, by which manifold can stand alone in front of a whole site.

use crate::client::Client;
use crate::gateway::{Gateway, Route, route};
use crate::origin::{Coding, Origin, Port};
use crate::stage::asked;
use tokio::io::AsyncWriteExt;

fn proxy(origin: &Origin) -> Route {
    route("/*", origin).with("kind = \"proxy\"")
}

#[tokio::test]
async fn methods_bodies_and_statuses_pass() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for (method, status) in
        [("GET", 200), ("POST", 201), ("PUT", 409), ("DELETE", 404), ("PATCH", 500), ("OPTIONS", 200)]
    {
        let sent = if matches!(method, "POST" | "PUT" | "PATCH") { "a body" } else { "" };
        let client = Client::method(method, "/a/b?c=d").header("X-Odd", "odd").header("Cookie", "a=b");
        let client = if sent.is_empty() { client } else { client.body(sent) };
        let headers = [("Set-Cookie", "a=1"), ("Content-Type", "text/plain"), ("ETag", "\"1\"")];
        let mut client =
            asked(client, &gateway, &origin, async |ask| ask.reply(status, &headers, "an answer").await).await;
        assert_eq!((client.status, client.text().await.as_str()), (status, "an answer"), "{method}");
        for (name, value) in headers {
            assert_eq!(client.header(name), Some(value), "{method}");
        }
        let request = origin.requests().last().unwrap().clone();
        assert_eq!((request.method.as_str(), request.target.as_str()), (method, "/a/b?c=d"));
        assert_eq!(String::from_utf8_lossy(&request.body), sent);
        assert_eq!((request.headers.one("x-odd"), request.headers.one("cookie")), (Some("odd"), Some("a=b")));
    }
}

#[tokio::test]
async fn a_streamed_answer_is_passed_on_as_it_comes() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for client in [Client::get("/"), Client::get("/").h2()] {
        let (mut client, mut body) = tokio::join!(client.connect(&gateway), async {
            origin.accept().await.head(200, &[("Content-Type", "text/plain")], Coding::Chunked).await
        });
        body.raw("first").await;
        client.until("first").await;
        body.raw("second").await;
        client.until("second").await;
        body.end().await;
        assert_eq!(client.text().await, "firstsecond");
    }
}

#[tokio::test]
async fn a_connection_may_be_upgraded() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let client = Client::get("/socket").http11().header("Connection", "Upgrade").header("Upgrade", "websocket");
    let (client, (mut tunnel, mut writer)) = tokio::join!(client.connect(&gateway), async {
        let headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
        origin.accept().await.head(101, &headers, Coding::Bare).await.upgraded()
    });
    assert_eq!((client.status, client.header("upgrade")), (101, Some("websocket")));
    let mut client = client.into_connection();
    client.send([0x81, 0, b'p']).await;
    let mut heard = Vec::new();
    while heard.len() < 3 {
        assert!(crate::guard::guarded("the client's frame", tunnel.fill()).await.unwrap(), "an end after {heard:?}");
        heard.extend_from_slice(&tunnel.take());
    }
    assert_eq!(heard, [0x81, 0, b'p']);
    writer.write_all(&[0x82, 0, b'q']).await.unwrap();
    assert_eq!(client.receive(3).await, [0x82, 0, b'q']);
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let mut connection = crate::client::Connection::open(&gateway).await;
    for n in 0..5 {
        let ask = Client::get(format!("/{n}")).on(connection);
        let answer = async { origin.accept().await.reply(200, &[], &n.to_string()).await };
        let (mut client, ()) = tokio::join!(ask, answer);
        assert_eq!(client.text().await, n.to_string());
        connection = client.into_connection();
    }
    assert_eq!(origin.requests().len(), 5);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_nobody_an_answer() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let mut used = None;
    loop {
        let mut kept = false;
        let answer = asked(Client::get("/"), &gateway, &origin, async |ask| {
            // On a very slow machine the next request may come before the connection is kept.
            kept = used == Some(ask.request.connection);
            if kept {
                ask.abort();
                origin.accept().await.reply(200, &[], "anew").await;
            } else {
                // Two kept connections would be used in turn, and never the same one twice.
                let keeps: &[_] = if used.is_none() { &[] } else { &[("Connection", "close")] };
                used = used.or(Some(ask.request.connection));
                ask.reply(200, keeps, "first").await;
            }
        });
        let mut answer = answer.await;
        assert_eq!((answer.status, answer.text().await.as_str()), (200, if kept { "anew" } else { "first" }));
        if kept {
            return;
        }
    }
}

#[tokio::test]
async fn an_origin_that_is_not_there_is_502() {
    let nobody = Port::reserve();
    let gateway = Gateway::with(route("/*", &nobody).with("kind = \"proxy\"")).await;
    assert_eq!(Client::get("/").connect(&gateway).await.status, 502);
}

#[tokio::test]
async fn a_site_and_its_streams_stand_behind_one_gateway() {
    let (site, ticks) = (Origin::start(), Origin::start());
    let gateway = Gateway::with_all([proxy(&site).with("name = \"site\""), route("/ticks", &ticks)]).await;
    let (_stream, _body) = crate::stage::opened(Client::get("/ticks"), &gateway, &ticks).await;
    let mut page = asked(Client::get("/"), &gateway, &site, async |ask| ask.reply(200, &[], "a page").await).await;
    assert_eq!(page.text().await, "a page");
}
