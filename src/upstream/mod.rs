//! The side toward the origins. One driver task feeds each shared stream, and each client of a private route has an
//! exchange of its own.

mod attempts;
mod backfill;
mod connect;
mod driver;
mod due;
mod exchange;
mod lookup;
mod met;
mod news;
mod options;
mod origin;
mod outage;
mod own;
mod own_header;
mod pending;
mod race;
mod reading;
mod redirect;
mod reference;
mod settings;
mod told;
mod via;

pub use backfill::backfill;
pub use connect::{
    ConnectError, Connector, Dial, InvalidTrust, Line, MAX_PEERS, NamedBy, NoWire, Refusal, Request, Response, Secured,
    Shortage, SystemTrust, SystemTrustError, Trust, USER_AGENT, Unanswered, Usage, Wire, reason,
};
pub use driver::Driver;
pub use exchange::{Outcome, asks_to_return, attempt, unusable};
pub use news::{OutageNews, OutageView};
pub use options::{Backoff, InvalidBackoff, OnClose, OnError, UpstreamOptions};
pub use origin::{InvalidOrigin, Origin, read_url};
pub use outage::Outages;
pub use own::own_answer;
pub use own_header::{FileValue, OwnHeader, OwnValue, value_of, value_of_file};
pub use redirect::hide_origin;
pub use reference::{is_one_place, text_of, to_path, to_path_of};
pub use settings::{DriverSettings, SharingCheck};
pub use told::FirstAnswer;
pub use via::{appended, has_come_back, request_via};
