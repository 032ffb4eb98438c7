//! Requests that are not what a gateway hopes for. Each has an answer, or its connection is closed.

use super::Failure;
use super::clients::random;
use super::connection::Doors;
use super::credentials::token;
use super::record::Record;
use rustix::net::sockopt::set_socket_linger;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long an answer may take. A head that never ends is given up after `head_secs`, which is 20 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent, and the beginnings of what may be answered. Without any, the connection must be closed.
struct Shape {
    name: &'static str,
    bytes: Vec<u8>,
    over_tls: bool,
    answers: &'static [&'static str],
}

/// What is no request, or not all of one.
const NO_REQUEST: &[&str] = &["HTTP/1.1 400", "HTTP/1.1 408"];

fn shapes() -> Vec<Shape> {
    let shape = |name, bytes: &str, answers| Shape { name, bytes: bytes.as_bytes().to_vec(), over_tls: false, answers };
    let head = |lines: &str| format!("GET /ids/0 HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let forged = token("/tokens/0", 60, "another secret");
    let noise = (0..2_000).map(|_| fastrand::u8(..)).collect::<Vec<_>>();
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    frames.extend_from_slice(&noise);
    vec![
        shape("a field too long", &head(&format!("A: {}\r\n", "a".repeat(100_000))), &["HTTP/1.1 431"]),
        shape("two lengths", &head("Content-Length: 1\r\nContent-Length: 2\r\n"), &["HTTP/1.1 400"]),
        shape("no host", "GET /ids/0 HTTP/1.1\r\nConnection: close\r\n\r\n", &["HTTP/1.1 400"]),
        shape("dot segments", "GET /ids/../a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &["HTTP/1.1 400"]),
        shape("no route", "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &["HTTP/1.1 404"]),
        shape("a method", "PUT /ids/0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &["HTTP/1.1 405"]),
        shape("no token", "GET /tokens/0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &["HTTP/1.1 401"]),
        shape(
            "a forged token",
            &format!(
                "GET /tokens/0 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {forged}\r\nConnection: close\r\n\r\n"
            ),
            &["HTTP/1.1 401"],
        ),
        shape(
            "a forged ticket",
            "GET /tokens/0?ticket=AZ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &["HTTP/1.1 401"],
        ),
        shape("half a head", "GET /ids/0 HTTP/1.1\r\nHos", NO_REQUEST),
        Shape { name: "noise", bytes: noise.clone(), over_tls: false, answers: NO_REQUEST },
        Shape { name: "noise for TLS", bytes: noise, over_tls: true, answers: &["\u{15}\u{3}", "HTTP/1.1 400"] },
        // The settings of the server come first, whatever follows.
        Shape { name: "noise after the preface", bytes: frames, over_tls: false, answers: &["\0\0"] },
    ]
}

/// Sends one after another, until it is dropped.
pub(crate) async fn send(doors: Doors, record: Arc<Record>) {
    loop {
        let mut shapes = shapes();
        let shape = shapes.swap_remove(fastrand::usize(..shapes.len()));
        let name = shape.name;
        match one(&doors, shape).await {
            Ok(()) => record.count("bad requests"),
            Err(error) => record.fault(format!("bad request, {name}: {error}")),
        }
        if let Err(error) = cut(&doors).await {
            record.fault(format!("a client that resets: {error}"));
        }
        record.count("clients that reset");
        sleep(random(20, 300)).await;
    }
}

async fn one(doors: &Doors, shape: Shape) -> Result<(), Failure> {
    let mut socket = TcpStream::connect(if shape.over_tls { doors.tls } else { doors.clear }).await?;
    // The gateway may have closed the connection before it has read all.
    socket.write_all(&shape.bytes).await.unwrap_or_default();
    let mut answer = Vec::new();
    let mut end = Ok(1);
    while answer.len() < 65_536 && matches!(end, Ok(1..)) {
        end = timeout(PATIENCE, socket.read_buf(&mut answer)).await.map_err(|_| "no end in time")?;
    }
    let is_known = shape.answers.iter().any(|answers| answer.starts_with(answers.as_bytes()));
    let is_closed = answer.is_empty();
    if is_known || is_closed {
        return Ok(());
    }
    let beginning = String::from_utf8_lossy(&answer).chars().take(60).collect::<String>();
    Err(format!("answered {beginning:?}").into())
}

/// A client that resets its connection in the middle of a stream.
async fn cut(doors: &Doors) -> Result<(), Failure> {
    let mut socket = TcpStream::connect(doors.clear).await?;
    socket.write_all(b"GET /ids/0 HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    let mut some = [0; 256];
    if timeout(PATIENCE, socket.read(&mut some)).await.map_err(|_| "no head in time")?? == 0 {
        return Err("closed without an answer".into());
    }
    sleep(random(0, 500)).await;
    set_socket_linger(&socket, Some(Duration::ZERO))?;
    Ok(())
}
