//! One attempt's way to an origin: the origin's addresses, and the TCP connection to one of them.

use super::admission::{Admission, Admitted};
use super::line::Line;
use super::places::{Held, Places};
use super::queue::{Slot, Slots};
use super::reason::{NamedBy, advised, reason};
use super::socket::{self, PROBE_AFTER, Unconnected, connect};
use super::upgrading::Upgrading;
use super::verification::Verification;
use crate::upstream::met::Met;
use crate::upstream::race::{self, Connecting, Race};
use crate::upstream::{Origin, UpstreamOptions};
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::connectors::l4::Connect;
use pingora::protocols::Digest;
use pingora::protocols::l4::socket::SocketAddr as L4Address;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::l4::virt::VirtualSocketStream;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long an idle connection is kept. It is less than five seconds, after which many origins close an idle
/// connection. If an origin closes a connection just when a request is sent on it, the request gets no answer. If it
/// may not be repeated, it is lost.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// The most failed addresses that a message names. For the others it gives only their number.
const MAX_NAMED: usize = 4;

/// The error of a connection for which there was no place. It is the status that the client of a proxied request gets.
const NO_PLACE: ErrorType = ErrorType::HTTPStatus(503);

/// The addresses of an origin that are left for one attempt. Each is used once, unless [`Dial::again`] allows it once
/// more.
#[derive(Debug)]
pub struct Dial {
    patience: Duration,
    usage: Usage,
    named_by: NamedBy,
    places: Places,
    slots: Arc<Slots>,
    /// The most connections to the origin.
    most: usize,
    verification: Verification,
    met: Met,
    state: Mutex<State>,
}

/// What the connections of an attempt are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// One stream.
    Stream,
    /// Requests of a proxy route. The connections are kept for other requests, which find them by the peer's address.
    /// So that address must be the one that is really connected.
    Kept,
    /// A proxied request that asks for an upgrade. It goes by HTTP/1.1, and its connection is not kept.
    Upgrade,
}

impl Usage {
    /// The number of descriptors that a connection needs. Those of a proxy have a [`Line`], which is a second one.
    fn descriptors(self) -> usize {
        match self {
            Self::Stream => 1,
            Self::Kept | Self::Upgrade => 2,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    race: Race,
    /// A connection that was made although the peer has another address. It is for the next peer.
    spare: Option<Connected>,
    /// The right to a connection to the origin. `None`: it is taken when a connection is to be made.
    slot: Option<Arc<Slot>>,
    /// What the next connection holds, if it was waited for.
    held: Option<Held>,
    admission: Admission,
    /// The address that was connected last.
    current: Option<SocketAddr>,
    failures: Vec<(SocketAddr, String)>,
    all_refused: bool,
    all_late: bool,
    all_without_place: bool,
    shortage: Option<Shortage>,
}

/// What there is none of, so that no connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// The origin has `max_upstreams` connections.
    Upstreams,
    /// The process has no descriptor left.
    Descriptors,
}

/// A TCP connection and its place.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) held: Held,
}

impl Dial {
    pub(super) fn new(
        addresses: Vec<SocketAddr>,
        (origin, named_by): (&Origin, NamedBy),
        options: &UpstreamOptions,
        usage: Usage,
        (places, slots): (Places, Arc<Slots>),
        met: Met,
    ) -> Arc<Self> {
        let race = Race::new(addresses);
        let state = State { race, all_refused: true, all_late: true, all_without_place: true, ..State::default() };
        let (patience, most) = (options.connect_timeout, options.most_upstreams());
        let (verification, state) = (Verification::new(origin, options), Mutex::new(state));
        Arc::new(Self { patience, usage, named_by, places, slots, most, verification, met, state })
    }

    /// Whether there is the right to a connection.
    pub(super) fn has_slot(&self) -> bool {
        self.state.lock().slot.is_some()
    }

    /// Makes the connections with this right to one.
    pub(super) fn hold(&self, slot: Slot) {
        self.state.lock().slot = Some(Arc::new(slot));
    }

