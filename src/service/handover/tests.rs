//! The old process's side, with a new process that fails at every step.

use super::*;
use crate::config::{Config, SystemSources};
use crate::service::{Running, Service};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// An origin that sends what it is told to whoever is there.
async fn origin() -> (String, broadcast::Sender<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (events, _) = broadcast::channel::<String>(64);
    let all = events.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut events = all.subscribe();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _asked = socket.read(&mut head).await.unwrap();
                socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await.unwrap();
                while let Ok(event) = events.recv().await {
                    if socket.write_all(format!("data: {event}\n\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, events)
}

/// A client of the gateway.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn of(running: &Running) -> Self {
        let crate::config::ListenAddr::Tcp(address) = running.addresses()[0] else { panic!("a TCP address") };
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        Self(BufReader::new(socket))
    }

    /// The data of the next event.
    async fn next(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("an event in time").unwrap();
            assert!(read > 0, "the client was disconnected");
            if let Some(data) = line.strip_prefix("data: ") {
                return data.trim().to_owned();
            }
        }
    }
}

/// How far a new process comes before it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Until {
    Started,
    SaidHello,
    HeardOfTheStream,
    TookTheStream,
    HeardOfTheClients,
    TookTwo,
}

/// A new process. Returns the sockets that it took.
fn new_process(link: &Link, identity: [u8; 32], until: Until) -> Vec<OwnedFd> {
    let say = |message: &dyn Fn() -> Vec<u8>| link.send(&message(), &[]).unwrap();
    let hear = || -> (Say, Vec<OwnedFd>) {
        let (bytes, sockets) = link.receive().unwrap().expect("a message");
        (rmp_serde::from_slice(&bytes).unwrap(), sockets)
    };
    if until == Until::Started {
        return Vec::new();
    }
    let hello = Hello { version: VERSION, routes: vec![("/*".to_owned(), identity)] };
    say(&|| rmp_serde::to_vec(&hello).unwrap());
    if until == Until::SaidHello {
        return Vec::new();
    }
    assert!(matches!(hear(), (Say::Stream { .. }, _)));
    if until == Until::HeardOfTheStream {
        return Vec::new();
    }
    say(&|| rmp_serde::to_vec(&Answer::Stream(true)).unwrap());
    if until == Until::TookTheStream {
        return Vec::new();
    }
    let (Say::Clients(passages), sockets) = hear() else { panic!("clients") };
    assert_eq!((passages.len(), sockets.len()), (3, 3));
    if until == Until::HeardOfTheClients {
        return Vec::new();
    }
    say(&|| rmp_serde::to_vec(&Answer::Clients(vec![true, true, false])).unwrap());
    sockets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_process_that_is_gone_at_any_step_costs_no_client_and_no_event() {
    for until in [
        Until::Started,
        Until::SaidHello,
        Until::HeardOfTheStream,
        Until::TookTheStream,
        Until::HeardOfTheClients,
        Until::TookTwo,
    ] {
        let (url, events) = origin().await;
        let text = format!("[server]\nlisten = ['127.0.0.1:0']\nshards = 2\n[[routes]]\npath = '/*'\norigin = '{url}'");
        let config = Config::parse(&text, &SystemSources::beside(Path::new("m.toml"))).unwrap();
        let running = Service::bind(config).unwrap().start();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(Client::of(&running).await);
        }
        // The clients are there when each has had an event.
        while events.receiver_count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let engine = running.reloader.engine.clone().unwrap();
        while engine.clients(0, 10).await.len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        events.send("before".to_owned()).unwrap();
        for client in &mut clients {
            assert_eq!(client.next().await, "before", "{until:?}");
        }

        let (ours, theirs) = UnixStream::pair().unwrap();
        let link = Arc::new(Link::over(ours.into()).unwrap());
        let source = running.source();
        let identity = stream_identity(&source.routing.streams()[0].1);
        let other = spawn_blocking(move || new_process(&Link::over(theirs.into()).unwrap(), identity, until));
        let mut frozen = Vec::new();
        let broken = source.give(&link, &mut frozen).await.expect_err("it was gone too early");
        let taken = other.await.unwrap();
        assert_eq!(frozen.len(), usize::from(until > Until::Started), "{until:?}");
        source.goes_on(broken, &frozen).await;

        events.send("after".to_owned()).unwrap();
        let stay = engine.clients(0, 10).await.len();
        assert_eq!(stay, if until == Until::TookTwo { 1 } else { 3 }, "{until:?}");
        let mut heard = 0;
        for client in &mut clients {
            if until == Until::TookTwo {
                // Two of them are the other process's, and this one sends them nothing more.
                heard += usize::from(timeout(Duration::from_millis(200), client.next()).await.is_ok());
            } else {
                assert_eq!(client.next().await, "after", "{until:?}");
                heard += 1;
            }
        }
        assert_eq!(heard, stay, "{until:?}");
        assert_eq!(taken.len(), if until == Until::TookTwo { 3 } else { 0 });
        // New connections are served.
        let mut late = Client::of(&running).await;
        while engine.clients(0, 10).await.len() <= stay {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        events.send("late".to_owned()).unwrap();
        assert_eq!(late.next().await, "late", "{until:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_process_of_another_version_takes_nothing() {
    let (url, _events) = origin().await;
    let text = format!("[server]\nlisten = ['127.0.0.1:0']\n[[routes]]\npath = '/*'\norigin = '{url}'");
    let config = Config::parse(&text, &SystemSources::beside(Path::new("m.toml"))).unwrap();
    let running = Service::bind(config).unwrap().start();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let link = Arc::new(Link::over(ours.into()).unwrap());
    let hello = rmp_serde::to_vec(&(VERSION + 1, "something else")).unwrap();
    let theirs = Link::over(theirs.into()).unwrap();
    theirs.send(&hello, &[]).unwrap();
    let moved = running.source().give(&link, &mut Vec::new()).await.unwrap();
    assert_eq!(moved, Moved::default());
}
