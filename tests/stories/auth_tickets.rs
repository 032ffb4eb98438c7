//! Tickets in the place of tokens: given for a credential, used once, and again by the client that had it.

use crate::admin_api::{ADMIN, act};
use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::origin::Origin;
use crate::stage::numbered;
use crate::tokens::{SECRET, bearer, file, token_of, with_tokens};
use serde_json::Value;

const TICKETS: &str =
    "auth.ticket_path = \"/ticket\"\nshare.credentials = \"share\"\ncors.origins = [\"https://page.example\"]";

fn ask(query: &str, token: Option<&str>) -> Client<'static> {
    let client = Client::method("POST", format!("/ticket{query}")).header("Origin", "https://page.example");
    match token {
        Some(token) => client.header("Authorization", bearer(token)),
        None => client,
    }
}

/// The ticket that a token is given, and its id.
async fn given(gateway: &Gateway, query: &str, token: &str) -> (String, String) {
    let mut answer = ask(query, Some(token)).connect(gateway).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://page.example"));
    let said: Value = serde_json::from_str(&answer.text().await).unwrap();
    assert_eq!(said["expires_in"], 30.0);
    (said["ticket"].as_str().unwrap().to_owned(), said["id"].as_str().unwrap().to_owned())
}

fn with(path: &str, ticket: &str) -> Client<'static> {
    Client::get(format!("{path}?ticket={ticket}"))
}

#[tokio::test]
async fn a_ticket_is_good_once_and_again_for_who_was_sent_something() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let gateway = Gateway::with(with_tokens(route("/*", &origin), &key, TICKETS)).await;
    let alice = token_of("alice", 600);
    let (ticket, _) = given(&gateway, "", &alice).await;
    let (client, mut body) = tokio::join!(with("/a", &ticket).connect(&gateway), origin.stream());
    let mut client = client.stream();
    assert_eq!(origin.requests()[0].target, "/a", "the ticket goes no further");
    body.event(&numbered(1)).await;
    body.event(&numbered(2)).await;
    assert_eq!((client.next_data().await, client.next_data().await), ("1".to_owned(), "2".to_owned()));
    assert_eq!(with("/a", &ticket).connect(&gateway).await.status, 401, "it was used");
    assert_eq!(with("/a", &ticket).after(7).connect(&gateway).await.status, 401, "nobody was sent this event");
    drop(client);
    gateway.log_line("client left").await;
    body.event(&numbered(3)).await;
    let mut again = with("/a", &ticket).after(1).connect(&gateway).await.stream();
    assert_eq!((again.next_data().await, again.next_data().await), ("2".to_owned(), "3".to_owned()));
    drop(again);
    gateway.log_lines("client left", 2).await;
    body.event(&numbered(4)).await;
    let mut other = Client::get("/a").header("Authorization", bearer(&alice)).after(3).connect(&gateway).await.stream();
    assert_eq!(other.next_data().await, "4");
    assert_eq!(with("/a", &ticket).after(4).connect(&gateway).await.status, 401, "its client was not sent this event");
    assert!(!gateway.log().contains(ticket.get(..30).unwrap()), "{}", gateway.log());
}

#[tokio::test]
async fn a_ticket_is_given_for_a_good_credential_and_bound_to_its_path() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let options = format!("{TICKETS}\nauth.allow = \"/users/{{sub}}/*\"");
    let gateway = Gateway::with(with_tokens(route("/users/*", &origin), &key, &options)).await;
    let alice = token_of("alice", 600);
    for (query, token, status) in [
        ("", None, 401),
        ("", Some("x"), 401),
        ("?path=/users/bob/feed", Some(&*alice), 403),
        ("?path=/elsewhere", Some(&*alice), 400),
        ("?path=nonsense", Some(&*alice), 400),
    ] {
        assert_eq!(ask(query, token).connect(&gateway).await.status, status, "{query}");
    }
    let other_method = Client::get("/ticket").header("Authorization", bearer(&alice)).connect(&gateway).await;
    assert_eq!((other_method.status, other_method.header("allow")), (405, Some("POST, OPTIONS")));
    let preflight = Client::method("OPTIONS", "/ticket")
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "POST")
        .connect(&gateway)
        .await;
    assert_eq!(preflight.header("access-control-allow-methods"), Some("POST"));
    let (bound, _) = given(&gateway, "?path=/users/alice/feed", &alice).await;
    let (free, _) = given(&gateway, "", &alice).await;
    for (path, ticket, status) in [
        ("/users/alice/other", &bound, 401),
        ("/users/bob/feed", &free, 403),
        ("/users/bob/feed", &bound, 401),
        ("/users/alice/feed", &format!("{bound}A"), 401),
        ("/users/alice/feed", &bound.replacen(&bound.chars().take(4).collect::<String>(), "AAAA", 1), 401),
    ] {
        assert_eq!(with(path, ticket).connect(&gateway).await.status, status, "{path}");
    }
    let (client, _body) = tokio::join!(with("/users/alice/feed", &bound).connect(&gateway), origin.stream());
    assert_eq!(client.status, 200);
}

#[tokio::test]
async fn a_ticket_ends_with_its_credential_and_when_it_is_revoked() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let config = configuration(ADMIN, [with_tokens(route("/*", &origin), &key, TICKETS)]);
    let gateway = Gateway::start(&config).await;
    let (short, _) = given(&gateway, "", &token_of("alice", 6)).await;
    let (client, _body) = tokio::join!(with("/a", &short).connect(&gateway), origin.stream());
    assert_eq!(client.stream().next_event().await.data, "{\"reason\":\"expired\"}");
    let (ticket, id) = given(&gateway, "", &token_of("bob", 600)).await;
    let mut client = with("/a", &ticket).connect(&gateway).await.stream();
    assert_eq!(act(gateway.admin().await, "POST", &format!("/api/revoke?ticket={id}")).await.0, 202);
    assert_eq!(client.next_event().await.data, "{\"reason\":\"revoked\"}");
    let (unused, _) = given(&gateway, "", &token_of("carol", 600)).await;
    assert_eq!(act(gateway.admin().await, "POST", &format!("/api/revoke?ticket={unused}")).await.0, 202);
    assert_eq!(with("/a", &unused).connect(&gateway).await.status, 401);
}
