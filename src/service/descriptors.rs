//! The process's limit of open files, which bounds the number of clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The smallest number of descriptors that is kept for connections to origins, listeners and the log. A sixteenth of
/// the limit is kept if that is more.
const LEAST_RESERVE: usize = 64;

/// Raises the soft limit to the hard limit, which needs no privilege. Returns how many clients fit under the limit.
pub(super) fn for_clients() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            log::warn!("cannot raise the limit of open files: {error}");
            limit.current
        }
    };
    places(current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn places(descriptors: usize) -> usize {
    descriptors.saturating_sub(LEAST_RESERVE.max(descriptors / 16)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_for_origins() {
        assert_eq!(places(1024), 1024 - 64);
        assert_eq!(places(256), 192);
        assert_eq!(places(20_000), 18_750);
        assert_eq!(places(10), 1);
    }
}
