//! The process's limit of open files, which bounds the number of connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::num::NonZeroUsize;

/// The descriptors that are kept for what is not counted: listeners, the runtime, the log, the admin address, look-ups
/// of names, and clients that are told that the process is full.
const RESERVE: usize = 64;
/// The descriptors of each thread of the delivery engine: a poll instance, a waker and a ring.
const OF_A_SHARD: usize = 3;
/// Unless the configuration says how many clients there may be, at least one part in this many is kept.
const RESERVED_PART: usize = 16;

/// How many connections the process may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Connections of clients and to origins together.
    pub(super) connections: usize,
    /// Connections of clients.
    pub(super) clients: usize,
}

/// The configuration allows more clients than the limit of open files does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "server.max_connections = {asked}: must be at most {most}, because the process may open {limit} files and needs some \
     for itself: raise the hard limit (LimitNOFILE= of systemd, --ulimit nofile= of a container, ulimit -Hn of a shell)"
)]
pub struct TooManyConnections {
    asked: usize,
    most: usize,
    limit: usize,
}

impl Room {
    /// Shares out `limit` descriptors. `asked`: the most clients that the configuration allows, if it says so.
    fn within(limit: usize, shards: usize, asked: Option<usize>) -> Result<Self, TooManyConnections> {
        let reserve = RESERVE.saturating_add(shards.saturating_mul(OF_A_SHARD));
        let most = limit.saturating_sub(reserve).max(1);
        match asked {
            Some(asked) if asked > most => Err(TooManyConnections { asked, most, limit }),
            Some(asked) => Ok(Self { connections: most, clients: asked }),
            None => {
                let most = limit.saturating_sub(reserve.max(limit / RESERVED_PART)).max(1);
                Ok(Self { connections: most, clients: most })
            }
        }
    }
}

/// Raises the soft limit of open files to the hard limit, which needs no privilege, and shares it out.
///
/// # Errors
/// When the configuration asks for more clients than there can be.
pub(super) fn room(shards: Option<NonZeroUsize>, asked: Option<usize>) -> Result<Room, TooManyConnections> {
    Room::within(raised(), shards.map_or(0, NonZeroUsize::get), asked)
}

/// Raises the soft limit to the hard limit. Returns the limit that is in force then.
fn raised() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            log::warn!("cannot raise the limit of open files: {error}");
            limit.current
        }
    };
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptors_are_shared_out() {
        for (limit, shards, asked, connections, clients) in [
            (1024, 0, None, 960, 960),
            (256, 2, None, 186, 186),
            (20_000, 2, None, 18_750, 18_750),
            (20_000, 2, Some(19_930), 19_930, 19_930),
            (20_000, 2, Some(100), 19_930, 100),
            (1_024, 64, Some(768), 768, 768),
            (10, 2, None, 1, 1),
            (usize::MAX, 2, Some(1_000_000), usize::MAX - 70, 1_000_000),
        ] {
            let room = Room { connections, clients };
            assert_eq!(Room::within(limit, shards, asked), Ok(room), "{limit} {shards} {asked:?}");
        }
    }

    #[test]
    fn more_clients_than_descriptors_are_an_error_that_names_the_most() {
        let error = Room::within(300, 2, Some(256)).unwrap_err();
        assert_eq!(error, TooManyConnections { asked: 256, most: 230, limit: 300 });
        assert!(error.to_string().starts_with("server.max_connections = 256: must be at most 230, "), "{error}");
    }
}
