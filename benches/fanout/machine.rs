//! The machine that the figures come from. They are worth nothing without it.

use super::hardware::{cpu, kernel};
use super::target::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A machine and the programs that were run on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) manifold: String,
    /// The versions of the other servers that are installed.
    #[serde(default)]
    pub(crate) others: BTreeMap<Target, String>,
}

impl Machine {
    /// This machine, with the gateway that is measured.
    pub(crate) fn here(manifold: &Path, cores: usize, others: BTreeMap<Target, String>) -> Self {
        Self {
            cpu: cpu(),
            cores,
            kernel: kernel(),
            rustc: said(Command::new("rustc").arg("--version")),
            manifold: said(Command::new(manifold).arg("--version")),
            others,
        }
    }

    /// The programs that were measured.
    pub(crate) fn programs(&self) -> String {
        [&self.manifold].into_iter().chain(self.others.values()).map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// Whether it is the same machine, whatever programs ran on it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (&self.cpu, self.cores, &self.kernel) == (&other.cpu, other.cores, &other.kernel)
    }
}

fn said(command: &mut Command) -> String {
    let output = command.output().ok().and_then(|output| String::from_utf8(output.stdout).ok());
    output.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
