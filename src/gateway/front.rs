//! What stands in front of pingora: the first bytes of a connection.
//!
//! pingora peeks for exactly 24 bytes of the HTTP/2 preface without a timeout, and limits a head only at 1 MiB and each read
//! alone in time. So the first bytes are read here, in whatever pieces they come, until they are a preface or a whole head;
//! then they are put back and pingora goes on with the question decided.

use super::Gateway;
use super::places::Places;
use super::sessions::Sessions;
use super::socket;
use crate::upstream::MAX_PEERS;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of empty lines before a request line that are put up with.
const MAX_BLANK: usize = 64;

/// The bytes of the longest end of a head.
const LONGEST_END: usize = 4;

/// The time for a head where there is no place: silent connections must not use up the descriptors.
const WITHOUT_A_PLACE: Duration = Duration::from_secs(1);

/// The limits of a connection's first head.
#[derive(Debug, Clone, Copy)]
pub struct FrontOptions {
    /// Bytes of a request head; beyond: 431. Enough for the largest cookies that browsers send.
    pub head_bytes: usize,
    /// Time for the whole first head, from the connection on; beyond: 408, or nothing where nothing was sent.
    pub head_time: Duration,
    /// Connections open at once; beyond: 503.
    pub max_connections: usize,
}

impl Default for FrontOptions {
    fn default() -> Self {
        Self { head_bytes: 64 << 10, head_time: Duration::from_secs(20), max_connections: usize::MAX }
    }
}

/// The application of a listening service.
#[derive(Debug)]
pub struct Front {
    options: FrontOptions,
    http1: Arc<Sessions>,
    http2: Arc<Sessions>,
    places: Arc<Places>,
}

/// What the first bytes are.
#[derive(Debug, PartialEq, Eq)]
enum First {
    Http1(Vec<u8>),
    Http2(Vec<u8>),
    TooLarge,
    TooSlow,
    Nothing,
}

impl Front {
    /// A front for a gateway. `alive` is held by every connection, wherever it is served.
    #[must_use]
    pub fn new(options: FrontOptions, gateway: Gateway, alive: mpsc::Sender<()>) -> Self {
        let conf = ServerConf { max_retries: MAX_PEERS, ..ServerConf::default() };
        let mut proxy = HttpProxy::new(gateway, Arc::new(conf));
        proxy.handle_init_modules();
        let proxy = Arc::new(proxy);
        let [http1, http2] = [false, true].map(|h2c| Arc::new(Sessions::new(Arc::clone(&proxy), h2c)));
        Self { options, http1, http2, places: Places::new(options.max_connections, alive) }
    }

    async fn first(&self, stream: &mut L4Stream, head_time: Duration) -> First {
        let mut bytes = Vec::with_capacity(1024);
        let read = timeout(head_time, async {
            let mut scanned = 0;
            loop {
                match judge(&bytes, scanned, self.options.head_bytes) {
                    Judgement::Incomplete => {}
                    Judgement::Preface => return First::Http2(std::mem::take(&mut bytes)),
                    Judgement::Head => return First::Http1(std::mem::take(&mut bytes)),
                    Judgement::TooLarge => return First::TooLarge,
                }
                scanned = bytes.len();
                match stream.read_buf(&mut bytes).await {
                    Ok(0) | Err(_) => return First::Nothing,
                    Ok(_) => {}
                }
            }
        });
        match read.await {
            Ok(first) => first,
            Err(_) if bytes.is_empty() => First::Nothing,
            Err(_) => First::TooSlow,
        }
    }
}

