//! Tests of the gateway's parts; the whole is told in stories.

mod deadlines;
mod front;
mod handover;
mod heads;
mod plan;
mod proxy;
mod refusal;
