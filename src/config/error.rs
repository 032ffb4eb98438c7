//! What is wrong with a configuration, in words for the one who wrote it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Everything that is wrong with a configuration: never empty. Its `Display` is one line per error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: Option<PathBuf>,
    errors: Vec<ConfigError>,
}

/// One thing that is wrong with a configuration. It holds no value of an upstream header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Line and, for an error of the TOML syntax, column; both from 1.
    pub(super) place: Option<(usize, Option<usize>)>,
    /// The full path of the key, such as `routes[0].client.heartbeat_secs`.
    pub(super) key: Option<String>,
    /// The value as written, if it may be shown.
    pub(super) value: Option<String>,
    /// The rule that was broken.
    pub(super) rule: String,
}

impl ConfigErrors {
    /// `errors` must not be empty.
    pub(super) fn new(errors: Vec<ConfigError>) -> Self {
        debug_assert!(!errors.is_empty());
        Self { file: None, errors }
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let rule = format!("cannot be read: {error}");
        Self::new(vec![ConfigError { place: None, key: None, value: None, rule }]).of_file(path)
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
                // `file:line:column`, as compilers say it, so that editors find the place.
                Some(file) => {
                    write!(f, "{}", file.display())?;
                    if let Some((line, column)) = error.place {
                        write!(f, ":{line}")?;
                        column.map_or(Ok(()), |column| write!(f, ":{column}"))?;
                    }
                    write!(f, ": {}", error.statement())?;
                }
                None => write!(f, "{error}")?,
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
            Some((line, Some(column))) => write!(f, "line {line}, column {column}: ")?,
            Some((line, None)) => write!(f, "line {line}: ")?,
            None => {}
        }
        f.write_str(&self.statement())
    }
}
