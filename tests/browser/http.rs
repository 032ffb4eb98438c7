//! Sends one HTTP request.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Sends a request on a new connection, and reads the whole answer.
pub async fn exchange(address: SocketAddr, mut request: Request<Bytes>) -> Response<Bytes> {
    request.headers_mut().insert(http::header::HOST, address.to_string().parse().unwrap());
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut requests, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    // The connection runs as a task of its own, because it may end together with the answer. If it ends earlier, the
    // request fails.
    tokio::spawn(connection);
    let answer = requests.send_request(request.map(Full::new)).await;
    let (head, body) = answer.unwrap_or_else(|error| panic!("no answer from {address}: {error}")).into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}
