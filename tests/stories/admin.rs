//! Health: the answers to orchestrators, and the messages to the service manager.

use crate::client::{Client, Connection, End};
use crate::gateway::{Gateway, config_file, configuration, route};
use crate::guard::guarded;
use crate::origin::{Origin, Port};
use crate::stage::{Successor, joined, numbered, opened};
use rustix::process::Signal;
use std::net::SocketAddr;
use tokio::net::UnixDatagram;

const ADMIN: &str = "admin = \"127.0.0.1:0\"";

async fn answer(admin: SocketAddr, request: Client<'_>) -> (u16, String) {
    let mut answer = request.connect(admin).await;
    (answer.status, answer.text().await)
}

async fn get(admin: SocketAddr, path: &str) -> (u16, String) {
    answer(admin, Client::get(path)).await
}

fn said(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[tokio::test]
async fn health_is_served_beside_the_clients() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    assert_ne!(admin, gateway.addr());
    assert_eq!(get(admin, "/healthz").await, said(200, "ok\n"));
    assert_eq!(get(admin, "/readyz").await, said(200, "ready\n"));
    assert_eq!(answer(admin, Client::method("HEAD", "/readyz")).await, said(200, ""));
    assert_eq!(get(admin, "/nothing").await.0, 404);
    let posted = Client::method("POST", "/readyz").body("x").connect(admin).await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    let healthz = Client::get("/healthz").connect(admin).await;
    assert_eq!(healthz.header("cache-control"), Some("no-store"));
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_draining_process_is_alive_but_not_ready() {
    let origin = Origin::start();
    let proxy = route("/*", &origin).with("kind = \"proxy\"");
    let mut gateway = Gateway::start(&configuration(&format!("{ADMIN}\ndrain_secs = 600"), [proxy])).await;
    let admin = gateway.admin().await;
    // A request that its origin does not answer holds up the drain.
    let (answered, answer) = tokio::sync::oneshot::channel();
    let waiting = Client::get("/slow").connect(&gateway);
    let slow = async {
        let exchange = origin.accept().await;
        answer.await.unwrap();
        exchange.reply(200, &[], "done").await;
    };
    let drained = async {
        origin.request(1).await;
        gateway.signal(Signal::TERM);
        gateway.log_line("SIGTERM: draining").await;
        while get(admin, "/readyz").await != said(503, "draining\n") {
            tokio::task::yield_now().await;
        }
        assert_eq!(get(admin, "/healthz").await, said(200, "ok\n"));
        answered.send(()).unwrap();
    };
    let (waited, (), ()) = tokio::join!(waiting, slow, drained);
    assert_eq!(waited.status, 200);
    drop(waited);
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    assert!(tokio::net::TcpStream::connect(admin).await.is_err());
}

#[tokio::test]
async fn a_taken_admin_address_is_named_with_its_key() {
    let taken = Origin::start();
    let config = configuration(&format!("admin = \"{}\"", taken.addr()), [route("/*", &taken)]);
    let file = config_file(&config);
    let (code, said) = Gateway::run(&["-c", file.path().to_str().unwrap()]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&taken.addr().to_string()) && said.contains("server.admin"), "{said}");
}

#[tokio::test]
async fn a_new_process_takes_the_admin_address_over() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    gateway.signal(Signal::QUIT);
    let _successor = Successor::of(&gateway.log_line("a new process serves").await);
    gateway.log_lines("admin listening addr=", 2).await;
    // The old process drains now, and would answer that.
    assert_eq!(get(admin, "/readyz").await, said(200, "ready\n"));
}

