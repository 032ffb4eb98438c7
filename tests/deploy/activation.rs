//! systemd and the service: socket activation by `systemd-socket-activate`, the notification socket, and the commands
//! that stop the service.

use crate::checkout::{succeeds, text};
use crate::client::{Client, Connection, End, Target};
use crate::origin::{Origin, Port};
use crate::process::{BINARY, Manifold};
use crate::unit::{SERVICE, SOCKET, start_arguments, values};
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

/// The table in the comment of docker/manifold.socket: what systemd listens on, and the matching address of the
/// configuration.
fn pairs() -> Vec<(String, String)> {
    let text = text(SOCKET);
    let rows = text.lines().filter_map(|line| line.strip_prefix("#   ListenStream="));
    rows.map(|row| {
        let (socket, listen) = row.split_once("listen = ").unwrap();
        (socket.trim().to_owned(), listen.to_owned())
    })
    .collect()
}

/// Starts manifold by a client's connection to a socket of systemd. The service serves that connection.
async fn activated(socket: &str, listen: &str, target: Target) {
    let origin = Origin::start();
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("manifold.toml");
    let routes = format!("[[routes]]\npath = \"/*\"\norigin = \"{}\"\n", origin.url());
    std::fs::write(&config, format!("[server]\nlisten = {listen}\n{routes}")).unwrap();

    let mut command = Command::new("systemd-socket-activate");
    command.arg("-l").arg(socket).arg("-E").arg("RUST_LOG=info").arg(BINARY).args(start_arguments(&config));
    let mut manifold = Manifold::run(command);
    manifold.logged("Listening on ").await;
    assert!(!manifold.log().contains("listening addr="), "it runs before a client comes:\n{}", manifold.log());

    // The connection is made while systemd listens. It is in the queue of that socket, and in no other.
    let connection = Connection::open(target).await;
    let (client, mut body) = tokio::join!(Client::get("/").header("Host", "localhost").on(connection), origin.stream());
    body.event("data: through the socket of systemd\n\n").await;
    assert_eq!(client.stream().next_data().await, "through the socket of systemd");
    manifold.terminate().await;
}

#[tokio::test]
async fn every_kind_of_address_in_the_unit_is_passed_to_manifold() {
    let pairs = pairs();
    assert_eq!(pairs.len(), 3, "{pairs:?}");
    for (socket, listen) in pairs {
        if socket.starts_with('/') {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("manifold.sock");
            let here = |text: &str| text.replace(&socket, path.to_str().unwrap());
            activated(&here(&socket), &here(&listen), Target::from(path.as_path())).await;
            continue;
        }
        let port = Port::reserve();
        let here = |text: &str| text.replace("8080", &port.addr().port().to_string());
        assert_ne!(here(&socket), socket);
        // The socket of [::] takes connections by IPv4 as well.
        activated(&here(&socket), &here(&listen), port.addr().into()).await;
    }
}

/// The messages that the service sends to systemd's notification socket.
#[tokio::test]
async fn it_tells_systemd_when_it_serves_and_when_it_drains() {
    let (origin, port, folder) = (Origin::start(), Port::reserve(), TempDir::new().unwrap());
    let config = folder.path().join("manifold.toml");
    let routes = format!("[[routes]]\npath = \"/*\"\norigin = \"{}\"\n", origin.url());
    std::fs::write(&config, format!("[server]\nlisten = [\"{}\"]\n{routes}", port.addr())).unwrap();
    let (path, systemd) = notify_socket(folder.path());
    let mut command = Command::new(BINARY);
    command.args(start_arguments(&config)).env("NOTIFY_SOCKET", path);
    let manifold = Manifold::run(command);
    said(&systemd, "READY=1").await;
    let (client, _body) = tokio::join!(Client::get("/").connect(port.addr()), origin.stream());
    let client = client.stream();
    let ((), ()) = tokio::join!(manifold.terminate(), said(&systemd, "STOPPING=1"));
    drop(client);
}

#[tokio::test]
async fn the_commands_that_stop_it_wait_until_its_clients_are_sent_away() {
    let (origin, folder) = (Origin::start(), TempDir::new().unwrap());
    let config = folder.path().join("manifold.toml");
    let routes = format!("[[routes]]\npath = \"/*\"\norigin = \"{}\"\n", origin.url());
    std::fs::write(&config, format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{routes}")).unwrap();
    let mut command = Command::new(BINARY);
    command.args(start_arguments(&config));
    let mut manifold = Manifold::run(command);
    let address = manifold.logged("] listening addr=").await.parse::<std::net::SocketAddr>().unwrap();
    let (client, _body) = tokio::join!(Client::get("/").connect(address), origin.stream());
    let mut client = client.stream();

    let process = manifold.pid();
    let pid = process.as_raw_nonzero();
    let stop = async {
        for line in values(SERVICE, "ExecStop") {
            // systemd expands $NAME as a word of its own, and ${NAME} also as a part of a word.
            let words = line.trim_start_matches('-').split(' ').map(|word| match word {
                "$MAINPID" => pid.to_string(),
                _ => word.replace("${MAINPID}", &pid.to_string()),
            });
            let words: Vec<_> = words.collect();
            succeeds(Command::new(&words[0]).args(&words[1..]), "").await;
        }
        assert!(rustix::process::test_kill_process(process).is_err(), "the commands end, and the process runs");
    };
    let ((), (), end) = tokio::join!(stop, manifold.ends_well(), client.ended());
    assert_eq!(end, End::Orderly);
}

fn notify_socket(folder: &Path) -> (std::path::PathBuf, tokio::net::UnixDatagram) {
    let path = folder.join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    (path, socket)
}

/// Waits for a message that holds this line.
async fn said(systemd: &tokio::net::UnixDatagram, line: &str) {
    let mut message = [0; 4096];
    let look = async {
        loop {
            let length = systemd.recv(&mut message).await.unwrap();
            if std::str::from_utf8(&message[..length]).unwrap().lines().any(|said| said == line) {
                return;
            }
        }
    };
    crate::guard::guarded(format!("{line} at the notification socket"), look).await
}
