//! A client never outlives its permission: it is told so in its stream, wherever it is at that time.

use crate::admin_api::{ADMIN, act};
use crate::client::{Client, Response};
use crate::gateway::{Gateway, Route, configuration, route};
use crate::metrics::{closes, until};
use crate::mode::{WITHOUT_TLS, clients_move};
use crate::origin::{Origin, ResumingOrigin};
use crate::stage::{Successor, joined, numbered, opened};
use crate::tokens::{SECRET, bearer, file, now, token, token_of, with_tokens};
use rustix::process::Signal;
use serde_json::json;
use tempfile::NamedTempFile;

/// All who may listen share one upstream.
fn shared(origin: &Origin, key: &NamedTempFile) -> Route {
    with_tokens(
        route("/*", origin),
        key,
        "share.credentials = \"share\"\nclient.retry_ms = 7\nclient.retry_jitter = 0.0",
    )
}

fn with(token: &str) -> Client<'static> {
    Client::get("/a").header("Authorization", bearer(token))
}

/// The client is told that it may not listen any more, and nothing else from now on.
async fn is_told(client: &mut Response, reason: &str) {
    loop {
        let event = client.next_event().await;
        if event.kind == "expired" {
            assert_eq!(event.data, format!("{{\"reason\":\"{reason}\"}}"));
            break;
        }
    }
    client.complete().await;
    assert_eq!(client.unread_events(), []);
    assert_eq!(client.retries().last(), Some(&7));
}

#[tokio::test]
async fn a_response_ends_with_its_token_and_the_next_request_is_refused() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let gateway = Gateway::start(&configuration(ADMIN, [shared(&origin, &key)])).await;
    let (mut stays, mut body) = opened(with(&token_of("bob", 600)), &gateway, &origin).await;
    let short = token_of("alice", 4);
    let mut goes = joined(with(&short), &gateway).await;
    body.event(&numbered(1)).await;
    assert_eq!((goes.next_data().await, stays.next_data().await), ("1".to_owned(), "1".to_owned()));
    is_told(&mut goes, "expired").await;
    body.event(&numbered(2)).await;
    assert_eq!(stays.next_data().await, "2");
    let again = with(&short).after(1).connect(&gateway).await;
    assert_eq!(again.status, 401);
    until(gateway.admin().await, &closes("auth"), 1.0).await;
    assert!(gateway.log_line("client left").await.contains(" subject=\"alice\""), "{}", gateway.log());
}

#[tokio::test]
async fn a_client_that_lags_gets_no_event_after_its_permission_ended() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let gateway = Gateway::start(&configuration(ADMIN, [shared(&origin, &key)])).await;
    let (mut reads, mut body) = opened(with(&token_of("bob", 600)), &gateway, &origin).await;
    let mut slow = joined(with(&token_of("alice", 5)).small_receive_buffer(), &gateway).await;
    for n in 1..=60 {
        body.event(&format!("id: {n}\ndata: {}\n\n", "x".repeat(32 << 10))).await;
        assert_eq!(reads.next_event().await.id, n.to_string());
    }
    // It takes nothing at its end, so it is closed without its reading anything.
    until(gateway.admin().await, &closes("auth"), 1.0).await;
    body.event("id: 61\ndata: after\n\n").await;
    assert_eq!(reads.next_data().await, "after");
    while let Ok(event) = slow.event_or_end().await {
        assert_ne!(event.data, "after");
    }
}

#[tokio::test]
async fn what_was_revoked_ends_at_once_and_stays_out() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let gateway = Gateway::start(&configuration(ADMIN, [shared(&origin, &key)])).await;
    let admin = gateway.admin().await;
    let tokens = [("alice", "t1"), ("bob", "t2"), ("carol", "t3")]
        .map(|(subject, id)| token(&json!({ "sub": subject, "jti": id, "iat": now() - 5, "exp": now() + 600 })));
    let (mut alice, mut body) = opened(with(&tokens[0]), &gateway, &origin).await;
    let (mut bob, mut carol) = (joined(with(&tokens[1]), &gateway).await, joined(with(&tokens[2]), &gateway).await);
    let (status, _) = act(admin, "POST", "/api/revoke?subject=alice").await;
    assert_eq!(status, 202);
    is_told(&mut alice, "revoked").await;
    let (status, _) = act(admin, "POST", "/api/revoke?token_id=t2").await;
    assert_eq!(status, 202);
    is_told(&mut bob, "revoked").await;
    body.event(&numbered(1)).await;
    assert_eq!(carol.next_data().await, "1");
    for (token, status) in tokens.iter().zip([401, 401, 200]) {
        assert_eq!(with(token).connect(&gateway).await.status, status);
    }
    let later = token(&json!({ "sub": "alice", "jti": "t4", "iat": now() + 1, "exp": now() + 600 }));
    assert_eq!(with(&later).connect(&gateway).await.status, 200, "a later token of the subject is another");
    for wrong in ["", "?subject=", "?user=a", "?subject=a&exp=1", "?ticket=x"] {
        assert_eq!(act(admin, "POST", &format!("/api/revoke{wrong}")).await.0, 400, "{wrong}");
    }
    let without = Client::method("POST", "/api/revoke?subject=carol").connect(admin).await;
    assert_eq!(without.status, 403, "a page of another site cannot act");
}

