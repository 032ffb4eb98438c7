//! The delivery engine: sends the events of streams to clients of HTTP/1.x and HTTP/2, in the clear or over TLS 1.3.
//!
//! ```text
//!   Engine ──adopt──▶ Inbox ──▶ Shard (a thread, a poll)
//!   hub    ──changed─▶          ├ Group: the clients of one stream and framing
//!                               │   ├ Roster: those that are caught up share one cursor
//!                               │   └ the others: a cursor and a rest each
//!                               ├ Wheel: one deadline per client
//!                               └ Output: sockets of clients, and Carriers
//!   gateway ◀─ requests ──────────  Carrier: a connection of HTTP/2
//!           ── answers, adopt ──▶ Inbox
//! ```
//!
//! The words of this module:
//! - *Shard*: one thread, and the clients that it serves.
//! - *Group*: the clients on one shard that follow the same stream with the same framing.
//! - *Roster*: the list of a group's clients that are caught up. They share one cursor into the stream's replay log.
//! - *Batch*: the frames that one call sends to a client.
//! - *Pass*: the sending of one batch to every client on the roster.
//! - *Line*: the clients that are not caught up and can be sent something, in the order in which they came.
//! - *Wheel*: the timer structure that holds one deadline per client.
//! - *Carrier*: a connection of HTTP/2, which carries the streams of several clients. What they are sent in a turn goes out
//!   in one send.
//! - *Responder*: a stream of HTTP/2 in the hands of whoever answers its request.
//!
//! A batch is built once and sent to every client on the roster, so nothing is copied or queued per client. A client
//! costs a socket and a cursor, not a task. The engine gets response heads as bytes and a route's policy as
//! [`Terms`]. Of HTTP/1.x it knows only the chunked coding, and of HTTP/2 all that concerns a connection ([`h2`]). Requests of
//! HTTP/2 are decided elsewhere ([`Requests`]).

mod alone;
mod arrival;
mod batch;
mod behind;
mod bounds;
mod carrier;
mod caught_up;
mod client;
mod effort;
mod engine;
mod group;
pub mod h2;
mod inbox;
mod joining;
mod keys;
mod line;
mod link;
mod members;
mod moving;
mod on_the_way;
mod output;
mod policy;
mod question;
mod releasing;
mod replays;
mod responder;
mod ring;
mod roster;
mod rounds;
mod sender;
mod sending;
mod shard;
mod sink;
mod strays;
mod table;
mod terms;
mod trust;
mod wave;
mod wheel;

pub use arrival::{Arrival, Delivery};
pub use batch::Framing;
pub use bounds::{UNSENT_BYTES, bound_stream};
pub use engine::{Engine, Refused};
pub use joining::{Carried, CarriedAgain, CarrierParts, Joining, Rejoining};
pub use moving::{
    CarrierPassage, ClientPassage, MovingCarrier, MovingClient, MovingSocket, Past, Released, Returning, SocketPassage,
};
pub use on_the_way::on_the_way;
pub use policy::{
    Because, Beyond, Due, Fallen, LINGER, LastSent, Pace, Pass, Phase, Schedule, Standing, Then, due_while_blocked,
};
pub use question::ClientView;
pub use releasing::Releasing;
pub use responder::{Asked, Gone, Incoming, Requests, Responder};
pub use sender::Sending;
pub use sending::{end_on_close, limit_stall, reset_on_close};
#[cfg(all(fuzzing, not(test)))]
pub use shard::tests::try_operations;
pub use terms::{Farewell, Home, MOST_KEPT_BYTES, Renewal, Sent, Terms};
pub use trust::Trust;
