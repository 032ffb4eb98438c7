//! The servers that are compared.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// A bare loop of send()
    Floor,
    /// This project's gateway, one worker thread and one shard
    Manifold,
    /// nginx with Nchan, one worker
    Nchan,
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Manifold => "manifold",
            Self::Nchan => "nchan",
        }
    }
}
