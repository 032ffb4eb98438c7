//! Other proxies in front of the gateway, with the settings of the documents.

use crate::client::Client;
use crate::ecosystem::{nginx, nginx_configuration};
use crate::gateway::{Gateway, route};
use crate::origin::{Origin, Port};
use crate::program::Program;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

const BEHIND_A_PROXY: &str = include_str!("../../docs/behind-a-proxy.md");
const NGINX: &str = include_str!("../../docs/nginx.md");
const CADDY: &str = include_str!("../../docs/caddy.md");
const HAPROXY: &str = include_str!("../../docs/haproxy.md");
const APACHE: &str = include_str!("../../docs/apache.md");

/// The modules of Apache that its document names, and those that every configuration needs.
const APACHE_MODULES: [&str; 5] = ["mpm_event", "authz_core", "proxy", "proxy_http", "headers"];

/// The `n`-th fenced block of a language in a document, counted from 0.
fn block(document: &'static str, language: &str, n: usize) -> &'static str {
    let fence = format!("\n```{language}\n");
    document.split(fence.as_str()).nth(n + 1).unwrap().split_once("\n```").unwrap().0
}

/// A gateway with a configuration of docs/behind-a-proxy.md.
async fn documented(n: usize, origin: &Origin) -> Gateway {
    let config = block(BEHIND_A_PROXY, "toml", n).replace("127.0.0.1:8080", "127.0.0.1:0");
    Gateway::start(&config.replace("http://127.0.0.1:9000", &origin.url())).await
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
        let text = nginx_configuration("PORT", block(NGINX, "nginx", 0));
        Self::run(gateway, "nginx.conf", &text, nginx).await
    }

    async fn caddy(gateway: SocketAddr) -> Self {
        let options = "{\n    admin off\n    auto_https off\n}\n";
        let text = block(CADDY, "caddyfile", 0).replace("www.example.com", "http://PORT");
        Self::run(gateway, "Caddyfile", &format!("{options}{text}"), |folder| {
            let mut command = Command::new("caddy");
            command.current_dir(folder).args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]);
            command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
            command
        })
        .await
    }

    /// HAProxy with a configuration that listens at port 8000.
    async fn haproxy(gateway: SocketAddr, text: &str) -> Self {
        let text = format!("{}\n", text.replace(":8000", "PORT"));
        Self::run(gateway, "haproxy.cfg", &text, |folder| {
            let mut command = Command::new(of_root("haproxy"));
            command.current_dir(folder).args(["-db", "-f", "haproxy.cfg"]);
            command
        })
        .await
    }

    async fn apache(gateway: SocketAddr) -> Self {
        let modules = APACHE_MODULES
            .map(|module| format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n"))
            .concat();
        let text = format!(
            "{modules}Listen PORT\nServerName localhost\nPidFile apache.pid\nErrorLog /dev/stderr\nUser www-data\n\
             Group www-data\n{}\n",
            block(APACHE, "apacheconf", 0)
        );
        Self::run(gateway, "apache.conf", &text, |folder| {
            let mut command = Command::new(of_root("apache2"));
            // One process, which can be ended as one.
            command.current_dir(folder).arg("-X").arg("-d").arg(folder).arg("-f").arg(folder.join("apache.conf"));
            command
        })
        .await
    }
}

/// A program that Debian has in a directory that only root has in its PATH.
fn of_root(name: &str) -> PathBuf {
    let binary = Path::new("/usr/sbin").join(name);
    if binary.exists() { binary } else { PathBuf::from(name) }
}

/// What the origin is told of a client at 127.0.0.1 that forges its address.
async fn heard(front: &Front, origin: &Origin) -> [String; 3] {
    let client = Client::get("/events").header("X-Forwarded-For", "203.0.113.9").header("X-Real-IP", "203.0.113.9");
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
async fn haproxy_tells_the_client_by_the_proxy_protocol_before_the_first_request() {
    let origin = Origin::start();
    let gateway = documented(1, &origin).await;
    let haproxy = Front::haproxy(gateway.addr(), block(BEHIND_A_PROXY, "haproxy", 0)).await;
    let host = haproxy.port.addr().to_string();
    // The client has the proxy's own address, which is trusted, so its field is believed.
    assert_eq!(heard(&haproxy, &origin).await, ["203.0.113.9, 127.0.0.1", "http", &host]);
}

#[tokio::test]
async fn haproxy_and_apache_tell_the_client_in_fields() {
    let origin = Origin::start();
    let gateway = documented(0, &origin).await;
    let haproxy = Front::haproxy(gateway.addr(), block(HAPROXY, "haproxy", 0)).await;
    let [client, scheme, _] = heard(&haproxy, &origin).await;
    assert_eq!([client.as_str(), &scheme], ["203.0.113.9, 127.0.0.1, 127.0.0.1", "http"]);
    let apache = Front::apache(gateway.addr()).await;
    let host = apache.port.addr().to_string();
    assert_eq!(heard(&apache, &origin).await, ["203.0.113.9, 127.0.0.1, 127.0.0.1", "http", &host]);
}

/// Each event comes through before the next one is sent, and a client that comes back gets what it missed.
async fn streams(front: impl AsyncFnOnce(SocketAddr) -> Front) {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/events", &origin)).await;
    let front = front(gateway.addr()).await;
    let (mut client, mut body) =
        tokio::join!(async { Client::get("/events").connect(&front.port).await.stream() }, origin.stream());
    assert_eq!(client.status, 200);
    for n in 1..=3 {
        body.event(&format!("id: {n}\ndata: event {n}\n\n")).await;
        assert_eq!(client.next_data().await, format!("event {n}"));
    }
    drop(client);
    body.event("id: 4\ndata: event 4\n\n").await;
    let mut client = Client::get("/events").header("Last-Event-ID", "3").connect(&front.port).await.stream();
    assert_eq!(client.next_data().await, "event 4");
}

#[tokio::test]
async fn streams_come_through_nginx_and_caddy() {
    streams(Front::nginx).await;
    streams(Front::caddy).await;
}

#[tokio::test]
async fn streams_come_through_haproxy_and_apache() {
    streams(async |gateway| Front::haproxy(gateway, block(HAPROXY, "haproxy", 0)).await).await;
    streams(Front::apache).await;
}
