//! Passes one request of HTTP/1.x to pingora's proxy, and closes connections in an orderly way.

use super::Gateway;
use super::after::After;
use super::connection::Connection;
use super::gate::Gate;
use super::plan::Plan;
use crate::descriptors::Promise;
use crate::fanout::LINGER;
use parking_lot::Mutex;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The most bytes that are read and dropped at a time while a connection closes.
const READ_BYTES: usize = 4096;

/// How long the rest of a request body is read and dropped after the response. If the client sends for longer, its
/// connection is closed.
const UNWANTED_BODY: Duration = Duration::from_secs(5);

/// Serves requests of HTTP/1.x in sessions of pingora.
pub(super) struct Sessions {
    proxy: Arc<HttpProxy<Gateway>>,
}

/// What the front decided about a request that a session serves.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) plan: Plan,
    /// Whether the connection may serve another request after this one.
    pub(super) is_kept: bool,
    /// Held until the stream of the request is open.
    pub(super) promise: Option<Promise>,
}

impl Decided {
    /// Wraps this as the context that pingora passes along with a session. The mutex makes the value `Sync`, as pingora
    /// demands.
    fn into_context(self) -> Box<dyn Any + Send + Sync> {
        Box::new(Mutex::new(Some(Box::new(self))))
    }

    /// Unwraps the context of a session. `None`: the context is something else.
    pub(super) fn handed_over(context: Box<dyn Any + Send + Sync>) -> Option<Box<Self>> {
        context.downcast::<Mutex<Option<Box<Self>>>>().ok()?.into_inner()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    pub(super) fn new(proxy: Arc<HttpProxy<Gateway>>) -> Self {
        Self { proxy }
    }

    /// Serves the request of a session that brings what was decided about it.
    pub(super) async fn serve(&self, session: ServerSession, shutdown: &ShutdownWatch) {
        // Such a session gives no connection back.
        let _none = HttpServerApp::process_new_http(&self.proxy, session, shutdown).await;
    }

    /// Serves one request. Its head is still among the unread bytes of the connection. `gate` says which of the bytes
    /// belong to the request. Returns the connection and what comes next for it, or `None` if pingora has closed it.
    pub(super) async fn request(
        &self,
        mut connection: Connection,
        gate: Gate,
        decided: Decided,
        shutdown: &ShutdownWatch,
    ) -> Option<(Connection, After)> {
        connection.set_gate(gate);
        connection.unbound();
        let mut session = ServerSession::new_http1(Box::new(connection));
        session.set_total_drain_timeout(Some(UNWANTED_BODY));
        session.set_connection_user_context(Some(decided.into_context()));
        After::of(HttpServerApp::process_new_http(&self.proxy, session, shutdown).await?)
    }
}

/// Closes a connection in an orderly way. Our side ends first. Then the peer's bytes are read and dropped, until the
/// peer ends its side or [`LINGER`] is over. A socket that is closed with unread bytes sends a reset, which may destroy
/// the last bytes of the response on their way.
pub(super) async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    if !timeout(LINGER, AsyncWriteExt::shutdown(&mut stream)).await.is_ok_and(|ended| ended.is_ok()) {
        return;
    }
    let mut dropped = [0; READ_BYTES];
    let drain = async { while stream.read(&mut dropped).await.is_ok_and(|n| n > 0) {} };
    if timeout(LINGER, drain).await.is_err() {
        log::trace!("peer did not close within {LINGER:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn a_close_ends_our_side_first_and_reads_on_until_the_peer_ends_its_own() {
        let (ours, mut theirs) = duplex(64);
        let closing = tokio::spawn(close(ours));
        let mut rest = Vec::new();
        assert_eq!(theirs.read_to_end(&mut rest).await.unwrap(), 0, "our side has ended");
        for _ in 0..10 {
            theirs.write_all(&[b'x'; 64]).await.expect("late bytes are read");
        }
        assert!(!closing.is_finished());
        drop(theirs);
        let begun = Instant::now();
        closing.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_close_is_given_up_however_much_it_sends() {
        let (silent, _silent_peer) = duplex(64);
        let begun = Instant::now();
        close(silent).await;
        assert_eq!(begun.elapsed().as_millis(), LINGER.as_millis());

        let (busy, mut peer) = duplex(64);
        let sending = tokio::spawn(async move {
            while peer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        });
        let begun = Instant::now();
        close(busy).await;
        assert_eq!(begun.elapsed().as_millis(), LINGER.as_millis());
        sending.await.unwrap();
    }
}