#[tokio::test]
async fn healthcheck_asks_the_admin_address() {
    let (origin, port, admin) = (Origin::start(), Port::reserve(), Port::reserve());
    let config = configuration(&format!("admin = \"{}\"", admin.addr()), [route("/*", &origin)]);
    let config = config.replace("127.0.0.1:0", &port.addr().to_string());
    let file = config_file(&config);
    let ask = ["healthcheck", "-c", file.path().to_str().unwrap()];
    let (code, told) = Gateway::run(&ask).await;
    assert_eq!(code, 1, "{told}");
    assert!(told.starts_with(&format!("manifold: unhealthy: {} cannot be reached", admin.addr())), "{told}");
    let mut gateway = Gateway::start(&config).await;
    gateway.admin().await;
    assert_eq!(Gateway::run(&ask).await, (0, format!("healthy: {} says ready\n", admin.addr())));
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit_code().await, 0);
    assert_eq!(Gateway::run(&ask).await.0, 1);
}

#[tokio::test]
async fn healthcheck_without_an_admin_address_asks_the_first_listener_and_no_origin() {
    let (origin, port) = (Origin::start(), Port::reserve());
    let listen = port.addr().to_string();
    let alone = [("MANIFOLD_ORIGIN", &*origin.url()), ("MANIFOLD_LISTEN", &listen)].map(|(k, v)| (k, v.to_owned()));
    let variables: Vec<_> = alone.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(Gateway::run_with(&["healthcheck"], &variables).await.0, 1);
    let gateway = Gateway::start(&configuration("", [route("/*", &origin)]).replace("127.0.0.1:0", &listen)).await;
    let (code, told) = Gateway::run_with(&["healthcheck"], &variables).await;
    assert_eq!((code, told), (0, format!("healthy: {listen} answers\n")));
    assert_eq!(origin.connections(), 0);
    drop(gateway);
}

#[tokio::test]
async fn options_for_the_server_itself_is_answered_here() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    let mut connection = Connection::open(&gateway).await;
    connection.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(connection.response(false).await.status, 204);
    assert_eq!(origin.connections(), 0);
}

/// A service manager's notification socket, as systemd has one.
pub struct Manager(UnixDatagram, tempfile::TempDir);

impl Manager {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self(UnixDatagram::bind(directory.path().join("notify")).unwrap(), directory)
    }

    pub fn path(&self) -> String {
        self.1.path().join("notify").to_str().unwrap().to_owned()
    }

    pub async fn told(&self) -> String {
        let mut message = [0; 256];
        let length = guarded("a word to the service manager", self.0.recv(&mut message)).await.unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap().trim().to_owned()
    }
}

#[tokio::test]
async fn the_service_manager_is_told_of_start_and_stop() {
    let (origin, manager) = (Origin::start(), Manager::new());
    let config = configuration("", [route("/*", &origin)]);
    let mut gateway = Gateway::spawn_with(&config, &[("NOTIFY_SOCKET", &manager.path())]);
    assert_eq!(manager.told().await, "READY=1");
    gateway.log_line("listening addr=").await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    gateway.signal(Signal::TERM);
    assert_eq!(manager.told().await, "STOPPING=1");
    assert_eq!(client.ended().await, End::Orderly);
    assert_eq!(gateway.exit_code().await, 0);
}

#[tokio::test]
async fn the_service_manager_is_told_of_the_new_process() {
    let (origin, manager) = (Origin::start(), Manager::new());
    let config = configuration("", [route("/*", &origin)]);
    let mut gateway = Gateway::spawn_with(&config, &[("NOTIFY_SOCKET", &manager.path())]);
    assert_eq!(manager.told().await, "READY=1");
    gateway.log_line("listening addr=").await;
    let (client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    gateway.signal(Signal::QUIT);
    let line = gateway.log_line("a new process serves").await;
    let _successor = Successor::of(&line);
    let (_, pid) = line.rsplit_once("pid=").unwrap();
    // A service manager listens only to the process that it knows.
    assert_eq!(manager.told().await, format!("MAINPID={}", pid.trim()));
    drop(client);
    assert_eq!(gateway.succeeded().await, 0);
    // The old process did not say that the service stops.
    manager.0.try_recv(&mut [0; 256]).unwrap_err();
    joined(Client::get("/new"), &gateway).await;
}
