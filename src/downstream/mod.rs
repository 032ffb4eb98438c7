//! The side toward the clients, as pure functions: response heads, CORS, the resume request.

mod options;

pub use options::{AllowedOrigins, ClientOptions, CorsOptions, OnLag, RetryPolicy};
