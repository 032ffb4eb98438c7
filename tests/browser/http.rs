//! One HTTP request, as the tests need it.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Sends a request on a connection of its own, and reads the whole answer.
pub async fn exchange(address: SocketAddr, mut request: Request<Bytes>) -> Response<Bytes> {
    request.headers_mut().insert(http::header::HOST, address.to_string().parse().unwrap());
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut requests, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    let answer = async {
        let (head, body) = requests.send_request(request.map(Full::new)).await.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    };
    tokio::select! {
        answer = answer => answer,
        ended = connection => panic!("the connection to {address} ended without an answer: {ended:?}"),
    }
}
