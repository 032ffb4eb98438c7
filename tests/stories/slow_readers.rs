//! Clients that read slowly, or stop reading in the middle of an event.

use crate::bounds::holds_at_most;
use crate::client::{Client, End, Response};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::Origin;
use crate::stage::{joined, opened};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A client that reads only as much as it is told to. The kernel holds little for it.
struct Slow(TcpStream);

impl Slow {
    async fn open(path: &str, gateway: &Gateway) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(gateway.addr()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        Self(stream)
    }

    /// Reads this many bytes.
    async fn read(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        guarded("bytes for a slow client", self.0.read_exact(&mut read)).await?;
        Ok(read)
    }
}

/// The gateway writes in pieces. Here the client takes far longer for a piece than it may stall, and takes some of it
/// all the while.
#[tokio::test]
async fn a_client_that_always_takes_a_little_does_not_stall() {
    tokio::join!(takes_a_little(""), takes_a_little("shards = \"off\""));
}

async fn takes_a_little(server: &str) {
    const SIP: usize = 1024;
    // A busy machine may keep a client from reading for as long as a client may stall. Then the test tries again with
    // a new client.
    for _ in 0..8 {
        let origin = Origin::start();
        let options = "client.stall_secs = 0.5\nclient.heartbeat_secs = \"off\"";
        let gateway = Gateway::start(&configuration(server, [route("/*", &origin).with(options)])).await;
        let (mut client, mut body) = tokio::join!(Slow::open("/", &gateway), origin.stream());
        body.event(&format!("data: {}\n\n", "x".repeat(1 << 20))).await;
        let mut sips = 0;
        while sips < 100 && client.read(SIP).await.is_ok() {
            sips += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if sips == 100 {
            return;
        }
    }
    panic!("each client was closed {server}");
}

const MIB: usize = 1 << 20;

/// Clients that stop reading, each in the middle of another event of a megabyte.
const STUCK: usize = 60;

/// What the process may hold after that: what slow clients may keep together, and the buffers of connections. It is far
/// less than an event for each of the clients.
const STUCK_BYTES: usize = 24 * MIB;

#[tokio::test]
async fn clients_that_stop_reading_in_the_middle_of_events_are_closed_when_they_fall_off_the_log() {
    for server in ["", "io_uring = \"off\"", "shards = \"off\""] {
        let (gateway, mut clients) = stuck(server, "disconnect", || Client::get("/")).await;
        // Of the last two, the next event is held or has not come.
        gateway.log_lines("why=lag", STUCK - 2).await;
        assert!([End::Orderly, End::Reset, End::Cut].contains(&clients[0].ended().await), "{server}");
    }
}

#[tokio::test]
async fn clients_that_stop_reading_keep_little_together_and_who_keeps_its_event_gets_all_of_it() {
    for server in ["", "io_uring = \"off\"", "shards = \"off\""] {
        let (_gateway, mut clients) = stuck(server, "skip", || Client::get("/")).await;
        assert_eq!(clients[0].next_data().await.len(), MIB, "{server}");
        assert_eq!(clients[0].next_event().await.kind, "gap", "{server}");
    }
}

#[tokio::test]
async fn streams_of_http2_whose_clients_stop_reading_keep_little_too() {
    let (first, mut clients) = stuck("", "skip", || Client::get("/").h2()).await;
    assert_eq!(clients[0].next_data().await.len(), MIB);
    assert_eq!(clients[0].next_event().await.kind, "gap");
    // The next one has the machine for itself.
    drop((first, clients));
    let (gateway, _clients) = stuck("", "disconnect", || Client::get("/").h2()).await;
    // Of the last two, the next event is held or has not come.
    gateway.log_lines("why=lag", STUCK - 2).await;
}

/// A gateway that has given each of its clients the beginning of another event, and holds no more than it may.
async fn stuck(server: &str, on_lag: &str, client: fn() -> Client<'static>) -> (Gateway, Vec<Response>) {
    let origin = Origin::start();
    let options = format!(
        "client.on_lag = \"{on_lag}\"\nclient.stall_secs = 600\nreplay.events = 1\nupstream.max_event_bytes = \"2MiB\""
    );
    let server = format!("{server}\nreplay_bytes = \"64MiB\"");
    let gateway = Gateway::start(&configuration(&server, [route("/*", &origin).with(&options)])).await;
    let (mut reads, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let event = format!("data: {}\n\n", "x".repeat(MIB));
    body.event(&event).await;
    reads.next_event().await;
    let before = gateway.resident();
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        stuck.push(joined(client().small_receive_buffer(), &gateway).await);
        body.event(&event).await;
        reads.next_event().await;
    }
    holds_at_most(&gateway, before + STUCK_BYTES).await;
    (gateway, stuck)
}
