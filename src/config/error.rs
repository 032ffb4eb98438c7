//! The errors of a configuration, in words for its author.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// All errors of a configuration. There is at least one. `Display` writes one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: Option<PathBuf>,
    errors: Vec<ConfigError>,
}

/// One error of a configuration. It holds no value of an upstream header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) place: Place,
    /// The full path of the key, such as `routes[0].client.heartbeat_secs`.
    pub(super) key: Option<String>,
    /// The value as written, if it may be shown.
    pub(super) value: Option<String>,
    /// The rule that was broken.
    pub(super) rule: String,
}

/// Where an error is. Errors are reported in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In the text as a whole, for example because something is missing.
    Text,
    /// At a line and a column. Both count from 1.
    At { line: usize, column: usize },
    /// In an environment variable, which is the key.
    Environment,
    /// Nowhere: there is neither a file nor a variable.
    Nowhere,
}

impl ConfigErrors {
    /// `errors` must not be empty.
    pub(super) fn new(errors: Vec<ConfigError>) -> Self {
        debug_assert!(!errors.is_empty());
        Self { file: None, errors }
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let rule = format!("cannot be read: {error}");
        Self::new(vec![ConfigError { place: Place::Text, key: None, value: None, rule }]).of_file(path)
    }

    /// The error that there is nothing to read.
    pub(super) fn nothing(rule: String) -> Self {
        Self::new(vec![ConfigError { place: Place::Nowhere, key: None, value: None, rule }])
    }

    pub(super) fn of_file(self, path: &Path) -> Self {
        Self { file: Some(path.to_owned()), ..self }
    }

    /// The errors, in the order of the text.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            match &self.file {
                // `file:line:column`, the form that compilers use, so that editors find the place.
                Some(file) if error.place < Place::Environment => {
                    write!(f, "{}", file.display())?;
                    if let Place::At { line, column } = error.place {
                        write!(f, ":{line}:{column}")?;
                    }
                    write!(f, ": {}", error.statement())?;
                }
                _ => write!(f, "{error}")?,
            }
        }
        Ok(())
    }
}

impl ConfigError {
    /// `key = value: rule`.
    fn statement(&self) -> String {
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => format!("{key} = {value}: {}", self.rule),
            (Some(key), None) => format!("{key}: {}", self.rule),
            (None, _) => self.rule.clone(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::At { line, column } => write!(f, "line {line}, column {column}: ")?,
            Place::Text | Place::Environment | Place::Nowhere => {}
        }
        f.write_str(&self.statement())
    }
}
