//! Other proxies in front of the gateway, with the settings of docs/behind-a-proxy.md.

use crate::client::Client;
use crate::ecosystem::{nginx, nginx_configuration};
use crate::gateway::Gateway;
use crate::origin::{Origin, Port};
use crate::program::Program;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

const DOCUMENT: &str = include_str!("../../docs/behind-a-proxy.md");

/// The `n`-th fenced block of a language, counted from 0.
fn block(language: &str, n: usize) -> &'static str {
    let fence = format!("\n```{language}\n");
    DOCUMENT.split(fence.as_str()).nth(n + 1).unwrap().split_once("\n```").unwrap().0
}

/// A gateway with a configuration of the document.
async fn documented(n: usize, origin: &Origin) -> Gateway {
    let config =
        block("toml", n).replace("127.0.0.1:8080", "127.0.0.1:0").replace("http://127.0.0.1:9000", &origin.url());
    Gateway::start(&config).await
}

struct Front {
    port: Port,
    _program: Program,
    _folder: TempDir,
}

impl Front {
    /// Runs a program with this text as its settings. The addresses in the text are replaced.
    async fn run(gateway: SocketAddr, file: &str, text: &str, command: impl FnOnce(&Path) -> Command) -> Self {
        let port = Port::reserve();
        let folder = tempfile::tempdir().unwrap();
        let text = text.replace("127.0.0.1:8080", &gateway.to_string()).replace("PORT", &port.addr().to_string());
        std::fs::write(folder.path().join(file), text).unwrap();
        let mut program = Program::run(command(folder.path()));
        program.listens(&port).await;
        Self { port, _program: program, _folder: folder }
    }

    async fn nginx(gateway: SocketAddr) -> Self {
        let text = nginx_configuration("PORT", block("nginx", 0));
        Self::run(gateway, "nginx.conf", &text, nginx).await
    }

    async fn caddy(gateway: SocketAddr) -> Self {
        let options = "{\n    admin off\n    auto_https off\n}\n";
        let text = block("caddyfile", 0).replace(":8000", "http://PORT");
        Self::run(gateway, "Caddyfile", &format!("{options}{text}"), |folder| {
            let mut command = Command::new("caddy");
            command.current_dir(folder).args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]);
            command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
            command
        })
        .await
    }

    async fn haproxy(gateway: SocketAddr) -> Self {
        let text = format!("{}\n", block("haproxy", 0).replace(":8000", "PORT"));
        Self::run(gateway, "haproxy.cfg", &text, |folder| {
            // Debian has it in a directory that only root has in its PATH.
            let binary = Path::new("/usr/sbin/haproxy");
            let mut command = Command::new(if binary.exists() { binary } else { Path::new("haproxy") });
            command.current_dir(folder).args(["-db", "-f", "haproxy.cfg"]);
            command
        })
        .await
    }
}

/// What the origin is told of a client at 127.0.0.1 that forges its address.
async fn heard(front: &Front, origin: &Origin) -> [String; 3] {
    let client = Client::get("/a").header("X-Forwarded-For", "203.0.113.9").header("X-Real-IP", "203.0.113.9");
    let (mut client, ()) = tokio::join!(client.connect(&front.port), async {
        origin.accept().await.reply(200, &[], "an answer").await;
    });
    assert_eq!((client.status, client.text().await.as_str()), (200, "an answer"));
    let request = origin.requests().last().unwrap().clone();
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]
        .map(|name| request.headers.one(name).unwrap_or_default().to_owned())
}

#[tokio::test]
async fn nginx_and_caddy_tell_the_client_as_the_document_says() {
    let origin = Origin::start();
    let gateway = documented(0, &origin).await;
    let nginx = Front::nginx(gateway.addr()).await;
    let host = nginx.port.addr().to_string();
    assert_eq!(heard(&nginx, &origin).await, ["203.0.113.9, 127.0.0.1, 127.0.0.1", "http", &host]);
    let caddy = Front::caddy(gateway.addr()).await;
    let host = caddy.port.addr().to_string();
    // Caddy believes nothing that a client says about itself.
    assert_eq!(heard(&caddy, &origin).await, ["127.0.0.1, 127.0.0.1", "http", &host]);
}

#[tokio::test]
async fn haproxy_tells_the_client_before_the_first_request() {
    let origin = Origin::start();
    let gateway = documented(1, &origin).await;
    let haproxy = Front::haproxy(gateway.addr()).await;
    let host = haproxy.port.addr().to_string();
    // The client has the proxy's own address, which is trusted, so its field is believed.
    assert_eq!(heard(&haproxy, &origin).await, ["203.0.113.9, 127.0.0.1", "http", &host]);
}