    /// Whether another address is left.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let state = self.state.lock();
        state.spare.is_some() || state.race.next().is_some()
    }

    /// The next peer to connect to, at any of the addresses that are left. `None` if none is left.
    #[must_use]
    pub fn peer(self: &Arc<Self>, origin: &Origin, options: &UpstreamOptions) -> Option<HttpPeer> {
        let address = {
            let mut state = self.state.lock();
            state.current = None;
            state.spare.as_ref().map(|spare| spare.address).or_else(|| state.race.next())?
        };
        let mut peer = peer(origin, address, options);
        self.verification.apply(&mut peer);
        peer.options.custom_l4 = Some(Arc::clone(self) as Arc<dyn Connect + Send + Sync>);
        match self.usage {
            Usage::Stream => {}
            Usage::Kept => peer.options.idle_timeout = Some(KEPT_FOR),
            Usage::Upgrade => {
                peer.options.set_http_version(1, 1);
                // With a random key, no other request finds this connection, and this request finds no kept one.
                peer.group_key = fastrand::u64(..);
                peer.options.idle_timeout = Some(Duration::ZERO);
            }
        }
        Some(peer)
    }

    /// Makes a connection to any address that is left, for a stream.
    ///
    /// # Errors
    /// When no address is connected.
    pub(super) async fn connected(&self) -> pingora::Result<Connected> {
        self.state.lock().current = None;
        let connected = self.tcp().await?;
        self.state.lock().current = Some(connected.address);
        Ok(connected)
    }

    /// Checks a connection that was made to a peer, before anything is sent on it.
    ///
    /// # Errors
    /// Fails when the origin is not verified.
    pub fn admit(&self, peer: &HttpPeer, connection: Option<&Digest>) -> pingora::Result<()> {
        self.verification.admit(peer, connection)
    }

    /// Notes that the exchange on the newest connection failed. If the origin may be verified in the other way, the
    /// address is used once more.
    pub fn failed(&self, error: &Error, origin: &Origin) {
        if self.verification.changes(error) {
            self.again();
        } else {
            self.note(self.advised(error, origin));
        }
    }

    fn advised(&self, error: &Error, origin: &Origin) -> String {
        advised(error, (origin, self.named_by), !self.met.has_answered(origin))
    }

    /// What there was none of, so that no connection was made.
    #[must_use]
    pub fn shortage(&self) -> Option<Shortage> {
        self.state.lock().shortage
    }

    /// Notes that the origin answered with a head.
    pub fn answered(&self, origin: &Origin) {
        self.met.answered(origin);
    }

    /// Why a request failed and is not tried again, for one log line. `is_unanswered`: no response head came.
    #[must_use]
    pub fn why(&self, error: &Error, origin: &Origin, is_unanswered: bool) -> String {
        if !is_unanswered {
            return reason(error);
        }
        self.note(self.advised(error, origin));
        self.failures().unwrap_or_else(|| self.advised(error, origin))
    }

    /// Notes why the newest connection failed. Nothing is noted if this attempt has made no connection. Addresses that
    /// could not be connected to are noted already. A kept connection of an earlier request says nothing about the
    /// addresses.
    pub fn note(&self, why: String) {
        let mut state = self.state.lock();
        if let Some(address) = state.current.take() {
            state.failures.push((address, why));
        }
    }

    /// Allows the address of the newest connection to be used once more.
    pub fn again(&self) {
        let mut state = self.state.lock();
        if let Some(address) = state.current.take() {
            state.race.again(address);
        }
    }

    /// All failures, for one log line. `None` if there were none.
    #[must_use]
    pub fn failures(&self) -> Option<String> {
        let state = self.state.lock();
        let named = state.failures.iter().take(MAX_NAMED).map(|(address, why)| format!("{address}: {why}"));
        let mut told = named.collect::<Vec<_>>().join("; ");
        if state.failures.len() > MAX_NAMED {
            told += &format!("; and {} more addresses", state.failures.len() - MAX_NAMED);
        }
        (!told.is_empty()).then_some(told)
    }

    /// Waits until a proxied request may make a connection. If it may not yet, the error leads to another try, which
    /// may find a kept connection.
    async fn admitted(&self) -> pingora::Result<()> {
        let admission = {
            let mut state = self.state.lock();
            if state.slot.is_some() {
                return Ok(());
            }
            std::mem::take(&mut state.admission)
        };
        let sizes = (self.most, self.usage.descriptors());
        let admitted = admission.wait((&self.places, &self.slots), sizes, self.patience).await;
        let mut state = self.state.lock();
        match admitted {
            Admitted::Now(held) => {
                state.slot = Some(Arc::clone(held.slot()));
                state.held = Some(held);
                Ok(())
            }
            Admitted::NotYet(admission) => {
                state.admission = admission;
                Error::e_explain(ErrorType::ConnectError, "no connection may be made yet")
            }
            Admitted::Never => {
                // No address is tried any more.
                state.race = Race::default();
                let is_full = self.slots.free(self.most) == 0;
                let (shortage, why) = if is_full {
                    (Shortage::Upstreams, format!("max_upstreams ({}) connections are open", self.most))
                } else {
                    (Shortage::Descriptors, socket::NO_PLACE.to_owned())
                };
                state.shortage = Some(shortage);
                Error::e_explain(NO_PLACE, why)
            }
        }
    }

    /// Makes a TCP connection to any address that is left. A caller that drops this half-way has no address left.
    async fn tcp(&self) -> pingora::Result<Connected> {
        if self.usage != Usage::Stream {
            self.admitted().await?;
        }
        let (mut race, slot, held) = {
            let mut state = self.state.lock();
            let slot = state.slot.clone();
            (std::mem::take(&mut state.race), slot, Mutex::new(state.held.take()))
        };
        let slot = slot.ok_or_else(|| Error::explain(ErrorType::InternalError, "no turn to connect"))?;
        let (patience, descriptors) = (self.patience, self.usage.descriptors());
        let connect = |address| -> Connecting<Connected, Unconnected> {
            let (places, slot, held) = (self.places.clone(), Arc::clone(&slot), held.lock().take());
            Box::pin(async move {
                let held = match held {
                    Some(held) => held,
                    None => Held::new(places.take(descriptors, patience).await.ok_or(Unconnected::NoPlace)?, slot),
                };
                let stream = connect(address, patience).await?;
                Ok(Connected { stream, address, held })
            })
        };
        // The next address may have a kept connection, so the race stops after each failure.
        let one_by_one = self.usage == Usage::Kept;
        let connected = race::run(&mut race, one_by_one, connect, |address, why| {
            self.state.lock().failed(address, &why, self.named_by)
        })
        .await;
        let kind = {
            let mut state = self.state.lock();
            state.race = race;
            match *state {
                State { all_without_place: true, .. } if connected.is_none() => {
                    state.shortage = Some(Shortage::Descriptors);
                    NO_PLACE
                }
                State { all_late: true, .. } => ErrorType::ConnectTimedout,
                State { all_refused: true, .. } => ErrorType::ConnectRefused,
                _ => ErrorType::ConnectError,
            }
        };
        connected
            .map(|(_, connected)| connected)
            .ok_or_else(|| Error::explain(kind, self.failures().unwrap_or_default()))
    }
}

