//! A plain proxy in front of an origin with several addresses.

use super::{NoStreams, transport};
use crate::config::{Config, Networks, SystemSources};
use crate::gateway::{CurrentRouting, Front, FrontOptions, Gateway, Lifecycle, RouteIds, Routing};
use crate::hub::Hub;
use crate::upstream::Connector;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Longer than any wait takes. A test that waits this long fails.
const NEVER: Duration = Duration::from_secs(60);

/// Enough requests for each address to be the first at least once.
const REQUESTS: usize = 20;

/// Listens on 127.0.0.2 and 127.0.0.3 with one port.
async fn two_listeners() -> [TcpListener; 2] {
    loop {
        let first = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        // Another test may use the port on the second address.
        if let Ok(second) = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 3), port)).await {
            return [first, second];
        }
    }
}

fn front(addresses: &[SocketAddr]) -> Front {
    let text =
        format!("[[routes]]\npath = '/*'\norigin = 'http://origin.example:{}'\nkind = 'proxy'", addresses[0].port());
    let config = Config::parse(&text, &SystemSources::beside("x".as_ref())).unwrap();
    let routing =
        CurrentRouting::new(Routing::new(config.routes.routes(), Networks::default(), &mut RouteIds::default()));
    let (_, watched) = watch::channel(Lifecycle::Running);
    let connector = Connector::finding(addresses.to_vec());
    let gateway = Gateway::new(routing, Hub::new(Arc::new(NoStreams)), connector, None, watched);
    let (alive, _) = mpsc::channel(1);
    let (_, stopping) = watch::channel(false);
    Front::new(FrontOptions { max_connections: REQUESTS, ..FrontOptions::default() }, gateway, alive, stopping)
}

/// The answer to a client on a connection of its own.
async fn asked(front: &Arc<Front>, request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    front.accept(transport(accepted)).unwrap();
    let mut answer = String::new();
    timeout(NEVER, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

/// Answers every request on every connection, keeps the connections open, and reports each.
async fn answer_all(listener: TcpListener, connections: mpsc::Sender<()>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.try_send(()).unwrap();
        tokio::spawn(async move {
            let mut request = Vec::new();
            while stream.read_buf(&mut request).await.unwrap_or(0) > 0 {
                if request.ends_with(b"\r\n\r\n") || request.ends_with(b"body") {
                    request.clear();
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell").await.unwrap();
                }
            }
        });
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody";

#[tokio::test]
async fn a_sick_address_is_passed_over_where_the_request_may_be_repeated() {
    let [sick, well] = two_listeners().await;
    let front = Arc::new(front(&[sick.local_addr().unwrap(), well.local_addr().unwrap()]));
    let (connections, _connected) = mpsc::channel(2 * REQUESTS);
    tokio::spawn(answer_all(well, connections));
    let (posts, mut posted) = mpsc::channel(REQUESTS);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = sick.accept().await {
            let mut request = Vec::new();
            stream.read_buf(&mut request).await.unwrap();
            if request.starts_with(b"POST") {
                posts.try_send(()).unwrap();
            }
        }
    });
    for _ in 0..REQUESTS {
        assert!(asked(&front, GET).await.ends_with("well"));
    }
    for _ in 0..REQUESTS {
        let answer = asked(&front, POST).await;
        let came_to_the_sick = posted.try_recv().is_ok();
        // It is not known what a POST has done that the failing origin accepted.
        assert_eq!(answer.starts_with("HTTP/1.1 502"), came_to_the_sick, "{answer}");
        assert!(came_to_the_sick || answer.ends_with("well"), "{answer}");
    }
}

#[tokio::test]
async fn an_address_that_refuses_costs_nothing_and_connections_are_kept() {
    let [gone, well] = two_listeners().await;
    let front = Arc::new(front(&[gone.local_addr().unwrap(), well.local_addr().unwrap()]));
    drop(gone);
    let (connections, mut connected) = mpsc::channel(REQUESTS);
    tokio::spawn(answer_all(well, connections));
    for request in [GET, POST].repeat(REQUESTS / 2) {
        assert!(asked(&front, request).await.ends_with("well"));
    }
    let mut count = 0;
    while connected.try_recv().is_ok() {
        count += 1;
    }
    assert!(count < REQUESTS / 2, "{count} connections for {REQUESTS} requests, one after the other");
}
