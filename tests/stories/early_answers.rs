//! Origins that answer before they have read the request's body.

use crate::gateway::{Gateway, Route, route};
use crate::guard::guarded;
use crate::origin::Port;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The length of a body that does not fit into the buffers of all sockets between client and origin.
const BODY_BYTES: usize = 64 << 20;

/// The kernel gives up an origin that accepts nothing for 60 s. An answer must come before that.
const BEFORE_THE_KERNEL: Duration = Duration::from_secs(45);

const ANSWER: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno\n";

fn proxied(origin: &Port) -> Route {
    route("/*", origin).with("kind = \"proxy\"")
}

/// Takes one request and reads no more than its head.
async fn asked(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = guarded("a connection", listener.accept()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(guarded("a head", stream.read_u8()).await.unwrap());
    }
    stream
}

/// The bytes of a body that a client has sent so far.
type Sent = Arc<AtomicUsize>;

/// Resolves when the client has sent nothing for a while, because all buffers on the way are full.
async fn until_stuck(sent: &Sent) {
    let mut before = 0;
    loop {
        sleep(Duration::from_millis(500)).await;
        let now = sent.load(Ordering::Relaxed);
        if now == before && now > 0 {
            return;
        }
        before = now;
    }
}

/// Sends a head and a long body. The first half is for the response.
async fn uploading(gateway: SocketAddr, sent: &Sent) -> (OwnedReadHalf, JoinHandle<io::Result<OwnedWriteHalf>>) {
    let (reader, mut writer) = TcpStream::connect(gateway).await.unwrap().into_split();
    let sent = Arc::clone(sent);
    let upload = async move {
        writer
            .write_all(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY_BYTES}\r\n\r\n").as_bytes())
            .await?;
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..BODY_BYTES / piece.len() {
            writer.write_all(&piece).await?;
            sent.fetch_add(piece.len(), Ordering::Relaxed);
        }
        Ok(writer)
    };
    (reader, tokio::spawn(upload))
}

/// A client of HTTP/1.1 whose long body is stuck.
struct Stuck {
    gateway: Gateway,
    reader: OwnedReadHalf,
    upload: JoinHandle<io::Result<OwnedWriteHalf>>,
    origin: TcpStream,
}

async fn stuck() -> Stuck {
    let port = Port::reserve();
    let (listener, gateway) = (port.listen(), Gateway::with(proxied(&port)).await);
    let sent = Sent::default();
    let (reader, upload) = uploading(gateway.addr(), &sent).await;
    let origin = asked(&listener).await;
    until_stuck(&sent).await;
    Stuck { gateway, reader, upload, origin }
}

/// The bytes that the client receives until the body of the answer is complete.
async fn answer(reader: &mut OwnedReadHalf) -> Vec<u8> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nno\n") {
        assert_ne!(reader.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
    answer
}

#[tokio::test]
async fn an_answer_passes_while_the_body_is_stuck() {
    let Stuck { gateway: _gateway, mut reader, upload, mut origin } = stuck().await;
    origin.write_all(ANSWER).await.unwrap();
    let answer = timeout(BEFORE_THE_KERNEL, answer(&mut reader)).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
    upload.abort();
}

#[tokio::test]
async fn an_answer_passes_to_a_client_of_http2_while_the_body_is_stuck() {
    let port = Port::reserve();
    let (listener, gateway) = (port.listen(), Gateway::with(proxied(&port)).await);
    let stream = TcpStream::connect(gateway.addr()).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}/", gateway.addr())).body(()).unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    let sent = Sent::default();
    let total = Arc::clone(&sent);
    let upload = tokio::spawn(async move {
        loop {
            body.reserve_capacity(1 << 14);
            match std::future::poll_fn(|context| body.poll_capacity(context)).await {
                Some(Ok(most)) if body.send_data(vec![0; most].into(), false).is_ok() => {
                    total.fetch_add(most, Ordering::Relaxed);
                }
                _ => break,
            }
        }
    });
    let mut origin = asked(&listener).await;
    until_stuck(&sent).await;
    origin.write_all(ANSWER).await.unwrap();
    let response = timeout(BEFORE_THE_KERNEL, response).await.expect("an answer").unwrap();
    assert_eq!(response.status(), 401);
    let mut answer = response.into_body();
    assert_eq!(guarded("a body", answer.data()).await.unwrap().unwrap(), "no\n");
    upload.abort();
    driver.abort();
}

#[tokio::test]
async fn an_origin_that_sends_hints_and_rests_gets_the_whole_body() {
    let Stuck { gateway, mut reader, upload, mut origin } = stuck().await;
    origin.write_all(b"HTTP/1.1 103 Early Hints\r\nX-N: 1\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let mut received = 0;
    let mut piece = vec![0; 64 << 10];
    while received < BODY_BYTES {
        let read = guarded("the body", origin.read(&mut piece)).await.unwrap();
        assert_ne!(read, 0, "{received} {}", gateway.log());
        received += read;
    }
    origin.write_all(ANSWER).await.unwrap();
    guarded("an answer", answer(&mut reader)).await;
    upload.await.unwrap().unwrap();
}
