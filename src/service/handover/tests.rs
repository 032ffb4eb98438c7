//! The old process's side, with a new process that fails at every step.

use super::messages::{Answer, Hello, Say, Taken, VERSION, heard};
use super::tried::try_message;
use super::*;
use crate::config::stream_identity;
use crate::config::{Config, SystemSources};
use crate::service::mangled::mangle;
use crate::service::{Running, Service};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;
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
        let mut found = None;
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("an event in time").unwrap();
            assert!(read > 0, "the client was disconnected");
            found = found.or_else(|| line.strip_prefix("data: ").map(|data| data.trim().to_owned()));
            if line == "\n"
                && let Some(found) = found.take()
            {
                return found;
            }
        }
    }
}

impl Client {
    /// Whether nothing comes for a while, not even the end.
    async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(50), self.0.fill_buf()).await.is_err()
    }

    /// Waits for the end of the response.
    async fn ends(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.unwrap();
    }
}

/// How far a new process comes before it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Until {
    Started,
    SaidHello,
    HeardOfTheStream,
    HeardOfTheClients,
    HeardAll,
    TookTwo,
    /// When the old process does not wait any more.
    TookTwoLate,
}

/// A new process. It tells when it is ready to hear. Returns the sockets that it took.
fn new_process(
    link: &Link,
    identity: [u8; 32],
    until: Until,
    is_ready: &Sender<()>,
    has_given_up: &Receiver<()>,
) -> Vec<OwnedFd> {
    let say = |message: &dyn Fn() -> Vec<u8>| link.send(&message(), &[]).unwrap();
    let hear = || heard::<Say>(link).expect("a message");
    if until == Until::Started {
        return Vec::new();
    }
    let hello = Hello { version: VERSION, routes: vec![("/*".to_owned(), identity)] };
    say(&|| rmp_serde::to_vec(&hello).unwrap());
    is_ready.send(()).unwrap();
    if until == Until::SaidHello {
        return Vec::new();
    }
    assert!(matches!(hear(), (Say::Record(_), _)));
    assert!(matches!(hear(), (Say::Stream { .. }, _)));
    if until == Until::HeardOfTheStream {
        return Vec::new();
    }
    let (Say::Clients(passages), mut sockets) = hear() else { panic!("clients") };
    assert_eq!((passages.len(), sockets.len()), (3, 3));
    if until == Until::HeardOfTheClients {
        return Vec::new();
    }
    assert!(matches!(hear(), (Say::Whole, _)));
    if until == Until::HeardAll {
        return Vec::new();
    }
    if until == Until::TookTwoLate {
        has_given_up.recv().unwrap();
    }
    sockets.truncate(2);
    let taken = Taken { stream: true, sockets: vec![true, true, false], carriers: Vec::new() };
    say(&|| rmp_serde::to_vec(&Answer::Taken(taken.clone())).unwrap());
    sockets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_process_that_is_gone_at_any_step_costs_no_client_and_no_event() {
    for until in [
        Until::Started,
        Until::SaidHello,
        Until::HeardOfTheStream,
        Until::HeardOfTheClients,
        Until::HeardAll,
        Until::TookTwo,
        Until::TookTwoLate,
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
        if until == Until::TookTwoLate {
            link.wait_for(Duration::from_millis(100)).unwrap();
        }
        let (gave_up, has_given_up) = channel();
        let (is_ready, ready) = channel();
        let other = spawn_blocking(move || {
            new_process(&Link::over(theirs.into()).unwrap(), identity, until, &is_ready, &has_given_up)
        });
        // The answer alone comes too late, whoever is slow here.
        spawn_blocking(move || ready.recv().unwrap_or_default()).await.unwrap();
        let mut given = Given::default();
        let broken = source.give(&link, &mut given).await.expect_err("it was gone too early");
        gave_up.send(()).unwrap_or_default();
        let taken = other.await.unwrap();
        let has_taken = until >= Until::TookTwo;
        assert_eq!(taken.len(), if has_taken { 2 } else { 0 });
        source.goes_on(&link, broken, given).await;

        events.send("after".to_owned()).unwrap();
        if has_taken {
            // Two of the clients are the other process's, and the third is asked to come back.
            let mut stays = None;
            while stays.is_none() {
                for (n, client) in clients.iter_mut().enumerate() {
                    stays = if client.is_silent().await { stays } else { Some(n) };
                }
            }
            timeout(PATIENCE, clients.remove(stays.unwrap()).ends()).await.expect("the end in time");
            for client in &mut clients {
                let heard = timeout(Duration::from_millis(50), client.0.fill_buf()).await;
                assert!(heard.is_err(), "{until:?} {:?}", heard.map(|heard| heard.map(String::from_utf8_lossy)));
            }
        } else {
            for client in &mut clients {
                assert_eq!(client.next().await, "after", "{until:?}");
            }
        }
        // New connections are served.
        let mut late = Client::of(&running).await;
        let stream = usize::from(has_taken);
        let expected = if has_taken { 1 } else { 4 };
        while engine.clients(stream, 10).await.len() < expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let hears_it = async { while late.next().await != "late" {} };
        let says_it = async {
            loop {
                // The first is perhaps told to nobody: the stream may be on its way to the origin.
                events.send("late".to_owned()).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = hears_it => {}
            () = says_it => {}
        }
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
    let moved = running.source().give(&link, &mut Given::default()).await.unwrap();
    assert_eq!(moved, Moved::default());
}

/// What the old process says of a stream with a client of HTTP/1.0 and one of HTTP/2.
async fn recorded() -> Vec<Vec<u8>> {
    let (url, events) = origin().await;
    let text = format!("[server]\nlisten = ['127.0.0.1:0']\nshards = 1\n[[routes]]\npath = '/*'\norigin = '{url}'");
    let config = Config::parse(&text, &SystemSources::beside(Path::new("m.toml"))).unwrap();
    let running = Service::bind(config).unwrap().start();
    let _client = Client::of(&running).await;
    let crate::config::ListenAddr::Tcp(address) = running.addresses()[0] else { panic!("a TCP address") };
    let mut browser = TcpStream::connect(address).await.unwrap();
    // The preface, SETTINGS, and two requests with a field for the table.
    let get = |stream: u8| [&b"\0\0\x0b\x01\x05\0\0\0"[..], &[stream], b"\x82\x84\x86\x01\x01a\x40\x01x\x01y"].concat();
    let said = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..], &get(1), &get(3), b"\0\0"].concat();
    browser.write_all(&said).await.unwrap();
    let engine = running.reloader.engine.clone().unwrap();
    while events.receiver_count() == 0 || engine.clients(0, 10).await.len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    events.send("before".to_owned()).unwrap();
    while running.source().hub.snapshot().iter().map(|(_, stream)| stream.events()).sum::<usize>() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let link = Arc::new(Link::over(ours.into()).unwrap());
    let source = running.source();
    let identity = stream_identity(&source.routing.streams()[0].1);
    let other = spawn_blocking(move || {
        let link = Link::over(theirs.into()).unwrap();
        let hello = Hello { version: VERSION, routes: vec![("/*".to_owned(), identity)] };
        link.send(&rmp_serde::to_vec(&hello).unwrap(), &[]).unwrap();
        let mut said = vec![rmp_serde::to_vec(&hello).unwrap()];
        said.extend((0..5).map(|_| link.receive().unwrap().unwrap().0));
        said
    });
    let mut given = Given::default();
    let _broken = source.give(&link, &mut given).await.expect_err("the other process is gone");
    other.await.unwrap()
}

#[test]
fn whatever_a_message_says_it_is_refused_or_makes_what_holds_together() {
    let messages = tokio::runtime::Runtime::new().unwrap().block_on(recorded());
    let kinds: Vec<_> = messages[1..].iter().map(|message| rmp_serde::from_slice::<Say>(message).unwrap()).collect();
    let [Say::Record(_), Say::Stream { .. }, Say::Clients(sockets), Say::Carriers(carriers), Say::Whole] = &kinds[..]
    else {
        panic!("{kinds:?}")
    };
    assert_eq!((sockets.len(), carriers.len(), carriers[0].clients()), (1, 1, 2));
    messages.iter().for_each(|message| try_message(message));
    let mut rng = fastrand::Rng::with_seed(0);
    for _ in 0..2_000 {
        let mut input = rng.choice(&messages).unwrap().clone();
        mangle(&mut input, &mut rng);
        try_message(&input);
    }
}
