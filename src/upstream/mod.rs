//! The side toward the origin: one driver task per stream.

mod attempts;
mod backfill;
mod connect;
mod driver;
mod exchange;
mod options;
mod origin;
mod outage;
mod reading;

pub use backfill::backfill;
pub use connect::{ConnectError, Connector, Request, Response, USER_AGENT, advised, peer, resolve};
pub use driver::{Driver, DriverSettings, SharingCheck};
pub use exchange::{Audience, Outcome, attempt, unusable};
pub use options::{Backoff, InvalidBackoff, OnClose, OnError, UpstreamOptions};
pub use origin::{InvalidOrigin, Origin};
pub use outage::Outages;
