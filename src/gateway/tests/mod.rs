//! Tests of the gateway's parts. The stories test the whole.

mod deadlines;
mod front;
mod handover;
mod heads;
mod http2;
mod no_streams;
mod own_request;
mod plan;
mod proxy;
mod refusal;

pub(crate) use no_streams::NoStreams;

use super::Transport;
use tokio::net::TcpStream;

/// The socket of an accepted connection.
fn transport(accepted: TcpStream) -> Transport {
    let peer = accepted.peer_addr().ok();
    Transport::new(accepted.into_std().unwrap().into(), peer)
}
