//! The first bytes of a connection, with real sockets and a paused clock. The clock advances when no task can run.

use super::transport;
use crate::config::Http2By;
use crate::config::Networks;
use crate::gateway::{CurrentRouting, Front, FrontOptions, Gateway, Lifecycle, RouteIds, Routing};
use crate::hub::{Backfilling, Hub, Open, Opening, Publisher, StreamRequest};
use crate::upstream::Connector;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

pub(super) const OPTIONS: FrontOptions = FrontOptions {
    head_bytes: 1000,
    head_time: Duration::from_secs(20),
    keepalive: Duration::from_secs(75),
    max_connections: 100,
    proxy_protocol: false,
    http2: Http2By::Session,
};

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// The preface, and the empty SETTINGS that follow it.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

struct Nothing;

impl Open for Nothing {
    fn open(&self, _: Opening, _: Publisher) {}

    fn backfill(&self, _: StreamRequest, _: Backfilling) {}
}

/// Longer than any wait on the paused clock. What has not happened by then never happens.
pub(super) const NEVER: Duration = Duration::from_secs(10_000);

/// A client's socket, and the front that serves it.
pub(super) struct Stage {
    pub(super) client: TcpStream,
    served: JoinHandle<()>,
    pub(super) begun: Instant,
    pub(super) stop: watch::Sender<bool>,
    alive: mpsc::Receiver<()>,
    _lifecycle: watch::Sender<Lifecycle>,
}

impl Stage {
    pub(super) async fn new(options: FrontOptions) -> Self {
        let (lifecycle, watched) = watch::channel(Lifecycle::Running);
        let hub = Hub::new(Arc::new(Nothing));
        let routing = CurrentRouting::new(Routing::new(&[], Networks::default(), &mut RouteIds::default()));
        let gateway = Gateway::new(routing, hub, Connector::new(), None, watched);
        let (sender, alive) = mpsc::channel(1);
        let (stop, stopping) = watch::channel(false);
        let front = Arc::new(Front::new(options, gateway, sender, stopping));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let served = front.accept(transport(accepted)).unwrap();
        Self { client, served, begun: Instant::now(), stop, alive, _lifecycle: lifecycle }
    }

    /// Sends the pieces one second apart, and reads to the end. Returns the status line and the seconds that it took.
    async fn answer_to(&mut self, pieces: &[&[u8]]) -> (String, u64) {
        let (mut reader, mut writer) = self.client.split();
        let write = async {
            for (n, piece) in pieces.iter().enumerate() {
                if n > 0 {
                    sleep(Duration::from_secs(1)).await;
                }
                // The front may have closed the connection.
                if writer.write_all(piece).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        tokio::select! {
            () = write => {}
            read = timeout(NEVER, reader.read_to_end(&mut answer)) => {
                read.expect("an end").expect("and no reset");
            }
        }
        let answer = String::from_utf8(answer).unwrap();
        (answer.lines().next().unwrap_or_default().to_owned(), self.begun.elapsed().as_secs())
    }
}

fn expect(status: &str, secs: u64) -> (String, u64) {
    (status.to_owned(), secs)
}

#[tokio::test(start_paused = true)]
async fn a_head_is_served_in_whatever_pieces_it_comes() {
    let bytes: Vec<&[u8]> = HEAD.chunks(4).collect();
    let secs = bytes.len() as u64 - 1;
    assert!(secs < 20);
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&bytes).await, expect("HTTP/1.1 404 Not Found", secs));
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&[HEAD]).await, expect("HTTP/1.1 404 Not Found", 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_closed_without_a_word() {
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&[]).await, expect("", 20));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_in_time_is_told_so_however_it_drips() {
    for part in [&HEAD[..1], &HEAD[..HEAD.len() - 1], b"\r\n", &PREFACE[..3]] {
        let answer = Stage::new(OPTIONS).await.answer_to(&[part]).await;
        assert_eq!(answer, expect("HTTP/1.1 408 Request Timeout", 20), "{part:?}");
    }
    let drip: Vec<&[u8]> = HEAD.chunks(1).collect();
    assert!(drip.len() > 25);
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&drip).await, expect("HTTP/1.1 408 Request Timeout", 20));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_large_is_refused_and_the_answer_arrives() {
    let too_large = expect("HTTP/1.1 431 Request Header Fields Too Large", 0);
    let endless = [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'x'; 200_000]].concat();
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&[&endless]).await, too_large);
    let endless_line = [b"GET /".to_vec(), vec![b'x'; 200_000]].concat();
    let too_long = expect("HTTP/1.1 414 URI Too Long", 0);
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&[&endless_line]).await, too_long);
    let padded = |len: usize| {
        let rest = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n", "x".repeat(len - rest))
    };
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&[padded(1001).as_bytes()]).await, too_large);
    let fits = Stage::new(OPTIONS).await.answer_to(&[padded(1000).as_bytes()]).await;
    assert_eq!(fits, expect("HTTP/1.1 404 Not Found", 0));
}

