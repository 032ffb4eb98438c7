//! Requests of HTTP/2 that say the same as those of HTTP/1 in another way.

use crate::client::Connection;
use crate::frames::{DATA, END_STREAM, Ended, Frame, Frames, PROTOCOL_ERROR, request};
use crate::gateway::{Gateway, route};
use crate::guard::guarded;
use crate::origin::{Origin, Port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_body_whose_end_comes_alone_ends_once() {
    let port = Port::reserve();
    let (listener, gateway) = (port.listen(), Gateway::with(route("/*", &port).with("kind = \"proxy\"")).await);
    for (method, parts, expected) in [
        ("POST", &["hel", "", "lo"][..], "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
        ("PUT", &["hello"], "5\r\nhello\r\n0\r\n\r\n"),
        ("PUT", &[], "0\r\n\r\n"),
        ("GET", &[], "0\r\n\r\n"),
    ] {
        let mut uploader = Frames::open(&gateway, &[]).await;
        uploader.send(&[Frame::head(1, 0, &request(method, "/"))]).await;
        let (mut origin, _) = guarded("a connection", listener.accept()).await.unwrap();
        let mut received = Vec::new();
        for part in parts {
            uploader.send(&[Frame::new(DATA, 0, 1, *part)]).await;
            while !received.ends_with(format!("{part}\r\n").as_bytes()) {
                assert_ne!(guarded("a part", origin.read_buf(&mut received)).await.unwrap(), 0);
            }
        }
        uploader.send(&[Frame::new(DATA, END_STREAM, 1, [])]).await;
        while !received.ends_with(b"0\r\n\r\n") {
            assert_ne!(guarded("the end", origin.read_buf(&mut received)).await.unwrap(), 0);
        }
        origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ntaken").await.unwrap();
        assert_eq!(uploader.ended(1).await, Ended::Answered(200, b"taken".to_vec()), "{method} {parts:?}");
        // The gateway closes the connection now. What it sent until then is all there is.
        guarded("the close", origin.read_to_end(&mut received)).await.unwrap();
        let received = String::from_utf8(received).unwrap();
        assert_eq!(received.split_once("\r\n\r\n").unwrap().1, expected, "{method} {parts:?}");
    }
}

#[tokio::test]
async fn a_host_that_names_none_is_refused_in_both_versions() {
    let origin = Origin::start();
    let kinds = [
        route("/proxied", &origin).with("kind = \"proxy\"").with("preserve_host = true"),
        route("/private", &origin).with("share.mode = \"private\""),
        route("/shared", &origin),
    ];
    let gateway = Gateway::with_all(kinds).await;
    for host in ["a b", "a/b", "a,b", "x y:80", "a\"b", "u@a", "a:99999", "[::1", "a:b:c"] {
        for path in ["/proxied", "/private", "/shared"] {
            let mut client = Frames::open(&gateway, &[]).await;
            let fields = [(":method", "GET"), (":scheme", "http"), (":path", path), ("host", host)];
            client.send(&[Frame::head(1, END_STREAM, &fields)]).await;
            match client.ended(1).await {
                Ended::Answered(status, _) => assert_eq!(status, 400, "{host} {path}"),
                ended => assert_eq!(ended, Ended::Reset(PROTOCOL_ERROR), "{host} {path}"),
            }
            let mut client = Connection::open(gateway.addr()).await;
            client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            assert_eq!(client.response(false).await.status, 400, "{host} {path}");
        }
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn no_tunnel_is_made() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    for target in ["a:80", "/a", "http://a/"] {
        let mut client = Connection::open(gateway.addr()).await;
        client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: a:80\r\n\r\n")).await;
        let response = client.response(false).await;
        assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{target}");
        assert_eq!(response.header("server"), None, "{target}");
    }
    let mut client = Frames::open(&gateway, &[]).await;
    client.send(&[Frame::head(1, 0, &[(":method", "CONNECT"), (":authority", "a:80")])]).await;
    assert_eq!(client.ended(1).await, Ended::Answered(405, b"this gateway does not open tunnels\n".to_vec()));
    assert_eq!(origin.connections(), 0);
}
