//! What a process uses, as the kernel counts it.

use super::Failure;
use std::fs;

/// The processor time of a process and of its threads that have ended, in seconds. The kernel tells it in hundredths.
///
/// On a kernel without IRQ time accounting, which is the usual, this includes the network's share of each `send`.
pub(crate) fn cpu_secs(pid: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; utime and stime are fields 14 and 15 of proc_pid_stat(5).
    let fields = stat.rsplit_once(')').ok_or("a stat without a name")?.1.split_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(float(ticks) / float(rustix::param::clock_ticks_per_second()))
}

/// Memory of its own that a process has resident, in KB: without files and without the kernel's buffers.
pub(crate) fn resident_kb(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mut sum = 0;
    for line in status.lines() {
        let value = line.strip_prefix("RssAnon:").or_else(|| line.strip_prefix("RssShmem:"));
        if let Some(value) = value {
            sum += value.trim().trim_end_matches(" kB").parse::<u64>()?;
        }
    }
    Ok(sum)
}

/// Seconds that a core was busy, or taken away by the machine under this one.
pub(crate) fn core_secs(core: usize) -> Result<f64, Failure> {
    let (stat, name) = (fs::read_to_string("/proc/stat")?, format!("cpu{core}"));
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(&name)).ok_or("no such core")?;
    // user nice system idle iowait irq softirq steal, and guests who are among the users: proc_stat(5).
    let times = line.split_whitespace().skip(1).take(8).map(str::parse::<u64>).collect::<Result<Vec<_>, _>>()?;
    let busy = times.iter().enumerate().filter(|(place, _)| ![3, 4].contains(place)).map(|(_, ticks)| ticks).sum();
    Ok(float(busy) / float(rustix::param::clock_ticks_per_second()))
}

/// The only child of a process, such as nginx's worker.
pub(crate) fn child_of(pid: u32) -> Result<Option<u32>, Failure> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children.split_whitespace().next().map(str::parse).transpose()?)
}

/// A count as a floating point number, exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
