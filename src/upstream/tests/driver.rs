//! A driver between a hub and real sockets. The test does the look-ups itself.

use super::*;
use crate::counters::RouteCounters;
use crate::hub::{Backfilling, Hub, Open, RouteId, ShareOptions, Sharing, StreamSettings, Verdict};
use crate::replay::ReplayOptions;
use crate::upstream::{Origin, UpstreamOptions};
use http::HeaderMap;
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// A test that waits longer has failed.
const NEVER: Duration = Duration::from_secs(60);

/// Feeds streams from an origin that has these addresses.
struct Drivers(DriverSettings, Connector);

impl Open for Drivers {
    fn open(&self, opening: Opening, publisher: Publisher) {
        tokio::spawn(Driver::new(watch::channel(self.0.clone()).1, self.1.clone(), opening, publisher).run());
    }

    fn backfill(&self, _: StreamRequest, _: Backfilling) {}
}

/// Listens on one port of 127.0.0.2, 127.0.0.3 and so on. Sends the number of the address and the connection for each
/// request.
async fn addresses(n: u8) -> (Vec<SocketAddr>, mpsc::Receiver<(u8, TcpStream)>) {
    let mut found: Vec<TcpListener> = Vec::new();
    while found.len() < usize::from(n) {
        let port = found.first().map_or(0, |first| first.local_addr().unwrap().port());
        let ip = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(found.len()).unwrap());
        match TcpListener::bind((ip, port)).await {
            Ok(listener) => found.push(listener),
            // Another test uses the port of that address.
            Err(_) => found.clear(),
        }
    }
    let (told, requests) = mpsc::channel(1000);
    let addresses = found.iter().map(|listener| listener.local_addr().unwrap()).collect();
    for (n, listener) in (0..n).zip(found) {
        let told = told.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
                told.send((n, stream)).await.unwrap();
            }
        });
    }
    (addresses, requests)
}

/// A hub whose streams come from these addresses, and the settings to join one.
fn hub(addresses: Vec<SocketAddr>, options: UpstreamOptions) -> (Hub, StreamSettings) {
    let settings = DriverSettings {
        route: "test".into(),
        origin: Arc::new(Origin::parse(&format!("http://origin.example:{}", addresses[0].port())).unwrap()),
        options: Arc::new(options),
        no_content_memory: Duration::ZERO,
        sharing: Arc::new(|_, _| Ok(Sharing::Shared)),
        pass_retry: true,
    };
    let stream = StreamSettings {
        replay: Arc::new(ReplayOptions::default()),
        linger: Duration::ZERO,
        max_streams: 100,
        limits: Default::default(),
        ids_ride: false,
        counters: Arc::new(RouteCounters::default()),
    };
    (Hub::new(Arc::new(Drivers(settings, Connector::finding(addresses)))), stream)
}

fn request() -> StreamRequest {
    StreamRequest::new(RouteId(0), &ShareOptions::default(), "/", None, &HeaderMap::new())
}

#[tokio::test]
async fn addresses_that_take_the_request_and_say_nothing_are_tried_in_turn() {
    const SILENT: u8 = 3;
    let (addresses, mut requests) = addresses(SILENT).await;
    let options = UpstreamOptions { idle_timeout: Some(Duration::from_millis(100)), ..UpstreamOptions::default() };
    let (hub, settings) = hub(addresses, options);
    let mut client = hub.join(request(), &settings, None).unwrap();
    let mut asked = HashSet::new();
    let mut held = Vec::new();
    // The silent addresses are tried one after the other, whichever comes first.
    while asked.len() < usize::from(SILENT) {
        let (address, stream) = timeout(NEVER, requests.recv()).await.unwrap().unwrap();
        asked.insert(address);
        held.push(stream);
    }
    // Any attempt that is still open may answer.
    let answers = async {
        loop {
            let (_, mut stream) = requests.recv().await.unwrap();
            let _sent = stream.write_all(HEAD).await;
            held.push(stream);
        }
    };
    let verdict = tokio::select! {
        verdict = client.verdict(Some(NEVER)) => verdict,
        () = answers => unreachable!(),
    };
    assert!(matches!(verdict, Verdict::Live(_)), "{verdict:?}");
}
