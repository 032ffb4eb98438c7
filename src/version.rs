//! The version of this build.

/// The version, with the commit in brackets if this is a release build.
pub const VERSION: &str = env!("MANIFOLD_VERSION");
