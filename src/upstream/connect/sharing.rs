//! Requests on connections that streams share.

use super::dial::Usage;
use super::exchange::{NoHead, by_http2};
use super::http2::{Carrier, Ended};
use super::places::WhenFull;
use super::pool::{Outcome, Way};
use super::queue::Slot;
use super::reach::Reach;
use super::reason::{NamedBy, advised};
use super::transport::Transport;
use super::{ConnectError, Connector, Response};
use crate::quoted;
use crate::upstream::{Origin, UpstreamOptions};
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How often a request is sent again that the origin has not begun to work on.
const MOST_TRIES: usize = 4;

/// How long an origin may take to show that it speaks HTTP/2 where TLS does not tell. One that speaks HTTP/1 may take
/// the beginning of HTTP/2 for a request that goes on.
const PROOF_PATIENCE: Duration = Duration::from_secs(2);

/// The longest that a client waits in silence until a connection may be made.
const QUEUE_PATIENCE: Duration = Duration::from_secs(30);

/// What came of a request.
pub(super) enum Shared {
    Response(Response),
    /// The stream needs a connection of its own. It may be there already.
    Alone(Option<Transport>),
}

impl Connector {
    /// Sends a request on a shared connection of HTTP/2, and makes that connection if there is none.
    ///
    /// # Errors
    /// As [`Connector::send`].
    pub(super) async fn send_shared(
        &self,
        reach: &Arc<Reach>,
        (origin, options): (&Origin, &UpstreamOptions),
        head: &RequestHeader,
        head_timeout: Option<Duration>,
    ) -> Result<Shared, ConnectError> {
        for _ in 0..MOST_TRIES {
            if !self.places.waits() && !self.has_room(origin, options, 0) {
                return Err(full(options));
            }
            let way = reach.pool.way(|report| self.connect_shared(reach, origin, options, report));
            let way = self.queued(way, options, head_timeout).await?;
            let seat = match way {
                Ok(Way::Seat(seat)) => seat,
                Ok(Way::Alone(transport)) => return Ok(Shared::Alone(transport)),
                Err(why) => return Err(ConnectError::Unreachable(why.to_string())),
            };
            let address = seat.carrier().address;
            match by_http2(seat, head, origin, head_timeout).await {
                Ok(response) => return Ok(Shared::Response(response)),
                Err(NoHead::Late) => return Err(ConnectError::HeadTimeout),
                Err(NoHead::Broken(error)) => {
                    let why = advised(&error, (origin, NamedBy::Route), !self.met.has_answered(origin));
                    return Err(ConnectError::Unreachable(format!("{address}: {why}")));
                }
                Err(NoHead::Unsent | NoHead::Endless) => {}
            }
        }
        Err(ConnectError::Unreachable("the origin accepts no more HTTP/2 streams".to_owned()))
    }

    /// Begins to make a connection, in a task of its own. So it goes on for others when the stream that needed it is
    /// abandoned.
    fn connect_shared(
        &self,
        reach: &Arc<Reach>,
        origin: &Origin,
        options: &UpstreamOptions,
        report: watch::Sender<Option<Outcome>>,
    ) {
        let (connector, reach) = (self.when_full(WhenFull::Wait), Arc::clone(reach));
        let (origin, options) = (origin.clone(), options.clone());
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = connector.connected_shared(&reach, &origin, &options) => outcome,
                () = report.closed() => return,
            };
            if reach.pool.settle(&outcome) {
                tell_http1(&origin);
            }
            report.send_replace(Some(outcome));
        });
    }

    /// The right to a connection of its own to the origin.
    ///
    /// # Errors
    /// When there is none, and the attempt does not wait, or not longer.
    pub(super) async fn turn_at(
        &self,
        reach: &Reach,
        options: &UpstreamOptions,
        head_timeout: Option<Duration>,
    ) -> Result<Slot, ConnectError> {
        let most = options.most_upstreams();
        if !self.places.waits() {
            return reach.slots.take(most).ok_or_else(|| full(options));
        }
        self.queued(reach.slots.turn(most), options, head_timeout).await
    }

    /// Waits until the attempt may connect. An attempt without a time limit for the head waits as long as is needed.
    async fn queued<T>(
        &self,
        turn: impl Future<Output = T>,
        options: &UpstreamOptions,
        head_timeout: Option<Duration>,
    ) -> Result<T, ConnectError> {
        let note = |is_queued| {
            if let Some(turn) = &self.turn {
                turn.queued(is_queued);
            }
        };
        note(true);
        let turn = match head_timeout {
            Some(patience) => timeout(patience.min(QUEUE_PATIENCE), turn).await.map_err(|_| full(options)),
            None => Ok(turn.await),
        };
        note(false);
        turn
    }

    /// Whether an attempt of a route could connect now, and this many more after it.
    pub(in crate::upstream) fn has_room(&self, origin: &Origin, options: &UpstreamOptions, more: usize) -> bool {
        let reach = self.reaches.to(origin, options.trusted.as_ref());
        options.multiplex && reach.pool.has_seat() || reach.slots.free(options.most_upstreams()) > more
    }

    /// Takes note of what a stream's own connection to the origin speaks.
    pub(super) fn note_speech(&self, reach: &Reach, origin: &Origin, is_http2: bool) {
        if is_http2 {
            reach.pool.speaks_http2();
        } else if reach.pool.speaks_http1() {
            tell_http1(origin);
        }
    }

    async fn connected_shared(&self, reach: &Reach, origin: &Origin, options: &UpstreamOptions) -> Outcome {
        let dial = match self.resolved((origin, NamedBy::Route), options, Usage::Stream).await {
            Ok(dial) => dial,
            Err(why) => return Outcome::Failed(why.into()),
        };
        dial.hold(reach.slots.turn(options.most_upstreams()).await);
        while dial.has_more() {
            let transport = match self.transport(&dial, reach, origin, options).await {
                Ok(transport) => transport,
                Err(error) => {
                    dial.failed(&error, origin);
                    continue;
                }
            };
            if origin.is_tls() && !transport.speaks_http2() {
                return Outcome::Http1(Arc::new(Mutex::new(Some(transport))));
            }
            let address = transport.address;
            let begun = Carrier::shared(transport, reach.pool.freed());
            let ended = match timeout(PROOF_PATIENCE, begun).await {
                Ok(Ok(carrier)) => {
                    log::debug!(
                        "HTTP/2 connection opened for many streams origin={} address={address}",
                        origin.root_url()
                    );
                    return Outcome::Carrier(carrier);
                }
                Ok(Err(ended)) => ended,
                Err(_) => Ended { words: "no HTTP/2 SETTINGS frame came".to_owned(), is_foreign: true },
            };
            log::debug!("no HTTP/2 address={address} why={}", quoted::reason(&ended.words));
            match (origin.is_tls(), ended.is_foreign) {
                (true, _) => dial.failed(&Error::explain(ErrorType::H2Error, ended.words), origin),
                (false, true) => return Outcome::Http1(Arc::default()),
                (false, false) => return Outcome::Closed,
            }
        }
        Outcome::Failed(dial.failures().unwrap_or_default().into())
    }
}

fn full(options: &UpstreamOptions) -> ConnectError {
    ConnectError::Full(options.most_upstreams())
}

fn tell_http1(origin: &Origin) {
    log::info!(
        "origin speaks HTTP/1.1 only: each of its streams has a connection of its own, although multiplex is on \
         origin={}",
        origin.root_url()
    );
}
