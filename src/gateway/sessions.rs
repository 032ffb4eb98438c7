//! pingora's proxy, wrapped: one request of HTTP/1.x.

use super::Gateway;
use super::after::After;
use super::connection::{Connection, Gate};
use super::plan::Plan;
use super::times::UNWANTED_BODY;
use crate::fanout::LINGER;
use parking_lot::Mutex;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Bytes read and dropped at a time until then.
const LINGER_BYTES: usize = 4096;

/// pingora's proxy.
pub(super) struct Sessions {
    proxy: Arc<HttpProxy<Gateway>>,
}

/// What the front decided of a request that a session is to serve.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) plan: Plan,
    /// The client is content to have its connection kept.
    pub(super) is_kept: bool,
}

impl Decided {
    /// As the context that pingora hands over with a session. It demands a value that may be looked at from two threads.
    fn into_context(self) -> Box<dyn Any + Send + Sync> {
        Box::new(Mutex::new(Some(Box::new(self))))
    }

    /// The same, at the other end.
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

    /// Serves one request of HTTP/1.x, of which nothing was read by anybody else; gives the connection back if it is of
    /// further use.
    pub(super) async fn request(
        &self,
        mut connection: Connection,
        gate: Gate,
        decided: Decided,
        shutdown: &ShutdownWatch,
    ) -> Option<(Connection, After)> {
        connection.set_gate(gate);
        let mut session = ServerSession::new_http1(Box::new(connection));
        session.set_total_drain_timeout(Some(UNWANTED_BODY));
        session.set_connection_user_context(Some(decided.into_context()));
        After::of(HttpServerApp::process_new_http(&self.proxy, session, shutdown).await?)
    }
}

/// Ends our side and reads on until the peer ends its own: closing with bytes unread would send a reset, which may overtake
/// the last events on their way.
pub(super) async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    if AsyncWriteExt::shutdown(&mut stream).await.is_err() {
        return;
    }
    let mut dropped = [0; LINGER_BYTES];
    let drain = async { while stream.read(&mut dropped).await.is_ok_and(|n| n > 0) {} };
    if timeout(LINGER, drain).await.is_err() {
        log::trace!("peer did not close within {LINGER:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::duplex;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn a_close_ends_our_side_first_and_reads_on_until_the_peer_ends_its_own() {
        let (ours, mut theirs) = duplex(64);
        let closing = tokio::spawn(close(ours));
        let mut rest = Vec::new();
        assert_eq!(theirs.read_to_end(&mut rest).await.unwrap(), 0, "our end came");
        for _ in 0..10 {
            theirs.write_all(&[b'x'; 64]).await.expect("what comes late is read");
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
