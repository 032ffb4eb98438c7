//! A process that has nothing to do.

use crate::client::Client;
use crate::gateway::{Gateway, route};
use crate::origin::Origin;
use crate::stage::{asked, numbered, opened};

#[tokio::test]
async fn no_thread_wakes_for_a_clock_that_nobody_needs() {
    let origin = Origin::start();
    let proxied = route("/proxied/*", &origin).with("kind = \"proxy\"");
    let gateway = Gateway::with_all([route("/*", &origin), proxied]).await;
    let (mut client, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    let h2 = Client::get("/a").h2().connect(&gateway).await;
    for client in [Client::get("/proxied/a"), Client::method("POST", "/proxied/a").body("text")] {
        let answer = asked(client, &gateway, &origin, async |exchange| exchange.reply(200, &[], "text").await).await;
        assert_eq!(answer.status, 200);
    }
    let threads = gateway.threads();
    assert!(threads.iter().any(|name| name == "manifold"), "{threads:?}");
    assert!(!threads.iter().any(|name| name.contains("Timer")), "{threads:?}");
    drop(h2);
}
