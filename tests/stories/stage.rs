//! Scenes that many stories begin with.

use crate::client::{Client, Response};
use crate::gateway::Gateway;
use crate::origin::{Body, Exchange, Origin};

/// A first client on its stream, and the origin's answer that it is fed from.
pub async fn opened(client: Client<'_>, gateway: &Gateway, origin: &Origin) -> (Response, Body) {
    let (client, body) = tokio::join!(client.connect(gateway), origin.stream());
    (client.stream(), body)
}

/// A client, and the request by which the gateway asks for it.
pub async fn asked(
    client: Client<'_>,
    gateway: &Gateway,
    origin: &Origin,
    answer: impl AsyncFnOnce(Exchange),
) -> Response {
    tokio::join!(client.connect(gateway), async { answer(origin.accept().await).await }).0
}

/// A client that joins a stream which is there already.
pub async fn joined(client: Client<'_>, gateway: &Gateway) -> Response {
    client.connect(gateway).await.stream()
}

/// The text of event `n`, with its number as id and data.
pub fn numbered(n: u64) -> String {
    format!("id: {n}\ndata: {n}\n\n")
}

/// The data of a gap event.
pub fn gap(reason: &str, missed: Option<u64>) -> String {
    let missed = missed.map_or_else(|| "null".to_owned(), |missed| missed.to_string());
    format!("{{\"reason\":\"{reason}\",\"missed\":{missed}}}")
}
