//! Scenes that many stories begin with.

use crate::client::{Client, Connection, End, Response, Target};
use crate::gateway::Gateway;
use crate::origin::{Body, Exchange, Origin, Request};
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;
use std::time::Duration;

/// A successor: the process that a gateway started in its place. Dropping this value kills the process.
pub struct Successor(Pid);

impl Successor {
    /// The process whose id a line of the log tells.
    pub fn of(line: &str) -> Self {
        let pid = line.rsplit_once("pid=").and_then(|(_, pid)| pid.trim().parse().ok()).and_then(Pid::from_raw);
        Self(pid.unwrap_or_else(|| panic!("no pid in {line:?}")))
    }
}

impl Successor {
    /// The process id.
    pub fn id(&self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.0, signal).unwrap();
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = kill_process(self.0, Signal::KILL);
    }
}

/// A client of `/` whose last event is 1 goes on in a new process, and gets the next event. If it does not move, its response
/// ends in order, and it comes back.
pub async fn goes_on(mut client: Response, moves: bool, gateway: &mut Gateway, origin: &Origin) {
    gateway.log_line(&format!("handed over streams=1 clients={} ", usize::from(moves))).await;
    if !moves {
        assert_eq!(client.ended().await, End::Orderly);
    }
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    let mut body = if moves {
        request_for("/", origin).await.sse().await
    } else {
        let (again, body) = opened(Client::get("/"), gateway, origin).await;
        client = again;
        body
    };
    body.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "2");
}

/// Opens a stream by its first client. Returns the client, and the response that the origin feeds the stream with.
pub async fn opened(client: Client<'_>, gateway: &Gateway, origin: &Origin) -> (Response, Body) {
    let path = client.path().to_owned();
    let (client, body) = tokio::join!(client.connect(gateway), async { request_for(&path, origin).await.sse().await });
    (client.stream(), body)
}

/// The gateway's request for a path. A stream that lost its origin may still ask for a while. It gets a response
/// without an event.
pub async fn request_for(path: &str, origin: &Origin) -> Exchange {
    loop {
        let exchange = origin.accept().await;
        let asked = exchange.request.target.split('?').next().unwrap_or_default();
        // Either path may have a prefix that the other does not have.
        if path.ends_with(asked) || asked.ends_with(path) {
            return exchange;
        }
        tokio::spawn(async { exchange.sse().await.gone().await });
    }
}

/// Sends a client's request, and answers the request that the gateway makes of it.
pub async fn asked(
    client: Client<'_>,
    gateway: &Gateway,
    origin: &Origin,
    answer: impl AsyncFnOnce(Exchange),
) -> Response {
    let path = client.path().to_owned();
    tokio::join!(client.connect(gateway), async { answer(request_for(&path, origin).await).await }).0
}

/// A request that the origin does not answer. It holds up a drain until it is answered. Its route is a proxy.
pub async fn unanswered(target: impl Into<Target>, origin: &Origin) -> (Connection, Exchange) {
    let mut connection = Connection::open(target).await;
    connection.send("GET /unanswered HTTP/1.1\r\nHost: a\r\n\r\n").await;
    (connection, origin.accept().await)
}

/// Answers such a request. The client gets the origin's answer, and not the gateway's answer that the origin is
/// silent.
pub async fn answered((mut connection, exchange): (Connection, Exchange)) {
    exchange.reply(200, &[], "an answer").await;
    let head = connection.receive("HTTP/1.1 200".len()).await;
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
}

/// The request of a client as the origin gets it. The answer is empty.
pub async fn seen(client: Client<'_>, gateway: &Gateway, origin: &Origin) -> Arc<Request> {
    let client = asked(client, gateway, origin, async |ask| ask.reply(200, &[], "").await).await;
    assert_eq!(client.status, 200);
    origin.requests().last().unwrap().clone()
}

/// A client that joins a stream that is open already.
pub async fn joined(client: Client<'_>, gateway: &Gateway) -> Response {
    client.connect(gateway).await.stream()
}

/// A client that joins a stream as soon as a place is free. The line that a client left comes a moment before that.
pub async fn let_in(client: impl Fn() -> Client<'static>, gateway: &Gateway) -> Response {
    let tries = async {
        loop {
            let response = client().connect(gateway).await;
            // A refusal says how long it is, and a stream does not.
            if response.header("content-length").is_none() {
                return response.stream();
            }
        }
    };
    crate::guard::guarded("a place", tries).await
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

/// Sends `events` events at once, and then the end, to a client that reads them with pauses. `pause` gives the pause
/// after a number of events. Returns how many events the client read, in order, and how its response ended.
pub async fn read_burst(
    client: &mut Response,
    mut body: Body,
    events: usize,
    pause: impl Fn(usize) -> Option<Duration>,
) -> (usize, End) {
    let padding = "x".repeat(200);
    let burst: String = (0..events).map(|n| format!("data: {n} {padding}\n\n")).collect();
    let sent = async {
        body.event(&burst).await;
        body.end().await;
    };
    let read = async {
        let mut next = 0;
        loop {
            match client.event_or_end().await {
                Ok(event) => assert_eq!(event.data.split(' ').next(), Some(next.to_string().as_str())),
                Err(end) => return (next, end),
            }
            next += 1;
            if let Some(pause) = pause(next) {
                tokio::time::sleep(pause).await;
            }
        }
    };
    tokio::join!(sent, read).1
}