#[tokio::test(start_paused = true)]
async fn the_preface_of_http2_is_understood_in_pieces() {
    for size in [1, 5, 24, PREFACE.len()] {
        let mut stage = Stage::new(FrontOptions { head_time: Duration::from_secs(100), ..OPTIONS }).await;
        for piece in PREFACE.chunks(size) {
            stage.client.write_all(piece).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        let mut frame = [0; 9];
        timeout(NEVER, stage.client.read_exact(&mut frame)).await.expect("an answer").unwrap();
        assert_eq!(frame[3], 4, "SETTINGS, in pieces of {size}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_preface_after_a_request_is_refused_in_the_protocol_of_the_request() {
    let mut stage = Stage::new(OPTIONS).await;
    stage.client.write_all(&[b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", PREFACE].concat()).await.unwrap();
    let mut answers = String::new();
    timeout(NEVER, stage.client.read_to_string(&mut answers)).await.expect("an end").expect("and no reset");
    let second = answers.rsplit("HTTP/1.1 ").next().unwrap();
    assert!(answers.starts_with("HTTP/1.1 404 ") && second.starts_with("400 "), "{answers}");
    assert!(second.ends_with("HTTP/2 must begin with the first bytes of a connection\n"), "{answers}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kept_but_not_used_is_closed() {
    let kept = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&[kept]).await, expect("HTTP/1.1 404 Not Found", 75));
    assert_eq!(Stage::new(OPTIONS).await.answer_to(&[kept, b"\r\n"]).await, expect("HTTP/1.1 404 Not Found", 75));
}

#[tokio::test(start_paused = true)]
async fn the_limits_hold_for_every_head_of_a_connection() {
    let kept = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let endless = [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'x'; 2000]].concat();
    for (second, status, secs) in
        [(&b"GET / HT"[..], "408 Request Timeout", 21), (&endless, "431 Request Header Fields Too Large", 1)]
    {
        let mut stage = Stage::new(OPTIONS).await;
        stage.client.write_all(kept).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        stage.client.write_all(second).await.unwrap();
        let mut heard = String::new();
        timeout(NEVER, stage.client.read_to_string(&mut heard)).await.expect("an end").unwrap();
        let lines: Vec<_> = heard.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
        assert_eq!(lines, ["HTTP/1.1 404 Not Found", &format!("HTTP/1.1 {status}")]);
        assert_eq!(stage.begun.elapsed().as_secs(), secs);
    }
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_order_and_a_body_that_nobody_wants_ends_the_connection() {
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nGET /";
    let mut stage = Stage::new(OPTIONS).await;
    stage.client.write_all(format!("{get}\r\n{get}{post}{get}").as_bytes()).await.unwrap();
    let mut heard = String::new();
    timeout(NEVER, stage.client.read_to_string(&mut heard)).await.expect("an end").unwrap();
    let said: Vec<_> = heard.lines().filter_map(|line| line.strip_prefix("Connection: ")).collect();
    assert_eq!(said, ["keep-alive", "keep-alive", "close"], "{heard}");
    assert_eq!(heard.matches("\r\nDate: ").count(), 3, "{heard}");
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_no_place_is_told_to_come_again() {
    let full = FrontOptions { max_connections: 0, ..OPTIONS };
    let answer = Stage::new(full).await.answer_to(&[HEAD]).await;
    assert_eq!(answer, expect("HTTP/1.1 503 Service Unavailable", 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_closes_who_waits_between_two_requests_and_gives_a_new_connection_a_moment() {
    for (sent, lasts) in [(&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], 0), (b"", 1)] {
        let mut stage = Stage::new(OPTIONS).await;
        stage.client.write_all(sent).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        stage.stop.send_replace(true);
        timeout(NEVER, stage.served).await.unwrap().unwrap();
        assert_eq!(stage.begun.elapsed().as_secs(), 5 + lasts, "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_on_its_way_when_a_drain_begins_is_answered() {
    for cut in [0, 10] {
        let mut stage = Stage::new(OPTIONS).await;
        let kept = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        stage.client.write_all(&kept[..cut]).await.unwrap();
        stage.stop.send_replace(true);
        sleep(Duration::from_millis(900)).await;
        stage.client.write_all(&kept[cut..]).await.unwrap();
        let mut heard = String::new();
        timeout(NEVER, stage.client.read_to_string(&mut heard)).await.expect("an end").unwrap();
        assert!(heard.starts_with("HTTP/1.1 404 ") && heard.contains("\r\nConnection: close\r\n"), "{heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_over_is_known_to_be() {
    let mut stage = Stage::new(OPTIONS).await;
    stage.answer_to(&[HEAD]).await;
    drop(stage.client);
    stage.served.await.unwrap();
    assert_eq!(stage.alive.recv().await, None);
}