impl State {
    fn failed(&mut self, address: SocketAddr, why: &Unconnected, named_by: NamedBy) {
        self.all_late &= matches!(why, Unconnected::Late);
        self.all_without_place &= matches!(why, Unconnected::NoPlace);
        self.all_refused &= matches!(why, Unconnected::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused);
        self.failures.push((address, why.words(named_by)));
    }
}

#[async_trait]
impl Connect for Dial {
    async fn connect(&self, named: &L4Address) -> pingora::Result<L4Stream> {
        let spare = self.state.lock().spare.take();
        let connected = match spare {
            Some(spare) => spare,
            None => self.tcp().await?,
        };
        let mut state = self.state.lock();
        state.current = Some(connected.address);
        if self.usage == Usage::Kept && named.as_inet() != Some(&connected.address) {
            state.spare = Some(connected);
            state.current = None;
            return Error::e_explain(ErrorType::ConnectError, "another address of the origin was connected");
        }
        drop(state);
        let Connected { stream, held, .. } = connected;
        let line = Line::of(&stream, held)
            .map_err(|error| Error::because(ErrorType::ConnectError, "cannot watch the connection", error))?;
        let mut stream = match self.usage {
            Usage::Upgrade => VirtualSocketStream::new(Box::new(Upgrading::new(stream))).into(),
            Usage::Kept | Usage::Stream => L4Stream::from(stream),
        };
        line.attach(&mut stream);
        Ok(stream)
    }
}

fn peer(origin: &Origin, address: SocketAddr, options: &UpstreamOptions) -> HttpPeer {
    // The SNI must not be empty, because that would turn verification off. For an IP address rustls sends no SNI, and
    // verifies the address itself.
    let mut peer = HttpPeer::new(address, origin.is_tls(), origin.bare_host().to_owned());
    // pingora uses this for TLS only. TCP connections are made here, with a time limit for each.
    peer.options.connection_timeout = Some(options.connect_timeout);
    peer.options.h2_ping_interval = Some(PROBE_AFTER);
    if origin.is_tls() {
        peer.options.set_http_version(2, 1);
        if let Some(trust) = &options.trusted {
            peer.options.ca = Some(trust.certificates());
            // Connections are kept apart by trust: a kept connection is used only by routes that trust the same
            // certificates.
            peer.group_key = trust.number();
        }
    }
    peer
}
