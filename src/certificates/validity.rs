//! From when until when a certificate is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::Validity as Written;

/// How long before its end a certificate should have been renewed. Authorities that renew by themselves do so earlier.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

/// Whether a certificate is valid at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InTime {
    /// It is valid.
    Yes,
    /// It becomes valid then.
    NotYet(SystemTime),
    /// It is valid, and expires then, which is soon.
    Soon(SystemTime),
    /// It was valid until then.
    Expired(SystemTime),
}

impl Validity {
    pub(super) fn of(written: &Written) -> Self {
        Self { not_before: at(written.not_before.timestamp()), not_after: at(written.not_after.timestamp()) }
    }

    pub(super) fn is_in_time(&self, now: SystemTime) -> InTime {
        match *self {
            Self { not_before, .. } if now < not_before => InTime::NotYet(not_before),
            Self { not_after, .. } if now > not_after => InTime::Expired(not_after),
            Self { not_after, .. } if now + SOON > not_after => InTime::Soon(not_after),
            Self { .. } => InTime::Yes,
        }
    }
}

/// The time so many seconds after 1970. A time before that is as good as its beginning.
fn at(secs: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(secs).unwrap_or(0))
}
