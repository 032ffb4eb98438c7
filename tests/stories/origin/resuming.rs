//! A perfect origin: it numbers its events, keeps them when it dies, and honours `Last-Event-ID`.

use super::exchange::over;
use super::{Exchange, Origin};
use std::ops::Deref;
use tokio::sync::watch;

/// Sends events 1, 2, 3 .. with `id: n` and `data: n` to every client: those after its `Last-Event-ID`, or else all.
pub struct ResumingOrigin {
    origin: Origin,
    /// The newest event.
    newest: watch::Sender<u64>,
}

impl ResumingOrigin {
    /// An origin with an empty history.
    pub fn start() -> Self {
        Self::with_start(|_| 0, 0)
    }

    /// An origin that sends only new events to a client without a `Last-Event-ID`.
    pub fn start_live() -> Self {
        Self::with_start(|newest| newest, 0)
    }

    /// The same with a further line of so many bytes in each event.
    pub fn start_padded(bytes: usize) -> Self {
        Self::with_start(|newest| newest, bytes)
    }

    fn with_start(start: fn(u64) -> u64, padding: usize) -> Self {
        let newest = watch::Sender::new(0);
        let history = newest.clone();
        let origin = Origin::answering(move |exchange| answer(exchange, history.subscribe(), start, padding));
        Self { origin, newest }
    }

    /// Adds the next event to the history, whether the origin runs or not.
    pub fn publish(&self) {
        self.newest.send_modify(|newest| *newest += 1);
    }
}

impl Deref for ResumingOrigin {
    type Target = Origin;

    fn deref(&self) -> &Origin {
        &self.origin
    }
}

async fn answer(exchange: Exchange, mut newest: watch::Receiver<u64>, start: fn(u64) -> u64, padding: usize) {
    let padding = if padding > 0 { format!("data: {}\n", "x".repeat(padding)) } else { String::new() };
    let begun = start(*newest.borrow());
    let mut sent: u64 = match exchange.request.headers.one("last-event-id").map(str::parse) {
        None => begun,
        Some(Ok(id)) => id,
        Some(Err(_)) => return exchange.reply(400, &[], "an id is a number").await,
    };
    let mut body = exchange.sse().await;
    let gone = body.watch_gone();
    loop {
        let target = *newest.borrow_and_update();
        while sent < target {
            sent += 1;
            // Sent in two pieces, so that a death may cut an event in half.
            body.raw(format!("id: {sent}\ndata:")).await;
            tokio::task::yield_now().await;
            body.raw(format!(" {sent}\n{padding}\n")).await;
        }
        tokio::select! {
            more = newest.changed() => if more.is_err() { return },
            () = over(gone.clone()) => return,
        }
    }
}
