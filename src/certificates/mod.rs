//! The certificates of the TLS listener: the bytes of files in, what rustls needs out.
//!
//! ```text
//!   cert, key ─▶ Pair ─────────────┐
//!   client_ca_file ─▶ Authorities ─┼─▶ Identity ─▶ rustls::ServerConfig
//!   ticket_keys_file ─▶ TicketKeys ┘
//! ```
//!
//! The module reads no files. It has no clock, except that tickets have a lifetime. It names no library of sockets.

mod chain;
mod choice;
mod clients;
mod identity;
mod key;
mod names;
mod pair;
mod presented;
mod subject;
#[cfg(test)]
mod tests;
mod tickets;
mod validity;

pub use chain::{Chain, InvalidChain};
pub use clients::{Authorities, ClientAuth, Clients};
pub use identity::{Alpn, Identity, IdentityOptions, NoIdentity};
pub use key::{InvalidKey, Key, KeyKind};
pub use names::Names;
pub use pair::{Pair, Unrelated};
pub use presented::Presented;
pub use subject::{AlternativeName, Subject};
pub use tickets::{InvalidTicketKeys, TicketKeys};
pub use validity::InTime;
