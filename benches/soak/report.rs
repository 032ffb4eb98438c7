//! The figures of a run, and their report.

use super::Failure;
use super::curve::curve;
use super::samples::{Growth, Sample};
use super::svg::Caption;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The most samples that are kept. More of them are thinned out.
const KEPT: usize = 600;

/// A run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    pub(crate) when: String,
    pub(crate) machine: String,
    pub(crate) minutes: f64,
    pub(crate) clients: usize,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) faults: Vec<String>,
    pub(crate) all_faults: u64,
    pub(crate) growth: Option<Growth>,
    /// The memory of the last process when its clients have left and its streams are closed.
    pub(crate) idle_kb: u64,
    pub(crate) descriptors: (usize, usize),
    pub(crate) samples: Vec<Sample>,
}

impl Run {
    /// Writes the figures, the report and the picture.
    pub(crate) fn save(&self, directory: &Path) -> Result<(), Failure> {
        let thinned = self.samples.iter().step_by(self.samples.len().div_ceil(KEPT).max(1)).copied().collect();
        let kept = Self { samples: thinned, ..self.clone() };
        fs::write(directory.join("soak.json"), serde_json::to_string_pretty(&kept)? + "\n")?;
        fs::write(directory.join("soak.md"), self.report())?;
        let caption = Caption {
            title: "Memory of the gateway in a soak test",
            subtitle: format!(
                "MiB of each process, {:.0} minutes, {} clients; grey lines: a new process takes over",
                self.minutes, self.clients
            ),
        };
        Ok(fs::write(directory.join("soak.svg"), curve(&caption, &self.samples))?)
    }

    /// The report for readers.
    pub(crate) fn report(&self) -> String {
        let mut text = format!(
            "# Endurance\n\nWritten by `make soak MINUTES={:.0}`. {} clients listen, leave, come back, read too slowly and let \
             their tokens expire, while the origin restarts, the configuration changes, bad requests come, and, in the first half, \
             new processes take over. Each client checks that it gets every event once and whole, except for those that it is \
             told to have missed. Faults are what it finds else. [soak.json](soak.json) has the figures and samples.\n\n{}. {}.\n\n\
             | | |\n|---|--:|\n",
            self.minutes, self.clients, self.machine, self.when
        );
        let mut row = |name: &str, value: String| {
            // Writing to a string cannot fail.
            writeln!(text, "| {name} | {value} |").unwrap_or_default();
        };
        row("faults", self.all_faults.to_string());
        for (name, count) in &self.counts {
            row(name, count.to_string());
        }
        if let Some(growth) = self.growth {
            row("memory of the last process after its warm-up, KB", growth.first_kb.to_string());
            row("memory of the last process at the end, KB", growth.last_kb.to_string());
        }
        row("memory of the last process without clients, KB", self.idle_kb.to_string());
        row("descriptors before the clients", self.descriptors.0.to_string());
        row("descriptors after the clients", self.descriptors.1.to_string());
        for fault in &self.faults {
            writeln!(text, "\n- {fault}").unwrap_or_default();
        }
        text + "\n![Memory of the gateway](soak.svg)\n"
    }
}
