//! Reads the configuration again when it is asked for: one reading at a time. What is asked for during a reading is done
//! once afterwards.
//!
//! ```text
//!           asked                asked
//!   Idle ──────────▶ Reading ──────────▶ Reading, again
//!     ▲               │    ▲                │
//!     └───── read ────┘    └───── read ─────┘
//! ```

use super::watched::{Look, Watched, look};
use crate::config::{Config, ConfigErrors, DEFAULT_FILE};
use crate::service::notify;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::sleep;

/// How often files are looked at.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Reads the configuration of a process, at first and again.
#[derive(Debug)]
pub struct Reads {
    /// The file that the command line names.
    named: Option<PathBuf>,
    watched: Watched,
    reading: Option<JoinHandle<Read>>,
    /// Another reading was asked for since the present one began.
    again: bool,
}

/// A configuration that was read, or why it cannot be used.
#[derive(Debug)]
pub struct Read {
    /// What the file and the environment say.
    pub config: Result<Config, ConfigErrors>,
    /// The state of the files before they were read.
    look: Look,
}

impl Read {
    /// Reads the configuration that the command line names, or the usual one.
    #[must_use]
    pub fn now(named: Option<&Path>) -> Self {
        Self::after(named, Vec::new())
    }

    /// `files`: those that the configuration is known to name.
    fn after(named: Option<&Path>, files: Vec<PathBuf>) -> Self {
        let before = look(files.iter().map(PathBuf::as_path).chain([of(named)]));
        let config = Config::load(named);
        let files = match &config {
            Ok(config) => config.settings.names.clone(),
            Err(_) => files,
        };
        let files = files.iter().map(PathBuf::as_path).chain([of(named)]);
        let mut now = look(files);
        // What changed while it was read counts as changed.
        for (path, stamp) in &mut now {
            if let Some((_, earlier)) = before.iter().find(|(other, _)| other == path) {
                *stamp = *earlier;
            }
        }
        now.sort_by(|one, other| one.0.cmp(&other.0));
        now.dedup();
        Self { config, look: now }
    }
}

fn of(named: Option<&Path>) -> &Path {
    named.unwrap_or_else(|| Path::new(DEFAULT_FILE))
}

impl Reads {
    /// Reads again what was read first.
    #[must_use]
    pub fn after(named: Option<PathBuf>, first: &Read) -> Self {
        Self { named, watched: Watched::new(first.look.clone()), reading: None, again: false }
    }

    /// Begins to read, or notes that it is to be done again. `why`: who asks, for the log.
    pub fn ask(&mut self, why: &str) {
        if self.reading.is_some() {
            log::info!("{why}: the configuration is being read, and will be read once more");
            self.again = true;
            return;
        }
        log::info!("{why}: reading the configuration");
        notify::reloading();
        self.begin();
    }

    fn begin(&mut self) {
        let (named, file) = (self.named.clone(), of(self.named.as_deref()).to_owned());
        let files = self.watched.files().into_iter().filter(|path| *path != file).collect();
        self.reading = Some(spawn_blocking(move || Read::after(named.as_deref(), files)));
    }

    /// Resolves when a configuration was read. `watches`: files are looked at, and a change is a question, too.
    /// Cancel-safe.
    pub async fn next(&mut self, watches: bool) -> Result<Config, ConfigErrors> {
        loop {
            match &mut self.reading {
                Some(reading) => {
                    let read = reading.await;
                    self.reading = None;
                    if let Some(read) = self.done(read) {
                        return read;
                    }
                }
                None if watches => {
                    sleep(LOOKS_EVERY).await;
                    let files = self.watched.files();
                    let now = spawn_blocking(move || look(files)).await.unwrap_or_default();
                    if self.watched.looked(now) {
                        self.ask("configuration file changed");
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// A reading is over. `None`: another one follows.
    fn done(&mut self, read: Result<Read, JoinError>) -> Option<Result<Config, ConfigErrors>> {
        if std::mem::take(&mut self.again) {
            self.begin();
            return None;
        }
        // A panic was logged where it happened.
        let read = read.ok()?;
        self.watched = Watched::new(read.look);
        Some(read.config)
    }
}
