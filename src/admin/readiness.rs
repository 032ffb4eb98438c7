//! Whether new clients should be sent to this process.
//!
//! ```text
//!            the accepting task ends
//!   Ready ───────────────────────────▶ NotListening
//!     │
//!     └── SIGTERM, SIGQUIT ──▶ Draining ──▶ the process ends
//! ```

use crate::gateway::Lifecycle;
use http::StatusCode;

/// Whether new clients should be sent to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    Draining,
    NotListening,
}

impl Readiness {
    /// A draining process does not accept clients either. The drain is then the reason that is given.
    pub(super) fn of(lifecycle: Lifecycle, is_accepting: bool) -> Self {
        match (lifecycle, is_accepting) {
            (Lifecycle::Draining(_), _) => Self::Draining,
            (Lifecycle::Running, true) => Self::Ready,
            (Lifecycle::Running, false) => Self::NotListening,
        }
    }

    /// The answer to `/readyz`. `reload_failed`: the configuration that was read last had errors. The process serves by
    /// the one before, as well as ever, so it is ready all the same.
    pub(super) fn answer(self, reload_failed: bool) -> (StatusCode, &'static str) {
        match self {
            Self::Ready if reload_failed => {
                (StatusCode::OK, "ready; the last reload failed, and the old configuration stays\n")
            }
            Self::Ready => (StatusCode::OK, "ready\n"),
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            Self::NotListening => (StatusCode::SERVICE_UNAVAILABLE, "not listening\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[test]
    fn a_process_is_ready_while_it_accepts_clients() {
        let draining = Lifecycle::Draining(Instant::now());
        for (lifecycle, is_accepting, expected) in [
            (Lifecycle::Running, true, (200, "ready\n")),
            (Lifecycle::Running, false, (503, "not listening\n")),
            (draining, true, (503, "draining\n")),
            (draining, false, (503, "draining\n")),
        ] {
            let (status, text) = Readiness::of(lifecycle, is_accepting).answer(false);
            assert_eq!((status.as_u16(), text), expected, "{lifecycle:?} {is_accepting}");
            let (with_failure, text) = Readiness::of(lifecycle, is_accepting).answer(true);
            assert_eq!(with_failure, status, "a failed reload is not a reason to send clients elsewhere");
            assert_eq!(text.contains("reload failed"), status == StatusCode::OK, "{text}");
        }
    }
}
