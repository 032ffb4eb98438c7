//! The connector with real sockets. The tests do the look-ups themselves.

use super::tests_tls::{tls, tls_origin};
use super::*;
use http::StatusCode;
use socket2::SockRef;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const WELL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// The number of attempts. It is large enough that each address is the first one now and then.
const ATTEMPTS: usize = 20;

/// A test that waits longer has failed.
const NEVER: Duration = Duration::from_secs(60);

/// Listens on one port of 127.0.0.2, 127.0.0.3 and so on.
pub(super) async fn listeners<const N: usize>() -> [TcpListener; N] {
    'ports: loop {
        let mut found: Vec<TcpListener> = Vec::new();
        for n in 0..N {
            let port = found.first().map_or(0, |first| first.local_addr().unwrap().port());
            let ip = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(n).unwrap());
            // Another test may use the port of that address.
            let Ok(listener) = TcpListener::bind((ip, port)).await else { continue 'ports };
            found.push(listener);
        }
        return found.try_into().unwrap();
    }
}

/// Serves each connection by `answer`, and counts the connections.
pub(super) fn serve<F>(listener: TcpListener, answer: impl Fn(TcpStream) -> F + Send + 'static) -> Arc<AtomicUsize>
where
    F: Future<Output = ()> + Send + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            accepted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(stream));
        }
    });
    count
}

/// Reads a request's head, sends `answer`, and closes.
async fn say(mut stream: TcpStream, answer: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    stream.write_all(answer).await.unwrap();
}

pub(super) fn request() -> Request {
    Request { path_and_query: "/".to_owned(), headers: Vec::new() }
}

pub(super) fn origin(listener: &TcpListener) -> Origin {
    Origin::parse(&format!("http://origin.example:{}", listener.local_addr().unwrap().port())).unwrap()
}

async fn send(addresses: &[SocketAddr], origin: &Origin, patience: Option<Duration>) -> Result<Response, ConnectError> {
    let connector = Connector::finding(addresses.to_vec());
    connector.send(origin, &UpstreamOptions::default(), &request(), patience).await
}

#[tokio::test]
async fn a_sick_address_is_passed_over() {
    for sickness in ["closes", "resets", "is no HTTP", "is refused"] {
        let [sick, well] = listeners().await;
        let origin = origin(&well);
        let addresses = [sick.local_addr().unwrap(), well.local_addr().unwrap()];
        let asked = match sickness {
            "closes" => serve(sick, |stream| async move { drop(stream) }),
            "resets" => serve(sick, |stream| async move {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }),
            "is no HTTP" => serve(sick, |stream| say(stream, b"220 mail.example ESMTP\r\n\r\n")),
            _ => {
                drop(sick);
                Arc::new(AtomicUsize::new(1))
            }
        };
        let answered = serve(well, |stream| say(stream, WELL));
        let connector = Connector::finding(addresses.to_vec());
        for _ in 0..ATTEMPTS {
            let sent = connector.send(&origin, &UpstreamOptions::default(), &request(), None).await;
            assert_eq!(sent.unwrap_or_else(|why| panic!("{sickness}: {why}")).status, StatusCode::OK);
        }
        assert_eq!(answered.load(Ordering::Relaxed), ATTEMPTS, "{sickness}");
        // The chance that 20 attempts all begin at the address that works is one in a million.
        assert!((1..=ATTEMPTS).contains(&asked.load(Ordering::Relaxed)), "{sickness}");
    }
}

