//! The hand-over of a client to the engine: what the client still holds, and what it does not.

use super::transport;
use crate::config::{Config, Networks, SystemSources};
use crate::counters::RouteCounters;
use crate::fanout::{Engine, Sending};
use crate::gateway::{CurrentRouting, Front, FrontOptions, Gateway, Lifecycle, RouteIds, Routing};
use crate::hub::{Backfilling, End, Hub, Open, Opening, Publisher, Sharing, StreamRequest};
use crate::replay::Continuation;
use crate::sse::Event;
use crate::upstream::Connector;
use http::HeaderMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Longer than any wait takes. A test that waits this long fails.
const NEVER: Duration = Duration::from_secs(60);

/// Sends the publisher of each stream to the test.
struct Opened(mpsc::Sender<Publisher>);

impl Open for Opened {
    fn open(&self, _: Opening, publisher: Publisher) {
        self.0.try_send(publisher).unwrap();
    }

    fn backfill(&self, _: StreamRequest, _: Backfilling) {}
}

/// A front with an engine, and the socket of its one client.
struct Stage {
    client: TcpStream,
    front: Arc<Front>,
    listener: TcpListener,
    opened: mpsc::Receiver<Publisher>,
    alive: mpsc::Receiver<()>,
    counters: Arc<RouteCounters>,
    engine: Engine,
    _stop: watch::Sender<bool>,
    _lifecycle: watch::Sender<Lifecycle>,
}

impl Stage {
    async fn new() -> Self {
        let text = "[[routes]]\npath = '/*'\norigin = 'http://127.0.0.1:1'";
        let config = Config::parse(text, &SystemSources::beside("x".as_ref())).unwrap();
        let routing = Routing::new(config.routes.routes(), Networks::default(), &mut RouteIds::default());
        let (_, counters) = routing.counters().remove(0);
        let (publishers, opened) = mpsc::channel(10);
        let (lifecycle, watched) = watch::channel(Lifecycle::Running);
        let engine = Engine::start(NonZeroUsize::MIN, Sending::Loop).unwrap();
        let hub = Hub::new(Arc::new(Opened(publishers)));
        let gateway = Gateway::new(CurrentRouting::new(routing), hub, Connector::new(), Some(engine.clone()), watched);
        let (sender, alive) = mpsc::channel(1);
        let options = FrontOptions { max_connections: 1, ..FrontOptions::default() };
        let (stop, stopping) = watch::channel(false);
        let front = Arc::new(Front::new(options, gateway, sender, stopping));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        Self { client, front, listener, opened, alive, counters, engine, _stop: stop, _lifecycle: lifecycle }
    }

    /// Serves the next connection until its session has ended.
    async fn session(&self) {
        let (accepted, _) = self.listener.accept().await.unwrap();
        self.front.accept(transport(accepted)).unwrap().await.unwrap();
    }

    /// Serves the client's request until it is handed over, while the origin answers.
    async fn handed_over(&mut self, request: &[u8]) -> Publisher {
        self.client.write_all(request).await.unwrap();
        let answered = async {
            let (accepted, _) = self.listener.accept().await.unwrap();
            self.front.accept(transport(accepted)).unwrap().await.unwrap();
        };
        let opened = async {
            let publisher = self.opened.recv().await.unwrap();
            assert!(publisher.connected(&HeaderMap::new(), Sharing::Shared));
            publisher
        };
        let ((), publisher) = timeout(NEVER, async { tokio::join!(answered, opened) }).await.unwrap();
        publisher
    }

    /// Reads until the client has received `text`.
    async fn heard(&mut self, text: &str) -> String {
        let mut heard = String::new();
        while !heard.contains(text) {
            let mut buffer = [0; 1000];
            let n = timeout(NEVER, self.client.read(&mut buffer)).await.unwrap().unwrap();
            assert!(n > 0, "ended after {heard:?}");
            heard += std::str::from_utf8(&buffer[..n]).unwrap();
        }
        heard
    }
}

fn publish(publisher: &Publisher, data: &str) {
    publisher.append(&[Event::of_type("", data.to_owned())], &mut Continuation::fresh(false));
}

#[tokio::test]
async fn the_session_ends_and_the_client_stays_with_its_place() {
    let mut stage = Stage::new().await;
    let publisher = stage.handed_over(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let head = stage.heard("2\r\n:\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"), "{head}");
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n") && head.contains("\r\nDate: "), "{head}");
    assert!(head.contains("\r\nConnection: close\r\n\r\n"), "{head}");
    publish(&publisher, "1");
    stage.heard("data: 1\n\n\r\n").await;
    assert_eq!((stage.counters.subscribers.value(), stage.counters.hand_overs_failed.value()), (1, 0));

    // The client holds the only place.
    let mut second = TcpStream::connect(stage.listener.local_addr().unwrap()).await.unwrap();
    second.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let refused = async {
        second.read_to_string(&mut answer).await.unwrap();
        drop(second);
    };
    timeout(NEVER, async { tokio::join!(stage.session(), refused) }).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");

    // The client holds the gateway until it has left.
    let Stage { client, front, mut alive, engine, .. } = stage;
    drop(front);
    assert!(alive.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Empty));
    drop(publisher);
    drop(client);
    assert_eq!(timeout(NEVER, alive.recv()).await.unwrap(), None);
    drop(engine);
}

#[tokio::test]
async fn after_an_orderly_end_the_connection_serves_the_next_request() {
    let mut stage = Stage::new().await;
    let mut request = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    for (n, next) in [b"GET /b".as_slice(), b"", b""].into_iter().enumerate() {
        // The rest of this request was sent during the previous response.
        let publisher = if n == 0 {
            stage.handed_over(&[&request, next].concat()).await
        } else {
            stage.client.write_all(if n == 1 { b" HTTP/1.1\r\nHost: x\r\n\r\n" } else { &request }).await.unwrap();
            let publisher = timeout(NEVER, stage.opened.recv()).await.unwrap().unwrap();
            assert!(publisher.connected(&HeaderMap::new(), Sharing::Shared));
            publisher
        };
        let head = stage.heard("2\r\n:\n\r\n").await;
        assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{head}");
        publish(&publisher, "1");
        publisher.close(End::OriginClosed, Duration::ZERO).await;
        stage.heard("data: 1\n\n\r\n0\r\n\r\n").await;
        request = format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    }
    assert_eq!(stage.counters.subscribers_total.value(), 3);
}

#[tokio::test]
async fn a_request_with_a_body_stays_in_its_session() {
    let mut stage = Stage::new().await;
    stage.client.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n").await.unwrap();
    let told = async {
        let publisher = stage.opened.recv().await.unwrap();
        assert!(publisher.connected(&HeaderMap::new(), Sharing::Shared));
        publish(&publisher, "1");
        let mut heard = String::new();
        while !heard.contains("data: 1\n") {
            let mut buffer = [0; 1000];
            let n = stage.client.read(&mut buffer).await.unwrap();
            heard += std::str::from_utf8(&buffer[..n]).unwrap();
        }
        publisher
    };
    let (accepted, _) = stage.listener.accept().await.unwrap();
    let session = stage.front.accept(transport(accepted)).unwrap();
    let session = async {
        session.await.unwrap();
        panic!("the session ended under its client");
    };
    tokio::select! {
        told = timeout(NEVER, told) => drop(told.unwrap()),
        () = session => {}
    }
}
