//! The configuration of the pods with the real binary, which gets the kubelet's questions.

use crate::client::Client;
use crate::kubernetes::Manifests;
use crate::origin::Origin;
use crate::process::{Manifold, loads, manifold};
use tempfile::TempDir;

#[tokio::test]
async fn manifold_serves_with_the_config_map_and_answers_every_probe() {
    let manifests = Manifests::read().await;
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("manifold.toml");
    std::fs::write(&config, manifests.config()).unwrap();
    loads(&config).await;

    let origin = Origin::start();
    let mut command = manifold(&config);
    command.env("ORIGIN", origin.url());
    let mut pod = Manifold::run(command);
    let admin = pod.logged("admin listening addr=").await.parse::<std::net::SocketAddr>().unwrap();
    let clients = pod.logged("] listening addr=").await;
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = manifests.container()[probe]["httpGet"]["path"].as_str().unwrap();
        let answer = Client::get(path).connect(admin).await;
        assert_eq!(answer.status, 200, "{probe}: {path}");
    }
    let clients = clients.parse::<std::net::SocketAddr>().unwrap();
    let (client, mut body) = tokio::join!(Client::get("/events/a").connect(clients), origin.stream());
    body.event("data: from the Service\n\n").await;
    assert_eq!(client.stream().next_data().await, "from the Service");
    pod.terminate().await;
}
