//! Tests of the gateway's parts; the whole is told in stories.

mod departure;
mod front;
mod refusal;
