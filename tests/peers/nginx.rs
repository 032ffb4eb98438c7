//! nginx in front of the gateway and behind it, with as few settings as possible.

use crate::client::{Client, Response};
use crate::ecosystem::{nginx, nginx_configuration};
use crate::gateway::{Gateway, route};
use crate::origin::{Origin, Port};
use crate::program::Program;
use std::net::SocketAddr;
use tempfile::TempDir;

pub struct Nginx {
    port: Port,
    _program: Program,
    _folder: TempDir,
}

impl Nginx {
    /// A proxy that forwards everything, with these further settings.
    pub async fn in_front_of(origin: SocketAddr, settings: &str) -> Self {
        let port = Port::reserve();
        let folder = tempfile::tempdir().unwrap();
        let location = format!("location / {{ proxy_pass http://{origin}; {settings} }}");
        let config = nginx_configuration(&port.addr().to_string(), &location);
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut program = Program::run(nginx(folder.path()));
        program.listens(&port).await;
        Self { port, _program: program, _folder: folder }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.port.url()
    }
}

#[tokio::test]
async fn an_origin_behind_nginx_streams_and_is_waited_for() {
    let origin = Origin::start();
    let nginx = Nginx::in_front_of(origin.addr(), "proxy_buffering off;").await;
    let gateway = Gateway::with(route("/*", &nginx.port).with("client.heartbeat_secs = 0.1")).await;
    let (client, mut body) = tokio::join!(Client::get("/a").connect(&gateway), origin.stream());
    let mut client = client.stream();
    assert_eq!(origin.request(1).await.version, "HTTP/1.0");
    for n in ["1", "2"] {
        body.event(&format!("data: {n}\n\n")).await;
        assert_eq!(client.next_data().await, n);
    }
    origin.kill().await;
    drop(body);
    gateway.log_line("origin answered 502").await;
    client.next_comment().await;
    origin.restart();
    let mut body = origin.stream().await;
    body.event("data: 3\n\n").await;
    assert_eq!(client.next_data().await, r#"{"reason":"upstream","missed":null}"#);
    assert_eq!(client.next_data().await, "3");
}

#[tokio::test]
async fn an_origin_that_nginx_buffers_is_heard_when_it_says_so() {
    let origin = Origin::start();
    let nginx = Nginx::in_front_of(origin.addr(), "").await;
    let gateway = Gateway::with(route("/*", &nginx.port)).await;
    let streams = [("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no")];
    let (client, mut body) = tokio::join!(Client::get("/a").connect(&gateway), async {
        origin.accept().await.head(200, &streams, crate::origin::Coding::UntilClose).await
    });
    let mut client: Response = client.stream();
    body.event("id: 1\ndata: 1\n\n").await;
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn clients_behind_an_nginx_that_knows_nothing_hear_each_event_and_resume() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let nginx = Nginx::in_front_of(gateway.addr(), "").await;
    let (client, mut body) = tokio::join!(Client::get("/a").connect(&nginx.port), origin.stream());
    let mut client = client.stream();
    for n in ["1", "2"] {
        body.event(&format!("data: {n}\n\n")).await;
        assert_eq!(client.next_data().await, n);
    }
    let id = client.last_id().to_owned();
    drop(client);
    // nginx closes its connection to the gateway when its client is gone.
    gateway.log_line("why=client").await;
    body.event("data: 3\n\n").await;
    let mut client = Client::get("/a").after(id).connect(&nginx.port).await.stream();
    assert_eq!(client.next_data().await, "3");
    body.event("data: 4\n\n").await;
    assert_eq!(client.next_data().await, "4");
    assert_eq!(origin.requests().len(), 1);
}
