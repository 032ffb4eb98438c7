//! Who is answered at the admin address: by which name, and with which token.

use crate::client::{Client, Connection};
use crate::gateway::{Gateway, config_file, configuration, route};
use crate::origin::Origin;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

async fn get(admin: SocketAddr, path: &str, fields: &str) -> (u16, String) {
    let mut connection = Connection::open(admin).await;
    connection.send(format!("GET {path} HTTP/1.1\r\n{fields}\r\n")).await;
    let mut answer = connection.response(false).await;
    (answer.status, answer.text().await)
}

#[tokio::test]
async fn a_request_for_a_foreign_host_is_refused_with_the_key_that_admits_it() {
    let origin = Origin::start();
    let server = "admin = \"127.0.0.1:0\"\nadmin_hosts = [\"ops.internal\"]";
    let gateway = Gateway::start(&configuration(server, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    for path in ["/metrics", "/healthz", "/", "/page.css", "/page/model.js"] {
        for fields in ["Host: evil.example\r\n", "Host: evil.example:9090\r\n", "", "Host: a\r\nHost: 127.0.0.1\r\n"] {
            let (status, text) = get(admin, path, fields).await;
            assert!(status == 421 && text.contains("server.admin_hosts"), "{path} {fields:?}: {status} {text}");
        }
    }
    for host in ["127.0.0.1", "192.0.2.7:9090", "[::1]:9090", "localhost", "LOCALHOST:1", "Ops.Internal:9090"] {
        assert_eq!(get(admin, "/metrics", &format!("Host: {host}\r\n")).await.0, 200, "{host}");
    }
}

#[tokio::test]
async fn with_a_token_only_health_is_told_to_who_does_not_bear_it() {
    let origin = Origin::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "s3cret-token\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = format!("admin = \"127.0.0.1:0\"\nadmin_token_file = {file:?}");
    let gateway = Gateway::start(&configuration(&server, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    // The files of the page hold no data. The page asks for the token, and sends it with its questions.
    for path in ["/healthz", "/readyz", "/", "/page.css", "/page.js", "/page/model.js"] {
        assert_eq!(Client::get(path).connect(admin).await.status, 200, "{path}");
    }
    for authorization in [None, Some("Bearer s3cret"), Some("Bearer"), Some("Basic s3cret-token")] {
        for path in ["/metrics", "/api/streams", "/api/process", "/page/nothing.js", "/nothing"] {
            let client = Client::get(path);
            let client = match authorization {
                Some(value) => client.header("Authorization", value),
                None => client,
            };
            let mut answer = client.connect(admin).await;
            assert_eq!(answer.status, 401, "{path} {authorization:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"manifold admin\""));
            assert!(answer.text().await.contains("server.admin_token_file"));
        }
    }
    let bears = Client::get("/metrics").header("Authorization", "Bearer s3cret-token").connect(admin).await;
    assert_eq!(bears.status, 200);
    assert!(!gateway.log().contains("s3cret"), "{}", gateway.log());
    assert!(!gateway.log().contains("admin_token_file"), "the file is for its owner alone: {}", gateway.log());
}

#[tokio::test]
async fn a_token_file_that_everybody_reads_is_warned_of() {
    let origin = Origin::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "s3cret-token\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let server = format!("admin = \"127.0.0.1:0\"\nadmin_token_file = {file:?}");
    let gateway = Gateway::start(&configuration(&server, [route("/*", &origin)])).await;
    let warning = gateway.log_line("server.admin_token_file").await;
    assert!(warning.contains(file.to_str().unwrap()) && !warning.contains("s3cret"), "{warning}");
}

#[tokio::test]
async fn an_address_for_other_machines_needs_a_token_or_the_word_that_it_needs_none() {
    let origin = Origin::start();
    let config = configuration("admin = \"0.0.0.0:0\"", [route("/*", &origin)]);
    let file = config_file(&config);
    let (code, said) = Gateway::run(&["-c", file.path().to_str().unwrap()]).await;
    assert!(code == 64 && said.contains("server.admin") && said.contains("server.admin_token_file"), "{code} {said}");
    let server = "admin = \"0.0.0.0:0\"\nadmin_token_file = \"none\"";
    let gateway = Gateway::start(&configuration(server, [route("/*", &origin)])).await;
    let mut admin = gateway.admin().await;
    admin.set_ip([127, 0, 0, 1].into());
    assert_eq!(Client::get("/metrics").connect(admin).await.status, 200);
}

#[tokio::test]
async fn a_unix_socket_serves_the_same() {
    let origin = Origin::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin");
    let server = format!("admin = \"unix:{}\"", path.display());
    let config = configuration(&server, [route("/*", &origin)]);
    let gateway = Gateway::start(&config).await;
    gateway.log_line("admin listening addr=unix:").await;
    let mut socket = UnixStream::connect(&path).await.unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\nmanifold_build_info{"), "{answer}");
    let asked = Gateway::run(&["healthcheck", "-c", gateway.config().to_str().unwrap()]).await;
    assert_eq!(asked, (0, format!("healthy: unix:{} says ready\n", path.display())));
    let mut gateway = gateway;
    gateway.signal(rustix::process::Signal::TERM);
    assert_eq!(gateway.exit_code().await, 0);
    assert!(!path.exists(), "the file goes with the process");
}
