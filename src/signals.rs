//! The signals of this process. Some ask the process for something. The others would kill a process by default, and are
//! only logged here.
//!
//! ```text
//!   SIGINT                    ends the process at once
//!   SIGTERM                   ends the process after a drain
//!   SIGQUIT                   starts a new process in this one's place
//!   SIGHUP                    reads the configuration again
//!   SIGUSR1, SIGUSR2          write a line to the log
//! ```

use std::fmt;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The end of this process.
    End(End),
    /// SIGQUIT: a new process takes this one's place.
    HandOver,
    /// SIGHUP: the configuration is read again.
    Reload,
}

/// How this process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// SIGINT.
    AtOnce,
    /// SIGTERM.
    Drained,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "SIGINT",
            Self::Drained => "SIGTERM",
        })
    }
}

/// The signals of this process. They are handled from the time on when this value is made.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// Begins to handle the signals on the current runtime. From then on none of them kills this process.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next signal that asks for something.
    pub(crate) async fn next(&mut self) -> Asked {
        loop {
            tokio::select! {
                biased;
                _ = self.interrupt.recv() => return Asked::End(End::AtOnce),
                _ = self.terminate.recv() => return Asked::End(End::Drained),
                _ = self.quit.recv() => return Asked::HandOver,
                _ = self.hangup.recv() => return Asked::Reload,
                _ = self.user1.recv() => log::warn!(
                    "SIGUSR1: ignored: the log goes to standard error, so there is no file to open again"
                ),
                _ = self.user2.recv() => log::warn!(
                    "SIGUSR2: ignored: to replace this process by a new one, run manifold upgrade, or send SIGQUIT"
                ),
            }
        }
    }

    /// The next signal that ends this process, at a time when no other process can take its place and the configuration
    /// is not read again. A SIGQUIT or SIGHUP is logged with the reason `why_not`.
    pub(crate) async fn end(&mut self, why_not: &str) -> End {
        loop {
            match self.next().await {
                Asked::End(end) => return end,
                Asked::HandOver => log::warn!("SIGQUIT: {why_not}"),
                Asked::Reload => log::warn!("SIGHUP: {why_not}"),
            }
        }
    }

    /// Waits for a SIGINT while this process drains.
    pub(crate) async fn end_at_once(&mut self) {
        while self.end("ignored: this process drains").await == End::Drained {
            log::info!("{}: already draining", End::Drained);
        }
    }
}
