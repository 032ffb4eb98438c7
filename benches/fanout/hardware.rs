//! What the machine says about itself.

use std::fs;

/// The name of the processor.
pub(crate) fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    cpu.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// The version of the kernel.
pub(crate) fn kernel() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The part after the dash comes from the distribution or the host, and says little.
    kernel.trim().split('-').next().unwrap_or_default().to_owned()
}
