//! The line between a client and the gateway. It can be cut, as in a tunnel, and mended.

use crate::guard::guarded;
use crate::origin::Port;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A relay on a port of its own. Dropping it ends every connection.
pub struct Line {
    port: Port,
    whole: watch::Sender<bool>,
    carried: watch::Receiver<Vec<u8>>,
    accepted: Arc<AtomicUsize>,
}

impl Line {
    /// A line to an address.
    pub fn to(far: SocketAddr) -> Self {
        let port = Port::reserve();
        let listener = port.listen();
        let (whole, seen) = watch::channel(true);
        let (carrying, carried) = watch::channel(Vec::new());
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            let mut ended = seen.clone();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (near, _) = accepted.unwrap();
                        count.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(relay(near, far, seen.clone(), carrying.clone()));
                    }
                    () = gone(&mut ended) => return,
                }
            }
        });
        Self { port, whole, carried, accepted }
    }

    /// The URL at which clients reach it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.port.url())
    }

    /// The same for clients that use TLS. Certificates have names.
    pub fn secured_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port.addr().port())
    }

    /// The number of connections that clients have opened.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Ends every connection, and every new one, until the line is mended.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Carries connections again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }

    /// Waits until it has carried these bytes to clients this many times.
    pub async fn carried(&self, bytes: &[u8], times: usize) {
        let mut carried = self.carried.clone();
        let found = carried.wait_for(|all| memchr::memmem::find_iter(all, bytes).count() >= times);
        let _all = guarded(format!("{bytes:?} on the line"), found).await.unwrap();
    }
}

/// Waits until the line itself is dropped.
async fn gone(whole: &mut watch::Receiver<bool>) {
    while whole.changed().await.is_ok() {}
}

async fn relay(
    mut near: TcpStream,
    far: SocketAddr,
    mut whole: watch::Receiver<bool>,
    carried: watch::Sender<Vec<u8>>,
) {
    if !*whole.borrow_and_update() {
        return;
    }
    let carry = async {
        let mut far = TcpStream::connect(far).await?;
        let (mut from_near, mut to_near) = near.split();
        let (mut from_far, mut to_far) = far.split();
        let down = async {
            let mut piece = [0; 4096];
            loop {
                let n = from_far.read(&mut piece).await?;
                if n == 0 {
                    return to_near.shutdown().await;
                }
                carried.send_modify(|all| all.extend_from_slice(&piece[..n]));
                to_near.write_all(&piece[..n]).await?;
            }
        };
        let up = tokio::io::copy(&mut from_near, &mut to_far);
        // Either end closes both, so that the gateway sees a client leave.
        tokio::select! {
            ended = down => ended,
            ended = up => ended.map(drop),
        }
    };
    tokio::select! {
        // The two ends notice what becomes of a connection.
        ended = carry => drop(ended),
        _ = whole.changed() => {}
    }
}
