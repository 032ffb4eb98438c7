//! The life of the process, from the first line of the log to the exit code.

use crate::client::{Client, Connection, End};
use crate::gateway::{Gateway, config_file, configuration, route};
use crate::mode::clients_move;
use crate::origin::{Origin, Port};
use crate::stage::{Successor, goes_on, joined, numbered, opened, unanswered};
use rustix::process::Signal;
use tokio::net::TcpStream;

#[tokio::test]
async fn sigterm_ends_every_client_in_an_orderly_way() {
    let origin = Origin::start();
    let private = "name = \"private\"\nshare.mode = \"private\"";
    let mut gateway = Gateway::with_all([route("/*", &origin), route("/private", &origin).with(private)]).await;
    let (first, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut clients = vec![
        first,
        joined(Client::get("/").http10(), &gateway).await,
        joined(Client::get("/").h2(), &gateway).await,
        joined(Client::get("/"), &gateway).await,
    ];
    let (private, _private_body) = opened(Client::get("/private"), &gateway, &origin).await;
    let idle = Connection::open(&gateway).await;
    body.event(&numbered(1)).await;
    for client in &mut clients {
        assert_eq!(client.next_data().await, "1");
    }
    clients.push(private);
    gateway.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.ended().await, End::Orderly);
    }
    drop((clients, idle));
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
}

/// A request without an answer holds up the drain. `a_drain_is_not_disturbed_by_another_sigterm_nor_by_a_sigquit`
/// shows that a drain of an hour waits for one.
#[tokio::test]
async fn a_drain_waits_no_longer_than_it_may_for_a_client_that_stays() {
    let origin = Origin::start();
    let text = configuration("drain_secs = 0.2", [route("/*", &origin).with("kind = \"proxy\"")]);
    let mut gateway = Gateway::start(&text).await;
    let (_client, _exchange) = unanswered(&gateway, &origin).await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    // The drain time ended the drain, and not the client.
    gateway.log_line("drain time is over with clients left").await;
}

#[tokio::test]
async fn no_new_client_is_taken_after_sigterm() {
    // The gateway has a reserved port, which no other process gets afterwards.
    let (origin, port) = (Origin::start(), Port::reserve());
    let text = configuration("", [route("/*", &origin)]).replace("127.0.0.1:0", &port.addr().to_string());
    let mut gateway = Gateway::start(&text).await;
    drop(TcpStream::connect(port.addr()).await.unwrap());
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit_code().await, 0);
    assert!(TcpStream::connect(port.addr()).await.is_err());
}

#[tokio::test]
async fn sigint_is_at_once() {
    let origin = Origin::start();
    // A drain would end the streams and last longer than any story waits.
    let routes = [route("/*", &origin), route("/unanswered", &origin).with("kind = \"proxy\"\nname = \"proxy\"")];
    let mut gateway = Gateway::start(&configuration("drain_secs = 3600", routes)).await;
    let (mut client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    let (_unanswered, _exchange) = unanswered(&gateway, &origin).await;
    gateway.signal(Signal::INT);
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    assert_ne!(client.ended().await, End::Orderly);
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = Origin::start();
    let routes = format!("[[routes]]\npath = \"/*\"\norigin = \"{}\"\n", taken.url());
    let config = format!("[server]\nlisten = [\"127.0.0.1:0\", \"{}\"]\n{routes}", taken.addr());
    let file = config_file(&config);
    let (code, said) = Gateway::run(&["-c", file.path().to_str().unwrap()]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&taken.addr().to_string()), "{said}");
}

