//! The side toward the clients, as pure functions: response heads, CORS, sharing, and the id to resume after.

mod content_type;
mod cors;
mod head;
mod jitter;
mod options;
mod resume;
mod sharing;

pub use cors::{CorsAnswer, Preflight};
pub use head::{own_head, refusal_head, stream_head, unshareable_head};
pub use jitter::{lifetime, spread};
pub use options::{AllowedOrigins, ClientOptions, CorsOptions, OnLag, RetryPolicy};
pub use resume::{LAST_EVENT_ID_PARAMETERS, last_event_id, without_last_event_id};
pub use sharing::{SharingRefusal, SharingVerdict, sharing_verdict, unshareable_advice};
