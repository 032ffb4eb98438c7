//! The id of a request, by which it is found in the logs of several programs.

use http::{HeaderMap, HeaderName};
use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The field in which a request bears its id.
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken. A longer one is replaced.
const LONGEST: usize = 128;

/// The id of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// The number that was made for a request that came without an id. It is shown after the number of the process.
    Made(u64),
    /// The request came with this id: visible ASCII characters.
    Taken(Box<str>),
}

impl RequestId {
    /// The id that a request bears in its fields. If it bears none, or more than one, or one that is too long or not of
    /// visible ASCII characters, an id is made.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut ids = headers.get_all(&X_REQUEST_ID).iter();
        let id = ids.next().filter(|_| ids.next().is_none()).and_then(|id| id.to_str().ok());
        let is_sane =
            |id: &&str| !id.is_empty() && id.len() <= LONGEST && id.bytes().all(|byte| byte.is_ascii_graphic());
        id.filter(is_sane).map_or_else(Self::made, |id| Self::Taken(id.into()))
    }

    /// The next id of this process.
    fn made() -> Self {
        /// The odd number that is nearest to 2^64 divided by the golden ratio. No number comes again before all others
        /// have come, and two that follow each other do not look alike.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(fastrand::u64(..)));
        Self::Made(NEXT.fetch_add(STEP, Ordering::Relaxed).max(1))
    }
}

/// As it is sent and logged. An id that was made has 32 hexadecimal digits.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));
        match self {
            Self::Made(number) => write!(f, "{:016x}{number:016x}", *PROCESS),
            Self::Taken(id) => f.write_str(id),
        }
    }
}
