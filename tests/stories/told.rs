//! What the log says about an outage, for every policy of a route.

use crate::client::{Client, End};
use crate::gateway::{Gateway, route};
use crate::origin::Origin;
use crate::stage::opened;

const CLIENTS: usize = 20;

/// The log's warnings so far.
fn warnings(gateway: &Gateway) -> Vec<String> {
    gateway.log().lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_hold_that_is_over_is_told_once_for_all_streams() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.hold_secs = 0.5")).await;
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        clients.push(opened(Client::get(format!("/{n}")), &gateway, &origin).await);
    }
    origin.kill().await;
    for (client, _body) in &mut clients {
        assert_eq!(client.ended().await, End::Cut);
    }
    let line = gateway.log_line("origin still down").await;
    assert!(line.contains(&format!("origin={}", origin.url())) && line.contains("streams="), "{line}");
    let warned = warnings(&gateway);
    assert_eq!(warned.len(), 2, "{warned:#?}");
    assert!(warned[0].contains("origin down"), "{warned:#?}");
}

#[tokio::test]
async fn failures_that_are_reflected_are_told_once_for_all_clients() {
    for policy in ["upstream.on_error = \"reflect\"", "share.mode = \"private\"", "upstream.on_close = \"close\""] {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin).with(policy)).await;
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            clients.push(opened(Client::get(format!("/{n}")), &gateway, &origin).await);
        }
        origin.kill().await;
        for (client, _body) in &mut clients {
            assert_eq!(client.ended().await, End::Cut, "{policy}");
        }
        for n in 0..CLIENTS {
            let status = Client::get(format!("/{n}")).connect(&gateway).await.status;
            assert!(status == 502 || policy.contains("on_close"), "{status} {policy}");
        }
        let line = gateway.log_line("origin down").await;
        assert!(line.contains(&format!("origin={}", origin.url())) && line.contains("streams="), "{line}");
        origin.restart();
        let (client, body) = opened(Client::get("/again"), &gateway, &origin).await;
        // A stream that is held tries again, too.
        let held = async {
            loop {
                tokio::spawn(origin.stream().await.gone());
            }
        };
        tokio::select! {
            line = gateway.log_line("origin up") => assert!(line.contains("down_secs="), "{line}"),
            () = held => unreachable!(),
        }
        drop((client, body));
        let warned = warnings(&gateway);
        assert_eq!(warned.len(), 1, "{policy}: {warned:#?}");
    }
}
