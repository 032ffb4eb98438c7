//! No spelling of a path is a way around the route that the path is for. Paths are forwarded unchanged.

use crate::client::Client;
use crate::gateway::{Gateway, route};
use crate::origin::Origin;
use crate::stage::{asked, numbered, opened};

/// Private streams below /me, and another origin for the rest.
async fn site(own: &Origin, rest: &Origin) -> Gateway {
    let own = route("/me/*", own).with("share.mode = \"private\"");
    Gateway::with_all([own, route("/*", rest).with("kind = \"proxy\"")]).await
}

#[tokio::test]
async fn encoded_letters_lead_to_the_route_that_they_mean_and_stay_as_they_came() {
    let (own, rest) = (Origin::start(), Origin::start());
    let gateway = site(&own, &rest).await;
    for path in ["/me/events", "/m%65/events", "/%6D%65/%65vents", "/me/a%2fb;c"] {
        for client in [Client::get(path), Client::get(path).h2()] {
            let (mut client, mut body) = opened(client, &gateway, &own).await;
            body.event(&numbered(1)).await;
            assert_eq!(client.next_data().await, "1");
            assert_eq!(own.requests().last().unwrap().target, path);
        }
    }
    assert!(rest.requests().is_empty());
}

#[tokio::test]
async fn what_an_origin_may_read_as_a_path_of_another_route_is_400() {
    let (own, rest) = (Origin::start(), Origin::start());
    let gateway = site(&own, &rest).await;
    for path in [
        "/me%2fevents",
        "/me%5Cevents",
        "/me\\events",
        "/me;x/events",
        "/me%3bx/events",
        "//me/events",
        "/m%2565/events",
        "/me%252fevents",
        "/me%c0%afevents",
        "/m%c1%a5/events",
        "/me%u002fevents",
        "/a/..%2fme/events",
        "/a/../me/events",
        "/me/%252e%252e/other",
    ] {
        for client in [Client::get(path), Client::get(path).h2(), Client::method("POST", path).body("x")] {
            let mut client = client.connect(&gateway).await;
            assert_eq!(client.status, 400, "{path}");
            let said = client.text().await;
            assert!(said.starts_with("the request target must not"), "{path}: {said}");
        }
    }
    assert!(rest.requests().is_empty());
    assert!(own.requests().is_empty());
}

#[tokio::test]
async fn oddities_pass_as_they_came_where_a_plain_proxy_is_alone() {
    let (own, rest) = (Origin::start(), Origin::start());
    let gateway = site(&own, &rest).await;
    for path in ["//", "/a//b", "/a\\b", "/a;b=c/d", "/100%", "/%zz/%4", "/a%2fb%5Cc", "/a%252fb", "/a?b=//%\\;"] {
        let answer = asked(Client::get(path), &gateway, &rest, async |ask| ask.reply(200, &[], "").await).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(rest.requests().last().unwrap().target, path);
    }
    // Stream routes refuse such paths, because all clients of a stream must spell its path alike.
    for path in ["/me//b", "/me/a\\b", "/me/100%"] {
        assert_eq!(Client::get(path).connect(&gateway).await.status, 400, "{path}");
    }
    assert!(own.requests().is_empty());
}

#[tokio::test]
async fn a_prefix_is_taken_off_in_any_spelling_and_the_rest_stays_as_it_came() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/ticks/*", &origin).with("kind = \"proxy\"\nstrip_prefix = \"/ticks\"")).await;
    for (path, target) in [("/t%69cks/%61%2fb", "/%61%2fb"), ("/ticks//a", "//a"), ("/ticks/", "/")] {
        let client = Client::get(path);
        let (answer, ()) = tokio::join!(client.connect(&gateway), async {
            origin.accept().await.reply(200, &[], "").await;
        });
        assert_eq!((answer.status, origin.requests().last().unwrap().target.as_str()), (200, target), "{path}");
    }
}
