//! The stored figures: benches/results/results.json.

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

/// All runs of all scenarios, and the machine that they ran on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// When the newest run ended.
    pub(crate) date: String,
    pub(crate) trials: BTreeMap<Scenario, Vec<Trial>>,
}

impl Results {
    /// The stored figures of this machine. Those of another machine are not mixed with new ones.
    pub(crate) fn of(machine: Machine) -> Result<Self, Failure> {
        let kept = Self::kept()?.filter(|kept| kept.machine.is(&machine));
        let (date, trials) = kept.map_or_else(Default::default, |kept| (kept.date, kept.trials));
        Ok(Self { machine, date, trials })
    }

    /// The stored figures. `None`: there are none.
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

/// The folder of figures and pictures.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results")
}
