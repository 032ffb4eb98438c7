//! Tests of the gateway's parts. The stories test the whole.

mod deadlines;
mod front;
mod handover;
mod heads;
mod http2;
mod own_request;
mod plan;
mod proxy;
mod refusal;
