//! The origin: a loop and a flush for each stream, and pages for the proxy route. It goes away now and then.

use super::events::{Kind, block};
use super::{Failure, TICK};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How the origin goes away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restart {
    /// Whether it ends its responses in order. Otherwise, they break off.
    pub(crate) in_order: bool,
    pub(crate) down: Duration,
}

/// A running origin.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    /// The number of the newest event of every stream.
    pub(crate) newest: watch::Receiver<u64>,
    restarts: mpsc::Sender<Restart>,
    stops: watch::Sender<bool>,
}

impl Origin {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (says, newest) = watch::channel(0);
        let (restarts, orders) = mpsc::channel(1);
        let (stops, mut stopped) = watch::channel(false);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            while !*stopped.borrow_and_update() {
                ticks.tick().await;
                says.send_modify(|newest| *newest += 1);
            }
            // The streams stay open and silent.
            says.closed().await;
        });
        tokio::spawn(serve(listener, address, newest.clone(), orders));
        Ok(Self { address, newest, restarts, stops })
    }

    /// Goes away and comes back.
    pub(crate) async fn restart(&self, restart: Restart) {
        // An error means that the run is over.
        self.restarts.send(restart).await.unwrap_or_default();
    }

    /// Sends no further event. Returns the number of the last one.
    pub(crate) async fn stop(&self) -> u64 {
        self.stops.send_replace(true);
        tokio::time::sleep(TICK * 3).await;
        *self.newest.borrow()
    }
}

async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    newest: watch::Receiver<u64>,
    mut orders: mpsc::Receiver<Restart>,
) {
    let mut listener = Some(listener);
    loop {
        let Some(open) = listener.take() else {
            // The port is free again when all connections are closed.
            match TcpListener::bind(address).await {
                Ok(again) => listener = Some(again),
                Err(_) => tokio::time::sleep(TICK).await,
            }
            continue;
        };
        let (ends, ending) = watch::channel(false);
        let mut connections = JoinSet::new();
        let restart = loop {
            tokio::select! {
                accepted = open.accept() => if let Ok((socket, _)) = accepted {
                    let (newest, ending) = (newest.clone(), ending.clone());
                    connections.spawn(async move {
                        // An error means that the gateway closed the connection.
                        respond(socket, newest, ending).await.unwrap_or_default();
                    });
                },
                Some(_) = connections.join_next() => {}
                order = orders.recv() => break order,
            }
        };
        drop(open);
        let Some(restart) = restart else { return };
        if restart.in_order {
            ends.send_replace(true);
            // A connection whose other end reads nothing does not end in order.
            let all = async { while connections.join_next().await.is_some() {} };
            timeout(Duration::from_secs(2), all).await.unwrap_or_default();
        }
        connections.shutdown().await;
        tokio::time::sleep(restart.down).await;
    }
}

/// Answers the requests of a connection.
async fn respond(
    mut socket: TcpStream,
    newest: watch::Receiver<u64>,
    ending: watch::Receiver<bool>,
) -> Result<(), Failure> {
    socket.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        while !buffer.windows(4).any(|end| end == b"\r\n\r\n") {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&buffer).into_owned();
        buffer.clear();
        let target = head.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        if let Some(bytes) = path.strip_prefix("/page/").and_then(|bytes| bytes.parse::<usize>().ok()) {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
            socket.write_all(head.as_bytes()).await?;
            socket.write_all(&vec![b'p'; bytes]).await?;
            continue;
        }
        let id = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("last-event-id").then(|| value.trim().parse::<u64>().ok())?
        });
        return stream(socket, path, id, newest, ending).await;
    }
}

async fn stream(
    mut socket: TcpStream,
    path: &str,
    id: Option<u64>,
    mut newest: watch::Receiver<u64>,
    mut ending: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    let mut sent = *newest.borrow_and_update();
    if let Some(id) = id.filter(|_| Kind::of(path) != Kind::Plain) {
        sent = id.min(sent);
    }
    let mut rubbish = [0; 1];
    loop {
        let now = *newest.borrow_and_update();
        while sent < now {
            sent += 1;
            let block = block(path, sent);
            socket.write_all(format!("{:x}\r\n{block}\r\n", block.len()).as_bytes()).await?;
        }
        tokio::select! {
            changed = newest.changed() => changed?,
            () = async { drop(ending.wait_for(|ends| *ends).await) } => {
                socket.write_all(b"0\r\n\r\n").await?;
                return Ok(());
            }
            read = socket.read(&mut rubbish) => if read? == 0 {
                return Ok(());
            },
        }
    }
}
