//! The figures that are kept: benches/results/results.json.

use super::Failure;
use super::figures::Runs;
use super::machine::Machine;
use super::scenarios::Scenario;
use super::trial::Trial;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Every run of every scenario, and where they ran.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// When the newest of them ended.
    pub(crate) date: String,
    pub(crate) trials: BTreeMap<Scenario, Vec<Trial>>,
}

impl Results {
    /// What was kept of this machine: figures of another one are not mixed with those to come.
    pub(crate) fn of(machine: Machine) -> Result<Self, Failure> {
        let kept = Self::kept()?.filter(|kept| kept.machine.is(&machine));
        let (date, trials) = kept.map_or_else(Default::default, |kept| (kept.date, kept.trials));
        Ok(Self { machine, date, trials })
    }

    /// What was kept; `None`: nothing was.
    pub(crate) fn kept() -> Result<Option<Self>, Failure> {
        match fs::read_to_string(folder().join("results.json")) {
            Ok(json) => Ok(Some(serde_json::from_str(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the runs of `scenario`.
    pub(crate) fn put(&mut self, scenario: Scenario, trials: Vec<Trial>) {
        self.date = httpdate::fmt_http_date(std::time::SystemTime::now());
        self.trials.insert(scenario, trials);
    }

    pub(crate) fn runs(&self, scenario: Scenario) -> Runs<'_> {
        Runs(self.trials.get(&scenario).map_or(&[], Vec::as_slice))
    }

    pub(crate) fn save(&self) -> Result<(), Failure> {
        fs::create_dir_all(folder())?;
        Ok(fs::write(folder().join("results.json"), serde_json::to_string_pretty(self)? + "\n")?)
    }
}

/// Where figures and pictures are kept.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results")
}
