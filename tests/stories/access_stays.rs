//! The access lines about clients that stay, while writes wait for them.

use crate::access_log::{lines, logging, started};
use crate::client::Client;
use crate::gateway::route;
use crate::origin::Origin;
use crate::stage::opened;

/// More than the kernel and the gateway buffer for one client.
const BIG: usize = 16 << 20;

#[tokio::test]
async fn a_client_that_takes_nothing_is_told_of_as_often_as_any() {
    for (path, is_h2) in [("/shared", false), ("/shared", true), ("/private", false), ("/private", true)] {
        let origin = Origin::start();
        let options = "client.stall_secs = 600\nclient.heartbeat_secs = \"off\"\nupstream.max_event_bytes = \"64MiB\"";
        let routes = [
            route("/shared", &origin).with(options).with("replay.bytes = \"64MiB\""),
            route("/private", &origin)
                .with("client.stall_secs = 600\nclient.heartbeat_secs = \"off\"")
                .with("share.mode = \"private\""),
        ];
        let gateway = started(&logging("all", routes)).await;
        let client = Client::get(path).small_receive_buffer();
        let client = if is_h2 { client.h2() } else { client };
        let (_deaf, mut body) = opened(client, &gateway, &origin).await;
        // The client takes none of this. On a private route the origin is not read further then.
        let event = format!("data: {}\n\n", "x".repeat(BIG));
        let feeding = tokio::spawn(async move {
            body.event(&event).await;
            body.gone().await;
        });
        let stays = lines(&gateway, "client stays", 4).await;
        assert!(stays.iter().all(|line| line["route"] == path && line["why"].is_null()), "{stays:?}");
        feeding.abort();
    }
}
