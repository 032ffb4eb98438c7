//! An `EventSource` of a page on another origin, whose stream's route is full.

use crate::browser::{Browser, guarded};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// The time between two events of the origin.
const PERIOD: Duration = Duration::from_millis(50);

/// The page. It notes each event, and the state of its `EventSource` at each error: 0 is reconnecting, 2 is closed.
const PAGE: &str = "<!doctype html><title>events</title><script>
const seen = [], states = [];
const source = new EventSource(new URLSearchParams(location.search).get('stream'));
source.onmessage = (event) => seen.push(event.data);
source.onerror = () => states.push(source.readyState);
</script>";

/// An origin that serves the page, and at `/events` a stream.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket));
        }
    });
    address
}

async fn serve(socket: TcpStream) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && socket.read_line(&mut head).await? > 0 {}
    if !head.starts_with("GET /events ") {
        let length = PAGE.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close");
        return socket.write_all(format!("{head}\r\n\r\n{PAGE}").as_bytes()).await;
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n").await?;
    for n in 1_u64.. {
        socket.write_all(format!("id: {n}\ndata: {n}\n\n").as_bytes()).await?;
        sleep(PERIOD).await;
    }
    Ok(())
}

/// A gateway with room for one client, and the configuration that it runs with.
async fn gateway(origin: SocketAddr, refuse: &str) -> (Child, SocketAddr, NamedTempFile) {
    let mut file = NamedTempFile::new().unwrap();
    write!(
        file,
        "[server]\nlisten = ['127.0.0.1:0']\n[server.limits]\nrefuse = '{refuse}'\n[[routes]]\npath = '/events'\n\
         origin = 'http://{origin}'\ncors.origins = ['*']\nlimits.subscribers = 1\n"
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_manifold"));
    command.arg("-c").arg(file.path()).env_remove("RUST_LOG").stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("a line that says where it listens");
            if let Some((_, address)) = line.split_once("listening addr=") {
                break address.split(' ').next().unwrap().parse().unwrap();
            }
        }
    };
    let address = guarded("the gateway", listening).await;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address, file)
}

/// A client that has the only place.
async fn only_client(gateway: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(gateway).await.unwrap();
    socket.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut received = Vec::new();
    while !received.windows(6).any(|bytes| bytes == b"data: ") {
        let read = guarded("an event", socket.read_buf(&mut received)).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&received));
    }
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_that_is_refused_softly_comes_back_and_one_that_gets_a_status_does_not() {
    let origin = origin().await;
    for refuse in ["retry", "status"] {
        let (_child, gateway, _config) = gateway(origin, refuse).await;
        let first = only_client(gateway).await;
        let browser = Browser::start().await;
        browser.open(&format!("http://{origin}/?stream=http://{gateway}/events")).await;
        browser.wait_for("return states.length > 0").await;
        let state = if refuse == "retry" { "EventSource.CONNECTING" } else { "EventSource.CLOSED" };
        assert_eq!(
            browser.script(&format!("return states[0] === {state} && seen.length === 0")).await,
            true,
            "{refuse}"
        );
        drop(first);
        if refuse == "retry" {
            browser.wait_for("return seen.length > 2").await;
            let stayed = "return source.readyState === EventSource.OPEN && !states.includes(EventSource.CLOSED)";
            assert_eq!(browser.script(stayed).await, true);
        } else {
            assert_eq!(browser.script("return source.readyState === EventSource.CLOSED").await, true);
        }
        browser.quit().await;
    }
}
