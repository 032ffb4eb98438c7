//! `[log]`: the form of log lines, and which access lines are written.

use super::reader::Section;
use super::value::{seconds, word};
use crate::access::Access;
use std::time::Duration;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A sentence and `key=value` pairs.
    #[default]
    Text,
    /// One JSON object in each line.
    Json,
}

/// The form of log lines, and which access lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// The form of every line.
    pub format: LogFormat,
    /// Which access lines are written.
    pub access: Access,
    /// How often a line is written while a client stays, with [`Access::All`].
    pub access_every: Duration,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, access: Access::End, access_every: Duration::from_secs(300) }
    }
}

pub(super) fn read(mut section: Section<'_>) -> LogConfig {
    let mut log = LogConfig::default();
    section.set(&mut log.format, "format", word(&[("text", LogFormat::Text), ("json", LogFormat::Json)]));
    let access = [("off", Access::Off), ("end", Access::End), ("all", Access::All)];
    section.set(&mut log.access, "access", word(&access));
    let every = section.set(&mut log.access_every, "access_every_secs", seconds);
    if let Some(item) = every.filter(|_| log.access_every < Duration::from_secs(1)) {
        item.fail("must be at least 1 second");
    }
    section.finish();
    log
}