#[tokio::test]
async fn it_listens_on_several_addresses_and_on_a_unix_socket() {
    let origin = Origin::start();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("manifold.sock");
    let listen = format!("listen = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"unix:{}\"]", socket.display());
    let routes = format!("[[routes]]\npath = \"/*\"\norigin = \"{}\"\n", origin.url());
    let gateway = Gateway::start(&format!("[server]\n{listen}\n{routes}")).await;
    gateway.log_lines("listening addr=", 3).await;
    let [one, two] = gateway.addresses()[..] else { panic!("{}", gateway.log()) };
    let (first, mut body) = tokio::join!(Client::get("/").connect(one), origin.stream());
    let clients = [
        first.stream(),
        Client::get("/").connect(two).await.stream(),
        Client::get("/").connect(socket.as_path()).await.stream(),
    ];
    body.event(&numbered(1)).await;
    for mut client in clients {
        assert_eq!(client.next_data().await, "1");
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_an_idle_stream_is_gone_from_the_count() {
    let origin = Origin::start();
    let quiet = "client.heartbeat_secs = \"off\"\nname = \"quiet\"";
    let gateway = Gateway::with(route("/*", &origin).with(quiet)).await;
    let (_stays, _body) = opened(Client::get("/"), &gateway, &origin).await;
    let leaving = [Client::get("/"), Client::get("/").http10(), Client::get("/").h2(), Client::get("/")];
    for (n, client) in leaving.into_iter().enumerate() {
        let client = joined(client, &gateway).await;
        if n == 3 {
            client.reset()
        } else {
            drop(client)
        }
        let lines = gateway.log_lines("client left", n + 1).await;
        for part in ["route=quiet", "stream=", "bytes=", "events=0", "why=", "lag="] {
            assert!(lines[n].contains(part), "{part} in {}", lines[n]);
        }
    }
}

#[tokio::test]
async fn the_last_client_to_leave_an_idle_private_stream_ends_it() {
    let origin = Origin::start();
    let private = "share.mode = \"private\"\nclient.heartbeat_secs = \"off\"";
    let gateway = Gateway::with(route("/*", &origin).with(private)).await;
    for client in [Client::get("/"), Client::get("/").http10(), Client::get("/").h2()] {
        let (client, body) = opened(client, &gateway, &origin).await;
        drop(client);
        body.gone().await;
    }
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let origin = Origin::start();
    let routes = [
        route("/*", &origin).with("upstream.on_error = \"reflect\""),
        route("/private", &origin).with("share.mode = \"private\""),
        route("/proxy", &origin).with("kind = \"proxy\""),
    ];
    let mut gateway = Gateway::with_all(routes).await;
    let secret = |target: &str| {
        let client = Client::get(format!("{target}?token=s3cret&lastEventId=41")).header("Cookie", "a=s3cret");
        client.header("Authorization", "Bearer s3cret").header("X-Api-Key", "s3cret")
    };
    for target in ["/", "/private", "/proxy"] {
        for (n, status) in [200, 401, 500, 302].into_iter().enumerate() {
            let headers = [("Content-Type", "text/html"), ("Location", "https://s3cret.example/?s3cret")];
            let client = secret(&format!("{target}{}", if target == "/" { n.to_string() } else { String::new() }));
            // For a shared stream the gateway makes two requests: the shared one, and one for what its client missed.
            let requests = if target == "/" { 2 } else { 1 };
            let answer = async {
                for _ in 0..requests {
                    origin.accept().await.reply(status, &headers, "s3cret").await;
                }
            };
            let _client = tokio::join!(client.connect(&gateway), answer);
        }
        let posted = Client::method("POST", format!("{target}?s3cret")).body("s3cret");
        let answer = async {
            if target == "/proxy" {
                origin.accept().await.reply(200, &[], "s3cret").await
            }
        };
        let _client = tokio::join!(posted.connect(&gateway), answer);
    }
    let answers = async { [origin.accept().await.sse().await, origin.accept().await.sse().await] };
    let (client, _bodies) = tokio::join!(secret("/live").connect(&gateway), answers);
    drop(client.stream());
    gateway.log_line("client left").await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit_code().await, 0);
    let log = gateway.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("s3cret")).collect();
    assert!(told.iter().all(|line| line.contains("s3cret.example")), "{told:#?}");
    assert!(!log.contains("?s3cret"), "{log}");
}

#[tokio::test]
async fn sigquit_hands_the_sockets_to_a_new_process() {
    let origin = Origin::start();
    let mut gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    gateway.signal(Signal::QUIT);
    let _successor = Successor::of(&gateway.log_line("a new process serves").await);
    goes_on(client, clients_move(""), &mut gateway, &origin).await;
    let (mut client, mut body) = opened(Client::get("/new"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
}

#[tokio::test]
async fn a_successor_that_cannot_serve_changes_nothing() {
    let origin = Origin::start();
    let text = configuration("", [route("/*", &origin)]);
    let gateway = Gateway::start(&text).await;
    std::fs::write(gateway.config(), "nonsense").unwrap();
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    gateway.signal(Signal::QUIT);
    gateway.log_line("SIGQUIT: this process continues to serve").await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    joined(Client::get("/"), &gateway).await;
}
