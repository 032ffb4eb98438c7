//! The servers that are compared.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// A bare loop of send()
    Floor,
    /// This project's gateway, with one worker thread and one shard unless the case says otherwise
    Manifold,
    /// The same with HTTP/2 as pingora serves it, if the gateway has a choice
    Session,
    /// nginx with Nchan, one worker
    Nchan,
    /// Pushpin, all its processes
    Pushpin,
    /// Varnish, all clients on one streaming fetch
    Varnish,
    /// nginx that ends TLS in front of manifold, both together
    Terminator,
}

impl Target {
    /// The name in tables and in the style of pictures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Manifold => "manifold",
            Self::Session => "session",
            Self::Nchan => "nchan",
            Self::Pushpin => "pushpin",
            Self::Varnish => "varnish",
            Self::Terminator => "terminator",
        }
    }

    /// The server whose programs must be installed. `None`: nothing must be.
    pub(crate) fn needs(self) -> Option<Self> {
        match self {
            Self::Floor | Self::Manifold | Self::Session => None,
            Self::Nchan | Self::Pushpin | Self::Varnish => Some(self),
            Self::Terminator => Some(Self::Nchan),
        }
    }

    /// The number of answers that clients may await at a time while they connect.
    pub(crate) fn awaited(self) -> usize {
        match self {
            // Its processes drop messages to each other when more clients come, and answer some clients with 502.
            Self::Pushpin => 16,
            Self::Floor | Self::Manifold | Self::Session | Self::Nchan | Self::Varnish | Self::Terminator => 128,
        }
    }

    /// The name in pictures.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "bare send()",
            Self::Manifold => "manifold",
            Self::Session => "manifold, pingora's HTTP/2",
            Self::Nchan => "nginx + Nchan",
            Self::Pushpin => "Pushpin",
            Self::Varnish => "Varnish",
            Self::Terminator => "nginx + manifold",
        }
    }
}
