//! Clients that read slowly, or stop reading in the middle of an event.

use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::Origin;
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
