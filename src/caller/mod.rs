//! Who a client is: what an operator wants to know of it.
//!
//! There is one for every client, for as long as the client is served. So what nearly all clients have is kept in few
//! bytes, and what few of them have is kept in a place of its own:
//!
//! ```text
//!   Caller ─┬─ IPv4 address, number of the request
//!           ├─▶ Looks    user agent, page origin: one for all clients that share both
//!           └─▶ More     IPv6 address, request id of its own, Last-Event-ID
//!                 └─▶ Grant    what its credential permits
//! ```

mod grant;
mod looks;
mod request_id;
mod state;
#[cfg(test)]
mod tests;

pub use grant::{Grant, NoTicketId, Over, TicketId};
pub use looks::Looks;
pub use request_id::RequestId;
pub(crate) use request_id::X_REQUEST_ID;
pub use state::CallerState;

use bytes::Bytes;
use http::HeaderMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The most bytes that are kept of a client's `Last-Event-ID`.
const MOST_OF_LAST_ID: usize = 256;

/// Who a client is. The default is a client of which nothing is kept.
#[derive(Clone, Default)]
pub struct Caller {
    looks: Option<Arc<Looks>>,
    more: Option<Box<More>>,
    /// The number of the request, if it has no id in `more`. 0: there is none.
    number: u64,
    /// `None`: unknown, or in `more`.
    v4: Option<Ipv4Addr>,
}

/// What few clients have.
#[derive(Debug, Clone, Default)]
struct More {
    address: Option<IpAddr>,
    request_id: Option<Box<str>>,
    last_event_id: Option<Box<str>>,
    grant: Option<Arc<Grant>>,
}

impl Caller {
    /// The client of a request with these fields. `address`: what is known of where it is, as a trusted proxy says it or
    /// else as the connection does. `keeps_looks`: whether somebody asks for its user agent and its page's origin.
    #[must_use]
    pub fn of(headers: &HeaderMap, address: Option<IpAddr>, keeps_looks: bool) -> Self {
        let (number, request_id) = match RequestId::of(headers) {
            RequestId::Made(number) => (number, None),
            RequestId::Taken(id) => (0, Some(id)),
        };
        let mut caller =
            Self { looks: if keeps_looks { Looks::of(headers) } else { None }, more: None, number, v4: None };
        match address {
            Some(IpAddr::V4(address)) => caller.v4 = Some(address),
            Some(address) => caller.more().address = Some(address),
            None => {}
        }
        if request_id.is_some() {
            caller.more().request_id = request_id;
        }
        caller
    }

    /// The same client, which came with this `Last-Event-ID`.
    #[must_use]
    pub fn resuming(mut self, last_event_id: Option<&Bytes>) -> Self {
        if let Some(id) = last_event_id {
            self.more().last_event_id = Some(text(id, MOST_OF_LAST_ID));
        }
        self
    }

    /// The same client, whose credential permits this.
    #[must_use]
    pub fn granted(mut self, grant: Option<Arc<Grant>>) -> Self {
        if grant.is_some() {
            self.more().grant = grant;
        }
        self
    }

    /// What the client's credential permits. `None`: the route asks for none.
    #[must_use]
    pub fn grant(&self) -> Option<&Arc<Grant>> {
        self.more.as_ref()?.grant.as_ref()
    }

    /// How long the client's permission lasts from now on. `None`: it needs none, or it has no end of its own.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.grant()?.left(SystemTime::now())
    }

    /// Where the client is. `None`: it came through a Unix socket, its address is hidden, or nothing is kept.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.v4.map(IpAddr::V4).or_else(|| self.more.as_ref()?.address)
    }

    /// Its `User-Agent`, shortened.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.looks.as_ref()?.user_agent()
    }

    /// The origin of the page that sent the request, shortened: its `Origin`, or else that of its `Referer`.
    #[must_use]
    pub fn page_origin(&self) -> Option<&str> {
        self.looks.as_ref()?.page_origin()
    }

    /// The id of the request, which it came with or which was made for it. `None`: nothing is kept.
    #[must_use]
    pub fn request_id(&self) -> Option<RequestId> {
        let taken = self.more.as_ref().and_then(|more| more.request_id.clone()).map(RequestId::Taken);
        taken.or_else(|| (self.number != 0).then_some(RequestId::Made(self.number)))
    }

    /// The `Last-Event-ID` that the client came with, shortened.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.more.as_ref()?.last_event_id.as_deref()
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("address", &self.address())
            .field("user_agent", &self.user_agent())
            .field("page_origin", &self.page_origin())
            .field("request_id", &self.request_id())
            .field("last_event_id", &self.last_event_id())
            .field("grant", &self.grant())
            .finish()
    }
}

/// The beginning of a stranger's text, of at most `most` bytes. What is not UTF-8 is replaced.
fn text(bytes: &[u8], most: usize) -> Box<str> {
    let cut = bytes.get(..most).unwrap_or(bytes);
    let whole = String::from_utf8_lossy(cut);
    // The cut may be in the middle of a character, which is then left out.
    let is_cut = cut.len() < bytes.len();
    let end = if is_cut { whole.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &whole };
    end.into()
}
