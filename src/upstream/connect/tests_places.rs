//! The places that connections take, with real sockets.

use super::tests::{listeners, origin, request, serve};
use super::*;
use http::StatusCode;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const NO_PLACE: &str = "no descriptor is left for a connection to the origin";

/// Options under which nobody waits long for a place.
fn hasty() -> UpstreamOptions {
    UpstreamOptions { connect_timeout: Duration::from_millis(50), ..UpstreamOptions::default() }
}

/// Begins a response and keeps the connection open.
async fn stream(mut stream: TcpStream) {
    stream.write_all(HEAD).await.unwrap();
    std::future::pending::<()>().await;
}

fn connector(listener: &TcpListener, places: usize) -> (Connector, Origin, SocketAddr) {
    let address = listener.local_addr().unwrap();
    (Connector::finding(vec![address]).within(Descriptors::new(places)), origin(listener), address)
}

#[tokio::test]
async fn a_stream_has_a_place_for_one_connection_after_another_and_none_for_two() {
    let [listener] = listeners().await;
    let (connector, origin, _) = connector(&listener, 1);
    serve(listener, stream);
    let own = connector.for_stream(&origin, &hasty()).expect("a place");
    assert!(connector.for_stream(&origin, &hasty()).is_none(), "all places are taken");
    for _ in 0..3 {
        let held = own.send(&origin, &hasty(), &request(), None).await.unwrap();
        let beside = own.when_full(WhenFull::Fail).send(&origin, &UpstreamOptions::default(), &request(), None).await;
        let Err(ConnectError::Unreachable(why)) = beside else { panic!("a connection without a place") };
        assert!(why.contains(NO_PLACE), "{why}");
        drop(held);
    }
    let held = own.send(&origin, &hasty(), &request(), None).await.unwrap();
    drop(own);
    assert!(connector.for_stream(&origin, &hasty()).is_none(), "the connection is still open");
    drop(held);
    assert!(connector.for_stream(&origin, &hasty()).is_some());
}

#[tokio::test]
async fn a_connection_of_no_stream_waits_for_a_place_and_says_when_none_comes() {
    let [listener] = listeners().await;
    let (connector, origin, _) = connector(&listener, 2);
    serve(listener, stream);
    let (first, second) =
        (connector.for_stream(&origin, &hasty()).unwrap(), connector.for_stream(&origin, &hasty()).unwrap());
    let Err(ConnectError::Unreachable(why)) = connector.send(&origin, &hasty(), &request(), None).await else {
        panic!("a connection without a place")
    };
    assert!(why.contains(NO_PLACE), "{why}");
    let (options, request) = (UpstreamOptions::default(), request());
    let mut waiting = Box::pin(connector.send(&origin, &options, &request, None));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("a connection without a place"),
        () = tokio::task::yield_now() => {}
    }
    drop(first);
    assert_eq!(waiting.await.unwrap().status, StatusCode::OK);
    drop(second);
}

#[tokio::test]
async fn each_address_of_a_sick_origin_is_tried_with_the_one_place_of_a_stream() {
    let [sick, well] = listeners().await;
    let origin = origin(&well);
    let addresses = [sick.local_addr().unwrap(), well.local_addr().unwrap()];
    serve(sick, |stream| async move { drop(stream) });
    serve(well, stream);
    let connector = Connector::finding(addresses.to_vec()).within(Descriptors::new(1));
    let own = connector.for_stream(&origin, &hasty()).unwrap();
    for _ in 0..20 {
        let sent = own.send(&origin, &UpstreamOptions::default(), &request(), None).await;
        assert_eq!(sent.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_connection_of_a_proxy_keeps_its_places_as_long_as_it_is_open() {
    let [listener] = listeners().await;
    let (connector, origin, address) = connector(&listener, 2);
    serve(listener, stream);
    for usage in [Usage::Kept, Usage::Upgrade] {
        let dial = connector.dial(&origin, &hasty(), usage).await.unwrap();
        let peer = dial.peer(&origin, &hasty()).unwrap();
        let connect = peer.options.custom_l4.clone().unwrap();
        let open = connect.connect(&address.into()).await.unwrap();
        assert!(connector.for_stream(&origin, &hasty()).is_none(), "{usage:?}: a connection and its line take two");
        let another = connector.dial(&origin, &hasty(), usage).await.unwrap();
        let refused = loop {
            let peer = another.peer(&origin, &hasty()).expect("another try");
            let error = peer.options.custom_l4.clone().unwrap().connect(&address.into()).await.unwrap_err();
            // Until then a kept connection may become free.
            if *error.etype() != pingora::ErrorType::ConnectError {
                break error;
            }
        };
        assert!(!another.has_more(), "{usage:?}");
        assert_eq!(*refused.etype(), pingora::ErrorType::HTTPStatus(503), "{usage:?}");
        assert!(reason(&refused).contains(NO_PLACE), "{usage:?}: {refused}");
        drop(open);
        assert!(connector.for_stream(&origin, &hasty()).is_some(), "{usage:?}");
    }
}
