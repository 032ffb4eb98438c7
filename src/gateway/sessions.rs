//! pingora's proxy, wrapped: what happens to a connection between two requests, and at its end.

use super::Gateway;
use super::handover::HandOver;
use crate::fanout::LINGER;
use async_trait::async_trait;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// Bytes read and dropped at a time until then.
const LINGER_BYTES: usize = 4096;

/// How long a kept-alive connection may take for its next request's head, idle time included.
const NEXT_HEAD: Duration = Duration::from_secs(75);

/// An HTTP/2 connection without a stream is closed after this.
const HTTP2_IDLE: Duration = Duration::from_secs(75);

/// Streams that one HTTP/2 connection may have open at once.
const HTTP2_STREAMS: u32 = 256;

/// The user context of a connection whose stream is over: it is to be closed in an orderly way.
pub(super) struct StreamEnded;

/// The user context of a connection that waits for its next request: the deadline of that request's head.
#[derive(Clone, Default)]
pub(super) struct HeadDeadline(Arc<AtomicBool>);

impl HeadDeadline {
    /// The head came: the deadline is none any more.
    pub(super) fn disarm(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Resolves when the deadline passes, and never once it is disarmed.
    async fn passed(&self) {
        sleep(NEXT_HEAD).await;
        if self.0.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
    }
}

/// One protocol's sessions.
pub(super) struct Sessions {
    proxy: Arc<HttpProxy<Gateway>>,
    options: HttpServerOptions,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("h2c", &self.options.h2c).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Sessions of HTTP/1.x, or of HTTP/2 with prior knowledge.
    pub(super) fn new(proxy: Arc<HttpProxy<Gateway>>, h2c: bool) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = h2c;
        options.h2_idle_timeout = Some(HTTP2_IDLE);
        Self { proxy, options }
    }
}

#[async_trait]
impl HttpServerApp for Sessions {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let context = session.take_connection_user_context();
        let deadline = context.and_then(|context| context.downcast::<HeadDeadline>().ok());
        session.set_connection_user_context(deadline.clone().map(|deadline| deadline as _));
        let served = HttpServerApp::process_new_http(&self.proxy, session, shutdown);
        let reused = match deadline {
            None => served.await?,
            Some(deadline) => tokio::select! {
                reused = served => reused?,
                () = deadline.passed() => return None,
            },
        };
        let (stream, mut settings) = reused.consume();
        let context = settings.as_mut().and_then(HttpPersistentSettings::take_user_context);
        let context = match context.map(|context| context.downcast::<HandOver>()) {
            Some(Ok(client)) => {
                client.complete(stream).await;
                return None;
            }
            Some(Err(context)) => Some(context),
            None => None,
        };
        if context.is_some_and(|context| context.is::<StreamEnded>()) {
            close(stream).await;
            return None;
        }
        if let Some(settings) = settings.as_mut() {
            settings.set_user_context(Box::new(HeadDeadline::default()));
        }
        Some(ReusedHttpStream::new(stream, settings))
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_concurrent_streams(HTTP2_STREAMS);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    async fn http_cleanup(&self) {
        HttpServerApp::http_cleanup(&*self.proxy).await;
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
    use tokio::io::duplex;
    use tokio::time::Instant;

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

    #[tokio::test(start_paused = true)]
    async fn the_deadline_of_a_head_passes_unless_the_head_came() {
        let deadline = HeadDeadline::default();
        let begun = Instant::now();
        deadline.passed().await;
        assert_eq!(begun.elapsed().as_secs(), NEXT_HEAD.as_secs());
        let disarmed = deadline.clone();
        let waiting = tokio::spawn(async move { timeout(10 * NEXT_HEAD, deadline.passed()).await });
        sleep(NEXT_HEAD / 2).await;
        disarmed.disarm();
        assert!(waiting.await.unwrap().is_err());
    }
}
