//! The resources that a process uses, as the kernel counts them.

use super::Failure;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The processor time that each thread of some processes has used, in nanoseconds.
///
/// On a kernel without IRQ time accounting, which is usual, it includes the network's share of each `send`. For a
/// running thread, up to one tick of the kernel's clock is missing.
#[derive(Debug)]
pub(crate) struct CpuTime(BTreeMap<u32, u64>);

impl CpuTime {
    /// The times of these processes now.
    pub(crate) fn of(pids: &[u32]) -> Result<Self, Failure> {
        let mut threads = BTreeMap::new();
        for pid in pids {
            Self::add(*pid, &mut threads)?;
        }
        Ok(Self(threads))
    }

    fn add(pid: u32, threads: &mut BTreeMap<u32, u64>) -> Result<(), Failure> {
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            // A thread that has just ended is left out.
            let Ok(statistics) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let time = statistics.split_whitespace().next().ok_or("a schedstat without a time")?.parse()?;
            threads.insert(entry.file_name().to_str().ok_or("a thread without a number")?.parse()?, time);
        }
        Ok(())
    }

    /// The seconds used since `before`. The time of threads that ended meanwhile is missing.
    pub(crate) fn secs_since(&self, before: &Self) -> f64 {
        let used = |(thread, time): (&u32, &u64)| time.saturating_sub(before.0.get(thread).copied().unwrap_or(0));
        Duration::from_nanos(self.0.iter().map(used).sum()).as_secs_f64()
    }
}

/// The processes' own resident memory, in KB: without files and without the kernel's buffers.
pub(crate) fn resident_kb(pids: &[u32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        for line in status.lines() {
            let value = line.strip_prefix("RssAnon:").or_else(|| line.strip_prefix("RssShmem:"));
            if let Some(value) = value {
                sum += value.trim().trim_end_matches(" kB").parse::<u64>()?;
            }
        }
    }
    Ok(sum)
}

/// The seconds that a core was busy, or was taken away by the hypervisor.
pub(crate) fn core_secs(core: usize) -> Result<f64, Failure> {
    let (stat, name) = (fs::read_to_string("/proc/stat")?, format!("cpu{core}"));
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(&name)).ok_or("no such core")?;
    // The fields are: user nice system idle iowait irq softirq steal, and then guest times, which user includes:
    // proc_stat(5).
    let times = line.split_whitespace().skip(1).take(8).map(str::parse::<u64>).collect::<Result<Vec<_>, _>>()?;
    let busy = times.iter().enumerate().filter(|(place, _)| ![3, 4].contains(place)).map(|(_, ticks)| ticks).sum();
    Ok(float(busy) / float(rustix::param::clock_ticks_per_second()))
}

/// The children of a process and their children, such as nginx's worker.
pub(crate) fn descendants(pid: u32) -> Result<Vec<u32>, Failure> {
    let mut all = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        // Any thread of the parent may have started a child.
        for thread in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten() {
            let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
            all.extend_from_slice(&children);
            parents.extend(children);
        }
    }
    Ok(all)
}

/// A count as a floating-point number, exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
