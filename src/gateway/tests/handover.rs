//! A client leaves its session for the engine: what holds it then, and what does not.

use crate::config::{Config, SystemSources};
use crate::counters::RouteCounters;
use crate::fanout::Engine;
use crate::gateway::{Front, FrontOptions, Gateway, Lifecycle, Served};
use crate::hub::{Backfilling, Hub, Open, Opening, Publisher, RouteId, Sharing, StreamRequest};
use crate::replay::Continuation;
use crate::sse::Event;
use crate::upstream::Connector;
use http::HeaderMap;
use pingora::apps::ServerApp;
use pingora::protocols::l4::stream::Stream as L4Stream;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// A test that waits longer has failed.
const NEVER: Duration = Duration::from_secs(60);

/// Gives the publisher of each stream to the test.
struct Opened(mpsc::Sender<Publisher>);

impl Open for Opened {
    fn open(&self, _: Opening, publisher: Publisher) {
        self.0.try_send(publisher).unwrap();
    }

    fn backfill(&self, _: StreamRequest, _: Backfilling) {}
}

/// A front with an engine, and its one client's socket.
struct Stage {
    client: TcpStream,
    front: Arc<Front>,
    listener: TcpListener,
    opened: mpsc::Receiver<Publisher>,
    alive: mpsc::Receiver<()>,
    counters: Arc<RouteCounters>,
    stopping: watch::Receiver<bool>,
    engine: Engine,
    _stop: watch::Sender<bool>,
    _lifecycle: watch::Sender<Lifecycle>,
}

impl Stage {
    async fn new() -> Self {
        let text = "[[routes]]\npath = '/*'\norigin = 'http://127.0.0.1:1'";
        let config = Config::parse(text, &SystemSources::beside("x".as_ref())).unwrap();
        let counters = Arc::new(RouteCounters::default());
        let route = Arc::clone(&config.routes.routes()[0]);
        let served = Arc::new(Served::new(RouteId(0), route, Arc::clone(&counters)));
        let (publishers, opened) = mpsc::channel(10);
        let (lifecycle, watched) = watch::channel(Lifecycle::Running);
        let engine = Engine::start(NonZeroUsize::MIN).unwrap();
        let hub = Hub::new(Arc::new(Opened(publishers)));
        let gateway = Gateway::new(config.routes, vec![served], hub, Connector::new(), Some(engine.clone()), watched);
        let (sender, alive) = mpsc::channel(1);
        let options = FrontOptions { max_connections: 1, ..FrontOptions::default() };
        let front = Arc::new(Front::new(options, gateway, sender));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        Self { client, front, listener, opened, alive, counters, stopping, engine, _stop: stop, _lifecycle: lifecycle }
    }

    /// Serves the next connection until its session is over.
    async fn session(&self) {
        let (accepted, _) = self.listener.accept().await.unwrap();
        let left = ServerApp::process_new(&self.front, Box::new(L4Stream::from(accepted)), &self.stopping).await;
        assert!(left.is_none());
    }

    /// Has the stream opened and answered while the client's session is served to its end.
    async fn handed_over(&mut self, request: &[u8]) -> Publisher {
        self.client.write_all(request).await.unwrap();
        let answered = async {
            let (accepted, _) = self.listener.accept().await.unwrap();
            ServerApp::process_new(&self.front, Box::new(L4Stream::from(accepted)), &self.stopping).await
        };
        let opened = async {
            let publisher = self.opened.recv().await.unwrap();
            assert!(publisher.connected(&HeaderMap::new(), Sharing::Shared));
            publisher
        };
        let (left, publisher) = timeout(NEVER, async { tokio::join!(answered, opened) }).await.unwrap();
        assert!(left.is_none());
        publisher
    }

    /// Reads until the client has heard `text`.
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
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"), "{head}");
    publish(&publisher, "1");
    stage.heard("data: 1\n\n\r\n").await;
    assert_eq!((stage.counters.subscribers.value(), stage.counters.hand_overs_failed.value()), (1, 0));

    // The one place is taken.
    let mut second = TcpStream::connect(stage.listener.local_addr().unwrap()).await.unwrap();
    second.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let refused = async {
        second.read_to_string(&mut answer).await.unwrap();
        drop(second);
    };
    timeout(NEVER, async { tokio::join!(stage.session(), refused) }).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");

    // And holds the gateway until the client has left.
    let Stage { client, front, mut alive, engine, .. } = stage;
    drop(front);
    assert!(alive.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Empty));
    drop(publisher);
    drop(client);
    assert_eq!(timeout(NEVER, alive.recv()).await.unwrap(), None);
    drop(engine);
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
    let session = ServerApp::process_new(&stage.front, Box::new(L4Stream::from(accepted)), &stage.stopping);
    let session = async {
        session.await;
        panic!("the session ended under its client");
    };
    tokio::select! {
        told = timeout(NEVER, told) => drop(told.unwrap()),
        () = session => {}
    }
}