#[async_trait]
impl ServerApp for Front {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let place = self.places.take();
        socket::prepare(&stream);
        let mut stopping = shutdown.clone();
        let Ok(mut stream) = stream.into_any().downcast::<L4Stream>() else { return None };
        let head_time =
            if place.is_some() { self.options.head_time } else { WITHOUT_A_PLACE.min(self.options.head_time) };
        let first = tokio::select! {
            first = self.first(&mut stream, head_time) => first,
            _ = stopping.wait_for(|stopping| *stopping) => return None,
        };
        match (first, place) {
            (First::Http1(bytes), Some(place)) => {
                stream.rewind(&bytes);
                place.during(ServerApp::process_new(&self.http1, stream, shutdown)).await
            }
            (First::Http2(bytes), Some(_place)) => {
                stream.rewind(&bytes);
                ServerApp::process_new(&self.http2, stream, shutdown).await
            }
            (First::Http1(_) | First::Http2(_), None) => refuse(stream, "503 Service Unavailable").await,
            (First::TooLarge, _) => refuse(stream, "431 Request Header Fields Too Large").await,
            (First::TooSlow, _) => refuse(stream, "408 Request Timeout").await,
            (First::Nothing, _) => None,
        }
    }

    async fn cleanup(&self) {
        HttpServerApp::http_cleanup(&*self.http1).await;
        HttpServerApp::http_cleanup(&*self.http2).await;
    }
}

/// Answers in place of pingora, and closes.
async fn refuse(mut stream: Box<L4Stream>, status: &str) -> Option<Stream> {
    let answer = format!("HTTP/1.1 {status}\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let written = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await
    };
    if let Err(error) = written.await {
        log::debug!("client gone before its {status}: {error}");
        return None;
    }
    super::sessions::close(stream).await;
    None
}

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Incomplete,
    Preface,
    Head,
    TooLarge,
}

/// What the bytes so far are, of which `scanned` held no end of a head. An empty line ends a head, with CR or without
/// (RFC 9112 section 2.2); a few empty lines before the request line are not it.
fn judge(bytes: &[u8], scanned: usize, most: usize) -> Judgement {
    if bytes.starts_with(PREFACE) {
        return Judgement::Preface;
    }
    let blank = bytes.iter().take(MAX_BLANK).take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let from = scanned.saturating_sub(LONGEST_END - 1).max(blank);
    let unread = bytes.get(from..).unwrap_or_default();
    let ends = |end: &[u8]| memchr::memmem::find(unread, end).map(|at| from + at + end.len());
    let end = [ends(b"\r\n\r\n"), ends(b"\n\n"), ends(b"\n\r\n")].into_iter().flatten().min();
    let may_be_preface = PREFACE.starts_with(bytes.get(blank..).unwrap_or_default());
    match end {
        // What follows the head is not counted.
        Some(end) if end <= most && !may_be_preface => Judgement::Head,
        Some(end) if end > most => Judgement::TooLarge,
        _ if bytes.len() > most || blank == MAX_BLANK => Judgement::TooLarge,
        _ => Judgement::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_are_judged_in_whatever_pieces_they_come() {
        let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nmore";
        for end in 0..27 {
            assert_eq!(judge(&head[..end], 0, 100), Judgement::Incomplete, "{end}");
        }
        for end in 27..=head.len() {
            assert_eq!(judge(&head[..end], 0, 27), Judgement::Head, "{end}");
            assert_eq!(judge(&head[..end], 0, 26), Judgement::TooLarge, "{end}");
        }
        for end in 0..PREFACE.len() {
            assert_eq!(judge(&PREFACE[..end], 0, 100), Judgement::Incomplete, "{end}");
        }
        assert_eq!(judge(PREFACE, 0, 100), Judgement::Preface);
    }

    #[test]
    fn what_was_scanned_is_not_scanned_again_and_no_end_is_missed() {
        for head in
            [&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], b"GET / HTTP/1.1\nhost: a\n\n", b"\r\nGET / HTTP/1.1\n\r\n"]
        {
            for scanned in 0..head.len() {
                assert_eq!(judge(head, scanned, 100), Judgement::Head, "{scanned} of {head:?}");
            }
        }
    }

    #[test]
    fn bare_line_feeds_and_leading_empty_lines_are_understood() {
        assert_eq!(judge(b"GET / HTTP/1.1\nhost: a\n\n", 0, 100), Judgement::Head);
        assert_eq!(judge(b"\r\n\r\n", 0, 100), Judgement::Incomplete);
        assert_eq!(judge(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", 0, 100), Judgement::Head);
        assert_eq!(judge(&[b'\n'; 63], 0, 100), Judgement::Incomplete);
        assert_eq!(judge(&[b'\n'; 64], 0, 100), Judgement::TooLarge);
    }
}
