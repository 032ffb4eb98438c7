//! Bodies of HTTP/1, over real sockets.

use super::{Connector, Request, Response};
use crate::upstream::{Origin, UpstreamOptions};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The response of an origin whose connection sends `bytes`, and the connection.
async fn response(bytes: &[u8]) -> (Response, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (connector, options) = (Connector::new(), UpstreamOptions::default());
    let request = Request { path_and_query: "/".to_owned(), headers: Vec::new() };
    let sent = connector.send(&origin, &options, &request, None);
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // An origin that closes with an unread request resets the connection.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        stream.write_all(bytes).await.unwrap();
        stream
    };
    let (sent, stream) = tokio::join!(sent, serving);
    (sent.unwrap(), stream)
}

/// The text of a body up to its end, and how it ended.
async fn rest(response: &mut Response) -> (String, Result<(), String>) {
    let mut text = Vec::new();
    loop {
        match response.read().await {
            Ok(Some(bytes)) => text.extend_from_slice(&bytes),
            Ok(None) => return (String::from_utf8(text).unwrap(), Ok(())),
            Err(error) => return (String::from_utf8(text).unwrap(), Err(error.to_string())),
        }
    }
}

#[tokio::test]
async fn what_came_with_the_head_is_the_beginning_of_the_body() {
    for (bytes, status, text) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"),
        ("HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", 200, "abc"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "abc"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nabc",
            404,
            "abc",
        ),
        ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", 200, "abc"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.1 204 No\r\n\r\nabc", 204, ""),
    ] {
        let (mut response, _stream) = response(bytes.as_bytes()).await;
        assert_eq!(
            (response.status.as_u16(), rest(&mut response).await),
            (status, (text.to_owned(), Ok(()))),
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn a_large_head_and_a_large_body_are_whole() {
    let (head, body) = ("x".repeat(50_000), "y".repeat(3_000_000));
    let bytes = format!("HTTP/1.1 200 OK\r\nX-Large: {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        // Until the connection is closed.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let request = Request { path_and_query: "/".to_owned(), headers: Vec::new() };
    let mut response = Connector::new().send(&origin, &UpstreamOptions::default(), &request, None).await.unwrap();
    assert_eq!(response.headers["x-large"].len(), head.len());
    let (text, end) = rest(&mut response).await;
    assert_eq!((text.len(), end), (body.len(), Ok(())));
    assert!(text == body);
    drop(response);
    serving.await.unwrap();
}

#[tokio::test]
async fn what_comes_before_a_fault_is_given_first() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    for (bytes, text, fault) in [
        (format!("{chunked}no chunk\r\n"), "abc", "malformed chunk"),
        (chunked.to_owned(), "abc", "closed by the origin"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc".to_owned(), "abc", "closed by the origin"),
    ] {
        let (mut response, stream) = response(bytes.as_bytes()).await;
        drop(stream);
        assert_eq!(rest(&mut response).await, (text.to_owned(), Err(fault.to_owned())), "{bytes:?}");
    }
    let (mut response, stream) = response(b"HTTP/1.1 200 OK\r\n\r\nabc").await;
    drop(stream);
    assert_eq!(rest(&mut response).await, ("abc".to_owned(), Ok(())), "the close is the end");
}

#[tokio::test]
async fn a_read_that_is_given_up_loses_nothing() {
    let (mut response, mut stream) = response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut given = String::new();
    for part in ["3", "\r\na", "b", "c\r\n3\r", "\ndef\r\n0\r\n", "\r\n"] {
        if let Poll::Ready(Ok(Some(bytes))) = pin!(response.read()).poll(&mut Context::from_waker(Waker::noop())) {
            given += std::str::from_utf8(&bytes).unwrap();
        }
        stream.write_all(part.as_bytes()).await.unwrap();
    }
    let (text, end) = rest(&mut response).await;
    assert_eq!((given + &text, end), ("abcdef".to_owned(), Ok(())));
}
