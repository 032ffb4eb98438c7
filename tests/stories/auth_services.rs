//! Others who are asked about credentials: issuers of tokens for their keys, and authorisation services.

use crate::client::{Client, Response};
use crate::gateway::{Gateway, configuration, route};
use crate::origin::{Origin, Port};
use crate::stage::{joined, opened};
use crate::tokens::{bearer, now};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A key of an issuer.
struct Key(&'static str, Ed25519KeyPair);

impl Key {
    fn new(id: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(id, Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.1.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.0, "use": "sig", "x": x })
    }

    fn token(&self, subject: &str) -> String {
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let header = encoded(&json!({ "alg": "EdDSA", "kid": self.0 }));
        let message = format!("{header}.{}", encoded(&json!({ "sub": subject, "exp": now() + 600 })));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.1.sign(message.as_bytes()).as_ref()))
    }
}

fn with(token: &str) -> Client<'static> {
    Client::method("HEAD", "/a").header("Authorization", bearer(token))
}

#[tokio::test]
async fn published_keys_are_fetched_once_for_all_and_an_unknown_key_does_not_make_a_storm() {
    let (origin, issuer) = (Origin::start(), Origin::start());
    let url = format!("{}/keys?v=1", issuer.url());
    let options = format!(
        "auth.kind = \"jwt\"\nauth.algorithms = [\"EdDSA\"]\nauth.jwks_url = \"{url}\"\nauth.audience = \"off\""
    );
    let gateway = Gateway::with(route("/*", &origin).with(&options)).await;
    let (one, two) = (Key::new("one"), Key::new("two"));
    let token = one.token("alice");
    let crowd: Vec<_> = (0..20).map(|_| tokio::spawn(with(&token).connect(gateway.target()))).collect();
    let exchange = issuer.accept().await;
    assert_eq!(exchange.request.target, "/keys?v=1");
    exchange.reply(200, &[], &json!({ "keys": [one.jwk()] }).to_string()).await;
    for client in crowd {
        assert_eq!(client.await.unwrap().status, 200);
    }
    assert_eq!(issuer.requests().len(), 1);
    // The last fetch was a moment ago, so tokens of strangers cause no other.
    for _ in 0..5 {
        assert_eq!(with(&two.token("alice")).connect(&gateway).await.status, 401);
    }
    assert_eq!(issuer.requests().len(), 1);
    // Without its issuer, the gateway goes on with the keys that it has.
    issuer.kill().await;
    assert_eq!(with(&token).connect(&gateway).await.status, 200);
}

#[tokio::test]
async fn without_keys_nobody_is_let_in_and_the_answer_says_that_it_is_for_now() {
    let (origin, port) = (Origin::start(), Port::reserve());
    let options = format!(
        "auth.kind = \"jwt\"\nauth.algorithms = [\"EdDSA\"]\nauth.jwks_url = \"{}/keys\"\ncors.origins = [\"*\"]",
        port.url()
    );
    let gateway = Gateway::with(route("/*", &origin).with(&options)).await;
    let answer = with(&Key::new("one").token("alice")).connect(&gateway).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(with("no.token.at-all").connect(&gateway).await.status, 503);
    assert_eq!(Client::get("/a").connect(&gateway).await.status, 401, "without a token there is nothing to check");
    gateway.log_line("keys cannot be read").await;
    assert_eq!(origin.connections(), 0);
}

/// A service that lets in who has a cookie of this value, and how often it was asked.
fn service(secs: u32) -> (Origin, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let service = Origin::answering(move |exchange: crate::origin::Exchange| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let is_in = exchange.request.headers.one("cookie") == Some("user=alice");
            let lifetime = format!("max-age={secs}");
            let headers = [("X-User", "alice"), ("Cache-Control", lifetime.as_str()), ("X-Secret", "of the service")];
            let (status, body) = if is_in { (200, "") } else { (403, "{\"why\":\"no\"}") };
            exchange.reply(status, if secs > 0 || !is_in { &headers } else { &headers[..1] }, body).await;
        }
    });
    (service, asked)
}

fn options(service: &Origin, more: &str) -> String {
    format!("auth.kind = \"forward\"\nauth.url = \"{}/check\"\nshare.credentials = \"share\"\n{more}", service.url())
}

fn cookie(value: &str) -> Client<'static> {
    Client::get("/a?b=c").header("Cookie", value)
}

