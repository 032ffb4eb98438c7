//! Connections of HTTP/2 that streams share, to real origins.

use super::tests::{listeners, origin, request, serve};
use super::*;
use bytes::Bytes;
use h2::server::{Connection as Server, SendResponse};
use http::StatusCode;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

fn options() -> UpstreamOptions {
    UpstreamOptions { multiplex: true, ..UpstreamOptions::default() }
}

fn connector(listener: &TcpListener) -> (Connector, Origin) {
    (Connector::finding(vec![listener.local_addr().unwrap()]), origin(listener))
}

async fn send(connector: &Connector, origin: &Origin) -> Response {
    connector.send(origin, &options(), &request(), None).await.unwrap()
}

async fn accept(listener: &TcpListener) -> Server<TcpStream, Bytes> {
    h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap()
}

/// The next request on a connection.
async fn asked(connection: &mut Server<TcpStream, Bytes>) -> SendResponse<Bytes> {
    connection.accept().await.expect("a request").unwrap().1
}

fn answer(mut respond: SendResponse<Bytes>) -> h2::SendStream<Bytes> {
    respond.send_response(http::Response::new(()), false).unwrap()
}

/// Frames of one byte are the dearest. So many unread ones would end the connection.
#[tokio::test]
async fn what_came_while_nobody_read_is_read_in_order_and_more_comes() {
    const FRAMES: usize = 140_000;
    fn byte(stream: usize, n: usize) -> u8 {
        b'a' + u8::try_from((n * 7 + stream) % 26).unwrap()
    }
    let [listener] = listeners().await;
    let (connector, origin) = connector(&listener);
    let (told, mut sent) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut connection = accept(&listener).await;
        let mut bodies = Vec::new();
        for _ in 0..3 {
            bodies.push(answer(asked(&mut connection).await));
        }
        // The answers to the requests go out before that.
        let _late = tokio::time::timeout(Duration::from_millis(50), connection.accept()).await;
        for (stream, mut body) in bodies.into_iter().enumerate() {
            // More than the window of the stream.
            for n in 0..FRAMES {
                body.send_data(Bytes::from(vec![byte(stream, n)]), n + 1 == FRAMES).unwrap();
            }
        }
        told.send(()).await.unwrap();
        while connection.accept().await.is_some() {}
    });
    let mut streams =
        [send(&connector, &origin).await, send(&connector, &origin).await, send(&connector, &origin).await];
    sent.recv().await.unwrap();
    let [a, b, c] = &mut streams;
    tokio::select! {
        never = a.soak() => match never {},
        never = b.soak() => match never {},
        never = c.soak() => match never {},
        () = tokio::time::sleep(Duration::from_millis(500)) => {}
    }
    for (stream, response) in streams.iter_mut().enumerate() {
        let mut text = Vec::new();
        while let Some(bytes) = response.read().await.expect("the connection lives") {
            text.extend_from_slice(&bytes);
        }
        let expected: Vec<u8> = (0..FRAMES).map(|n| byte(stream, n)).collect();
        assert!(text == expected, "{} of {FRAMES} bytes", text.len());
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_is_asked_for_on_another_connection() {
    let [listener] = listeners().await;
    let (connector, origin) = connector(&listener);
    tokio::spawn(async move {
        let mut first = accept(&listener).await;
        let mut open = vec![answer(asked(&mut first).await)];
        let refuses = tokio::spawn(async move {
            while let Some(Ok((_, mut respond))) = first.accept().await {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            }
        });
        let mut second = accept(&listener).await;
        open.push(answer(asked(&mut second).await));
        while second.accept().await.is_some() {}
        refuses.abort();
    });
    let (first, second) = (send(&connector, &origin).await, send(&connector, &origin).await);
    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn a_connection_is_closed_when_its_last_stream_has_ended() {
    let [listener] = listeners().await;
    let (connector, origin) = connector(&listener);
    let server = tokio::spawn(async move {
        let mut connection = accept(&listener).await;
        let mut open = Vec::new();
        while let Some(request) = connection.accept().await {
            open.push(answer(request.unwrap().1));
        }
        open.len()
    });
    let streams = [send(&connector, &origin).await, send(&connector, &origin).await];
    drop(streams);
    assert_eq!(server.await.unwrap(), 2);
}

#[tokio::test]
async fn an_origin_that_does_not_answer_to_http2_is_asked_by_http1() {
    for answers in ["HTTP/1.1 400 Bad Request\r\n\r\n", "", "silence"] {
        let [listener] = listeners().await;
        let (connector, origin) = connector(&listener);
        let asked = serve(listener, move |mut stream| async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && !head.starts_with(b"PRI * HTTP/2.0") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            if !head.starts_with(b"PRI") {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            } else if answers == "silence" {
                tokio::time::pause();
                tokio::time::advance(Duration::from_secs(3)).await;
                tokio::time::resume();
            } else {
                stream.write_all(answers.as_bytes()).await.unwrap();
                return;
            }
            std::future::pending::<()>().await;
        });
        let streams = [send(&connector, &origin).await, send(&connector, &origin).await];
        assert!(streams.iter().all(|response| response.status == StatusCode::OK));
        assert_eq!(asked.load(Ordering::Relaxed), 3, "{answers:?}: it is not asked by HTTP/2 again");
    }
}

#[tokio::test]
async fn a_quiet_shared_connection_is_pinged_and_without_an_answer_all_its_streams_are_lost() {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PREFACE: usize = 24;
    let [listener] = listeners().await;
    let (connector, origin) = connector(&listener);
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&SETTINGS).await.unwrap();
        stream.read_exact(&mut [0; PREFACE]).await.unwrap();
        let mut frame = [0; 9];
        while stream.read_exact(&mut frame).await.is_ok() {
            let [a, b, c, kind, _, id @ ..] = frame;
            let length = u64::from(u32::from_be_bytes([0, a, b, c]));
            tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await.unwrap();
            if kind == 1 {
                // HEADERS with `:status: 200`.
                stream.write_all(&[&[0, 0, 1, 1, 4][..], &id, &[0x88]].concat()).await.unwrap();
            }
        }
    });
    let mut streams = [send(&connector, &origin).await, send(&connector, &origin).await];
    tokio::time::pause();
    for response in &mut streams {
        let lost = response.read().await.expect_err("the connection is lost");
        assert!(lost.to_string().contains("did not answer a PING"), "{lost}");
    }
    drop(server);
}