#[tokio::test]
async fn a_failed_handshake_is_passed_over() {
    let (acceptor, options) = tls("http/1.1");
    let [sick, well] = listeners().await;
    let origin = tls_origin(&well);
    let addresses = [sick.local_addr().unwrap(), well.local_addr().unwrap()];
    serve(sick, |mut stream| async move { stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap() });
    serve(well, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            stream.write_all(WELL).await.unwrap();
            let _closed = stream.shutdown().await;
        }
    });
    let connector = Connector::finding(addresses.to_vec());
    for _ in 0..ATTEMPTS {
        assert_eq!(connector.send(&origin, &options, &request(), None).await.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_quiet_http2_connection_is_pinged() {
    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PING: [u8; 9] = [0, 0, 8, 6, 0, 0, 0, 0, 0];
    let (acceptor, options) = tls("h2");
    let [quiet] = listeners().await;
    let (origin, address) = (tls_origin(&quiet), quiet.local_addr().unwrap());
    let connector = Connector::finding(vec![address]);
    let asking = tokio::spawn(async move { connector.send(&origin, &options, &request(), None).await });
    let (stream, _) = quiet.accept().await.unwrap();
    let mut stream = acceptor.accept(stream).await.unwrap();
    stream.write_all(&EMPTY_SETTINGS).await.unwrap();
    let mut heard = Vec::new();
    let has = |heard: &[u8], what: &[u8]| heard.windows(what.len()).any(|window| window == what);
    // These bytes are more than the preface and the settings, so the request's head is among them. Only the answer is
    // missing.
    while !has(&heard, b"PRI * HTTP/2.0") || heard.len() < 100 {
        assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let pinged = async {
        while !has(&heard, &PING) {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0, "closed without a PING");
        }
    };
    timeout(NEVER, pinged).await.expect("a PING");
    asking.abort();
}

#[tokio::test]
async fn every_address_is_told_of_where_none_is_well() {
    let [one, two, three] = listeners().await;
    let origin = origin(&one);
    let addresses = [&one, &two, &three].map(|listener| listener.local_addr().unwrap());
    drop(one);
    let [asked, again] = [two, three].map(|listener| serve(listener, |stream| async move { drop(stream) }));
    let Err(ConnectError::Unreachable(why)) = send(&addresses, &origin, None).await else { panic!("a head") };
    for address in addresses {
        assert_eq!(why.matches(&address.to_string()).count(), 1, "{why}");
    }
    assert!(why.contains("connection refused: start the origin"), "{why}");
    assert_eq!((asked.load(Ordering::Relaxed), again.load(Ordering::Relaxed)), (1, 1), "each origin is asked once");

    let many: Vec<SocketAddr> = (10..20).map(|n| SocketAddr::from(([127, 0, 0, n], addresses[0].port()))).collect();
    let Err(ConnectError::Unreachable(why)) = send(&many, &origin, None).await else { panic!("a head") };
    assert!(why.ends_with("; and 6 more addresses"), "{why}");
}

#[tokio::test]
async fn a_head_is_waited_for_as_long_as_the_caller_says() {
    let [quiet, other] = listeners().await;
    let origin = origin(&quiet);
    let silent = |stream: TcpStream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    };
    let addresses = [&quiet, &other].map(|listener| listener.local_addr().unwrap());
    let asked = [quiet, other].map(|listener| serve(listener, silent));
    let late = send(&addresses, &origin, Some(Duration::from_millis(1))).await;
    assert_eq!(late.unwrap_err(), ConnectError::HeadTimeout);
    let total: usize = asked.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    assert!(total <= 1, "at most one address gets the request");

    let [slow] = listeners().await;
    let origin = self::origin(&slow);
    let address = slow.local_addr().unwrap();
    serve(slow, |stream| say(stream, WELL));
    let options = UpstreamOptions { head_timeout: Duration::from_nanos(1), ..UpstreamOptions::default() };
    let connector = Connector::finding(vec![address]);
    let patient = connector.send(&origin, &options, &request(), None).await;
    assert_eq!(patient.unwrap().status, StatusCode::OK, "only the caller sets a time limit for the head");
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_all_streams() {
    let [well] = listeners().await;
    let (origin, address) = (origin(&well), well.local_addr().unwrap());
    serve(well, |stream| say(stream, WELL));
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    let lookups = Lookups::new(Arc::new(move |host, _| {
        assert_eq!(host, "origin.example");
        asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(vec![address])))
    }));
    let connector = Connector::looking_up(lookups, SystemTrust::Unneeded);
    let sends: Vec<_> = (0..200)
        .map(|_| {
            let (connector, origin) = (connector.clone(), origin.clone());
            tokio::spawn(async move {
                connector.send(&origin, &UpstreamOptions::default(), &request(), None).await.map(|head| head.status)
            })
        })
        .collect();
    let begun = std::time::Instant::now();
    for send in sends {
        assert_eq!(send.await.unwrap(), Ok(StatusCode::OK));
    }
    // An answer may be used for a second.
    assert!(count.load(Ordering::Relaxed) as u64 <= 1 + begun.elapsed().as_secs());
}
