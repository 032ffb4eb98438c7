//! Who may listen: tokens and keys, and what of them reaches the origin.

use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::metrics::{ADMIN, refusals, until};
use crate::origin::{Coding, Origin};
use crate::stage::{joined, opened};
use crate::tokens::{SECRET, bearer, file, now, token, token_of, token_with, with_tokens};
use serde_json::json;

#[tokio::test]
async fn a_token_comes_by_field_cookie_or_query_and_its_parameter_goes_no_further() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let options = "auth.from = [\"header\", \"cookie:session\", \"query:token\"]\nshare.credentials = \"share\"";
    let gateway = Gateway::with(with_tokens(route("/*", &origin), &key, options)).await;
    let alice = token_of("alice", 600);
    let (first, mut body) =
        tokio::join!(Client::get(format!("/a?x=1&token={alice}&y=2")).connect(&gateway), origin.stream());
    let first = first.stream();
    assert!(first.header("cache-control").unwrap().contains("no-store"), "{:?}", first.headers);
    let request = origin.requests().last().unwrap().clone();
    assert_eq!(request.target, "/a?x=1&y=2");
    let by_field = Client::get("/a?x=1&y=2").header("Authorization", bearer(&token_of("bob", 600)));
    let by_cookie = Client::get("/a?x=1&y=2").header("Cookie", format!("other=1; session={alice}"));
    let mut all = vec![first, joined(by_field, &gateway).await, joined(by_cookie, &gateway).await];
    body.event("data: for all\n\n").await;
    for client in &mut all {
        assert_eq!(client.next_data().await, "for all");
    }
    assert_eq!(origin.requests().len(), 1, "all who may listen share one upstream");
    drop(all);
    gateway.log_lines("client left", 3).await;
    assert!(!gateway.log().contains(alice.get(..40).unwrap()), "{}", gateway.log());
}

#[tokio::test]
async fn who_has_no_good_token_is_refused_and_the_origin_hears_nothing() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let cors = "cors.origins = [\"https://page.example\"]\nauth.issuer = \"me\"";
    let config = configuration(ADMIN, [with_tokens(route("/*", &origin), &key, cors)]);
    let gateway = Gateway::start(&config).await;
    let good = json!({ "iss": "me", "exp": now() + 600 });
    let refused = |authorization: Option<String>| {
        let client = Client::get("/a").header("Origin", "https://page.example");
        match authorization {
            Some(value) => client.header("Authorization", value),
            None => client,
        }
    };
    let none = json!({ "alg": "none" });
    let forged = [
        token_with(&json!({ "alg": "HS256" }), &good, "another secret that nobody gave to anyone"),
        token_with(&none, &good, SECRET).rsplit_once('.').unwrap().0.to_owned() + ".",
        token(&json!({ "iss": "you", "exp": now() + 600 })),
        token(&json!({ "iss": "me", "exp": now() - 1 })),
        token(&json!({ "iss": "me" })),
        "x".repeat(20_000),
    ];
    let mut refusals_so_far = 0.0;
    for (authorization, challenge) in [(None, "Bearer"), (Some("Basic YTpi".to_owned()), "Bearer")]
        .into_iter()
        .chain(forged.iter().map(|token| (Some(bearer(token)), "Bearer error=\"invalid_token\"")))
    {
        let mut answer = refused(authorization.clone()).connect(&gateway).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge)), "{authorization:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://page.example"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let text = answer.text().await;
        assert!(text == "a credential is needed\n" || text == "the credential is not good\n", "{text}");
        refusals_so_far += 1.0;
    }
    until(gateway.admin().await, &refusals("auth"), refusals_so_far).await;
    let head = Client::method("HEAD", "/a").connect(&gateway).await;
    assert_eq!(head.status, 401);
    let preflight = Client::method("OPTIONS", "/a")
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "authorization");
    let preflight = preflight.connect(&gateway).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-headers")), (204, Some("authorization")));
    assert_eq!(origin.connections(), 0);
    let (_client, _body) = opened(refused(Some(bearer(&token(&good)))), &gateway, &origin).await;
}

