//! Tests of the gateway's parts; the whole is told in stories.

mod deadlines;
mod front;
mod handover;
mod proxy;
mod refusal;