#[tokio::test]
async fn a_service_decides_and_its_answer_is_kept_as_long_as_it_says() {
    let ((service, asked), origin) = (service(600), Origin::start());
    let more = "auth.subject_header = \"X-User\"\nshare.claims = [\"x-user\"]";
    let gateway = Gateway::with(route("/*", &origin).with(&options(&service, more))).await;
    let crowd: Vec<_> = (0..20).map(|_| tokio::spawn(cookie("user=alice").connect(gateway.target()))).collect();
    let _body = origin.stream().await;
    for client in crowd {
        assert_eq!(client.await.unwrap().status, 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "one question is under way for one credential");
    let request = service.requests()[0].clone();
    let field = |name: &str| request.headers.one(name).map(str::to_owned);
    assert_eq!((&*request.method, &*request.target), ("GET", "/check"));
    assert_eq!(field("x-forwarded-uri").as_deref(), Some("/a?b=c"));
    assert_eq!(field("x-forwarded-method").as_deref(), Some("GET"));
    let of_origin = origin.requests()[0].clone();
    assert_eq!(of_origin.headers.one("x-claim-x-user"), Some("alice"));
    assert_eq!(of_origin.headers.one("cookie"), None);
    let mut refused = cookie("user=mallory").connect(&gateway).await;
    assert_eq!((refused.status, refused.text().await), (403, "{\"why\":\"no\"}".to_owned()));
    assert_eq!(refused.header("x-secret"), None);
}

#[tokio::test]
async fn a_response_ends_with_the_answers_lifetime() {
    let ((service, _), origin) = (service(2), Origin::start());
    let gateway = Gateway::with(route("/*", &origin).with(&options(&service, ""))).await;
    let (mut client, _body) = opened_with(cookie("user=alice"), &gateway, &origin).await;
    let event = client.next_event().await;
    assert_eq!((&*event.kind, &*event.data), ("expired", "{\"reason\":\"expired\"}"));
}

async fn opened_with(client: Client<'static>, gateway: &Gateway, origin: &Origin) -> (Response, crate::origin::Body) {
    let (client, body) = tokio::join!(client.connect(gateway), origin.stream());
    (client.stream(), body)
}

#[tokio::test]
async fn a_service_that_is_down_refuses_or_lets_in_as_the_route_says() {
    let (origin, port) = (Origin::start(), Port::reserve());
    let of = |path: &str, fail_open: bool| {
        let url = port.url();
        route(path, &origin).with(&format!(
            "auth.kind = \"forward\"\nauth.url = \"{url}\"\nauth.fail_open = {fail_open}\nshare.credentials = \"share\""
        ))
    };
    let gateway = Gateway::start(&configuration("", [of("/closed", false), of("/open", true)])).await;
    let closed = Client::get("/closed").connect(&gateway).await;
    assert_eq!((closed.status, closed.header("retry-after")), (503, Some("1")));
    assert_eq!(origin.connections(), 0);
    let (_client, _body) = opened(Client::get("/open"), &gateway, &origin).await;
}

#[tokio::test]
async fn a_client_that_stays_is_asked_about_again() {
    let is_in = Arc::new(AtomicUsize::new(1));
    let now_in = Arc::clone(&is_in);
    let service = Origin::answering(move |exchange: crate::origin::Exchange| {
        let status = if now_in.load(Ordering::SeqCst) == 1 { 204 } else { 401 };
        async move { exchange.reply(status, &[], "").await }
    });
    let origin = Origin::start();
    let more = "auth.recheck_secs = 0.2";
    let gateway = Gateway::with(route("/*", &origin).with(&options(&service, more))).await;
    let (mut client, mut body) = opened_with(cookie("user=alice"), &gateway, &origin).await;
    let mut same = joined(cookie("user=alice"), &gateway).await;
    service.request(4).await;
    body.event("data: still here\n\n").await;
    assert_eq!((client.next_data().await, same.next_data().await), ("still here".to_owned(), "still here".to_owned()));
    is_in.store(0, Ordering::SeqCst);
    for client in [&mut client, &mut same] {
        let event = client.next_event().await;
        assert_eq!((&*event.kind, &*event.data), ("expired", "{\"reason\":\"revoked\"}"));
    }
    assert_eq!(cookie("user=alice").connect(&gateway).await.status, 401);
}

#[tokio::test]
async fn a_client_that_is_no_longer_what_it_was_does_not_stay_on_its_stream() {
    let tenant = Arc::new(AtomicUsize::new(1));
    let now_of = Arc::clone(&tenant);
    let service = Origin::answering(move |exchange: crate::origin::Exchange| {
        let tenant = now_of.load(Ordering::SeqCst).to_string();
        async move { exchange.reply(204, &[("X-Tenant", &tenant)], "").await }
    });
    let origin = Origin::start();
    let more = "auth.recheck_secs = 0.2\nshare.claims = [\"x-tenant\"]";
    let gateway = Gateway::with(route("/*", &origin).with(&options(&service, more))).await;
    let (mut client, _body) = opened_with(cookie("user=alice"), &gateway, &origin).await;
    service.request(3).await;
    tenant.store(2, Ordering::SeqCst);
    assert_eq!(client.next_event().await.data, "{\"reason\":\"revoked\"}");
    let (_client, _body) = opened_with(cookie("user=alice"), &gateway, &origin).await;
    assert_eq!(origin.requests().last().unwrap().headers.one("x-claim-x-tenant"), Some("2"));
}

#[tokio::test]
async fn two_services_never_answer_for_each_other() {
    let (lets_in, refuses) = (
        service(600).0,
        Origin::answering(|exchange: crate::origin::Exchange| async move {
            exchange.reply(401, &[("Cache-Control", "max-age=600")], "").await;
        }),
    );
    let origin = Origin::start();
    let streams = "name = \"streams\"\naccept = \"text/event-stream\"";
    let routes = [
        route("/*", &origin).with(streams).with(&options(&lets_in, "")),
        route("/*", &origin).with("name = \"others\"").with(&options(&refuses, "")),
    ];
    let gateway = Gateway::with_all(routes).await;
    let stream = cookie("user=alice").header("Accept", "text/event-stream");
    let (_client, _body) = opened_with(stream, &gateway, &origin).await;
    // All that the services are told is the same.
    assert_eq!(cookie("user=alice").connect(&gateway).await.status, 401);
}