#[tokio::test]
async fn a_token_permits_the_paths_that_its_claims_name() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let own = "auth.allow = \"/users/{sub}/*\"\nauth.require = { scope = \"read\" }\nshare.credentials = \"share\"";
    let listed = "auth.allow = \"claim:paths\"\nshare.credentials = \"share\"";
    let routes =
        [with_tokens(route("/users/*", &origin), &key, own), with_tokens(route("/listed/*", &origin), &key, listed)];
    let gateway = Gateway::with_all(routes).await;
    let with = |scope: &str| {
        token(&json!({ "sub": "42", "exp": now() + 600, "scope": scope, "paths": ["/listed/a/*", "/listed/b"] }))
    };
    let (reader, writer) = (with("write read"), with("write"));
    for (path, token, status) in [
        ("/users/42/feed", &reader, 200),
        ("/users/%34%32/feed", &reader, 200),
        ("/users/42/feed", &writer, 403),
        ("/users/43/feed", &reader, 403),
        ("/users/42x/feed", &reader, 403),
        ("/users/42%2F..%2F43/feed", &reader, 400),
        ("/users/42/../43/feed", &reader, 400),
        ("/users/42%2F43/feed", &reader, 403),
        ("/listed/a/b/c", &writer, 200),
        ("/listed/b", &writer, 200),
        ("/listed/b/c", &writer, 403),
        ("/listed/a", &writer, 403),
    ] {
        let client = Client::method("HEAD", path).header("Authorization", bearer(token));
        let answer = client.connect(&gateway).await;
        assert_eq!(answer.status, status, "{path}");
        let challenge = (status == 403).then_some("Bearer error=\"insufficient_scope\"");
        assert_eq!(answer.header("www-authenticate"), challenge, "{path}");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn claims_reach_the_origin_and_keep_tenants_apart() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let options = "share.credentials = \"share\"\nshare.claims = [\"tenant\", \"plan\"]\n\
                   upstream.headers = { authorization = \"Bearer own\" }";
    let gateway = Gateway::with(with_tokens(route("/*", &origin), &key, options)).await;
    let of = |tenant: &str, subject: &str| {
        let claims = json!({ "sub": subject, "tenant": tenant, "exp": now() + 600 });
        // What a client says of itself counts for nothing.
        Client::get("/a")
            .header("Authorization", bearer(&token(&claims)))
            .header("X-Claim-Tenant", "evil")
            .header("X-Claim-Plan", "gold")
    };
    let (mut acme, mut of_acme) = opened(of("acme", "alice"), &gateway, &origin).await;
    let mut same = joined(of("acme", "bob"), &gateway).await;
    let (mut other, mut of_other) = opened(of("other\r\nx: y", "carol"), &gateway, &origin).await;
    let requests = origin.requests();
    assert_eq!(requests.len(), 2);
    for (request, tenant) in requests.iter().zip(["acme", r#""other\r\nx: y""#]) {
        assert_eq!(request.headers.one("x-claim-tenant"), Some(tenant), "{request:?}");
        assert_eq!(request.headers.one("x-claim-plan"), None);
        assert_eq!(request.headers.one("authorization"), Some("Bearer own"));
        assert_eq!(request.headers.one("x"), None);
    }
    of_acme.event("id: 1\ndata: for acme\n\n").await;
    of_other.event("id: 2\ndata: for other\n\n").await;
    assert_eq!((acme.next_data().await, same.next_data().await), ("for acme".to_owned(), "for acme".to_owned()));
    assert_eq!(other.next_data().await, "for other");
    // Replay is authorised like the live stream: the id of another tenant's event is nobody's here.
    let thief = of("other\r\nx: y", "mallory").after(1);
    let mut thief = thief.connect(&gateway).await.stream();
    assert_ne!(thief.next_event().await.data, "for acme");
}

#[tokio::test]
async fn a_private_route_and_a_proxy_route_ask_for_a_token_too() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let from = "auth.from = [\"query:token\"]";
    let private = format!("share.mode = \"private\"\nshare.claims = [\"sub\"]\n{from}");
    let proxy = format!("kind = \"proxy\"\n{from}");
    let routes = [
        with_tokens(route("/private/*", &origin), &key, &private),
        with_tokens(route("/proxy/*", &origin), &key, &proxy),
    ];
    let gateway = Gateway::with_all(routes).await;
    for path in ["/private/a", "/proxy/a"] {
        assert_eq!(Client::get(path).connect(&gateway).await.status, 401, "{path}");
        assert_eq!(Client::get(format!("{path}?token=x")).connect(&gateway).await.status, 401, "{path}");
    }
    assert_eq!(origin.connections(), 0);
    let alice = token_of("alice", 600);
    let client = Client::get(format!("/private/a?token={alice}&b=c")).header("X-Claim-Sub", "evil");
    let (_client, _body) = tokio::join!(client.connect(&gateway), origin.stream());
    let request = origin.requests().last().unwrap().clone();
    assert_eq!((&*request.target, request.headers.one("x-claim-sub")), ("/private/a?b=c", Some("alice")));
    let target = format!("/proxy/a?b=c&token={alice}");
    let (mut answer, ()) = tokio::join!(Client::get(target).connect(&gateway), async {
        let exchange = origin.accept().await;
        assert_eq!(exchange.request.target, "/proxy/a?b=c");
        exchange.reply(200, &[], "yes").await;
    });
    assert_eq!(answer.text().await, "yes");
}

#[tokio::test]
async fn a_key_is_known_by_its_digest() {
    let origin = Origin::start();
    let ring = file("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  first\n");
    let options = format!(
        "auth.kind = \"key\"\nauth.keys_file = \"{}\"\nauth.from = [\"header:X-Api-Key\"]\nshare.credentials = \"share\"",
        ring.path().display()
    );
    let gateway = Gateway::with(route("/*", &origin).with(&options)).await;
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (key, status) in [("abc", 200), ("abd", 401), ("", 401), (digest, 401)] {
        let head = Client::method("HEAD", "/").header("X-Api-Key", key).connect(&gateway).await;
        assert_eq!(head.status, status, "{key}");
    }
    let exchange = Client::get("/").header("X-Api-Key", "abc").connect(gateway.target());
    let (client, origin_side) = tokio::join!(exchange, async {
        let exchange = origin.accept().await;
        assert_eq!(exchange.request.headers.one("x-api-key"), None, "the key stays here");
        exchange.head(200, &[("Content-Type", "text/event-stream")], Coding::Chunked).await
    });
    assert_eq!(client.status, 200);
    drop(origin_side);
}