#[tokio::test]
async fn a_private_stream_and_a_session_end_too() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let private = "share.mode = \"private\"\nclient.retry_ms = 7\nclient.retry_jitter = 0.0";
    let server = format!("{ADMIN}\nshards = \"off\"");
    let routes = [
        with_tokens(route("/private", &origin), &key, private),
        with_tokens(
            route("/shared", &origin),
            &key,
            "share.credentials = \"share\"\nclient.retry_ms = 7\nclient.retry_jitter = 0.0",
        ),
    ];
    let gateway = Gateway::start(&configuration(&server, routes)).await;
    let admin = gateway.admin().await;
    for path in ["/private", "/shared"] {
        let of = |token: &str| Client::get(path).header("Authorization", bearer(token));
        let (mut expires, mut body) = opened(of(&token_of("alice", 4)), &gateway, &origin).await;
        body.event(&numbered(1)).await;
        assert_eq!(expires.next_data().await, "1");
        is_told(&mut expires, "expired").await;
        drop(body);
        let subject = format!("dave{}", path.len());
        let revoked = of(&token_of(&subject, 600)).connect(&gateway);
        let (mut revoked, _body) = if path == "/private" {
            let (client, body) = tokio::join!(revoked, origin.stream());
            (client.stream(), Some(body))
        } else {
            (revoked.await.stream(), None)
        };
        assert_eq!(act(admin, "POST", &format!("/api/revoke?subject={subject}")).await.0, 202);
        is_told(&mut revoked, "revoked").await;
    }
}

#[tokio::test]
async fn a_policy_that_changes_is_for_those_who_are_here_too() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let of = |scope: &str| {
        let options = format!(
            "share.credentials = \"share\"\nclient.retry_ms = 7\nclient.retry_jitter = 0.0\nauth.require = [\"{scope}\"]"
        );
        configuration(WITHOUT_TLS, [with_tokens(route("/*", &origin), &key, &options)])
    };
    let gateway = Gateway::start(&of("sub")).await;
    let (mut client, _body) = opened(with(&token_of("alice", 600)), &gateway, &origin).await;
    std::fs::write(gateway.config(), of("scope")).unwrap();
    gateway.signal(Signal::HUP);
    is_told(&mut client, "revoked").await;
    assert_eq!(with(&token_of("alice", 600)).connect(&gateway).await.status, 403);
}

#[tokio::test]
async fn a_permission_goes_along_in_an_upgrade_and_ends_there() {
    let settings = format!("{ADMIN}\ndrain_secs = 600\nshards = 2\nhttp2 = \"engine\"");
    if !clients_move(&settings) {
        return;
    }
    let (origin, key) = (ResumingOrigin::start_live(), file(SECRET));
    let mut gateway = Gateway::start(&configuration(&settings, [shared(&origin, &key)])).await;
    let admin = gateway.admin().await;
    let mut stays = with(&token_of("bob", 600)).connect(&gateway).await.stream();
    let mut expires = with(&token_of("alice", 10)).connect(&gateway).await.stream();
    let mut revoked = with(&token_of("carol", 600)).connect(&gateway).await.stream();
    origin.publish();
    for client in [&mut stays, &mut expires, &mut revoked] {
        assert_eq!(client.next_data().await, "1");
    }
    // The token is made before: one that is issued in a later second than the revocation is another.
    let dave = token_of("dave", 600);
    assert_eq!(act(admin, "POST", "/api/revoke?subject=dave").await.0, 202);
    gateway.signal(Signal::QUIT);
    let _successor = Successor::of(&gateway.log_line("a new process serves").await);
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    gateway.log_line("handed over streams=1 clients=3").await;
    assert_eq!(with(&dave).connect(&gateway).await.status, 401, "it is remembered");
    assert_eq!(act(admin, "POST", "/api/revoke?subject=carol").await.0, 202);
    is_told(&mut revoked, "revoked").await;
    is_told(&mut expires, "expired").await;
    origin.publish();
    assert_eq!(stays.next_data().await, "2");
}
