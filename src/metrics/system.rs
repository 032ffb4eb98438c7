//! What the kernel knows of the process (proc_pid_stat(5), proc_pid_statm(5), proc_pid_limits(5)).

use std::fs;

/// The clock ticks of a second in `/proc`. It is 100 on every architecture of Linux that Rust knows.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the kernel knows of the process. `None`: it does not tell.
#[derive(Debug, Default, PartialEq)]
pub struct SystemValues {
    /// The time on processors, user and kernel, in seconds.
    pub cpu_seconds: Option<f64>,
    /// The resident memory.
    pub resident_bytes: Option<u64>,
    /// The open descriptors.
    pub open_files: Option<u64>,
    /// The limit of open descriptors.
    pub most_open_files: Option<u64>,
}

impl SystemValues {
    pub(super) fn read() -> Self {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        Self {
            cpu_seconds: cpu_seconds(&text("stat")),
            resident_bytes: resident_bytes(&text("status")),
            open_files: open_files(),
            most_open_files: most_open_files(&text("limits")),
        }
    }
}

/// The number of open descriptors. Since Linux 6.2, that is the size of the directory, so it need not be read.
fn open_files() -> Option<u64> {
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size);
    }
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64)
}

/// The fields `utime` and `stime`. The second field is the name of the program, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit. An unlimited number is shown as none.
fn most_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_understood() {
        let stat =
            "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 8 0 12345 1000000 500 18446744073709551615";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\nRssAnon: 1 kB\n"), Some(2 << 20));
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096       files\n";
        assert_eq!(most_open_files(limits), Some(1024));
        assert_eq!(most_open_files("Max open files            unlimited            unlimited       files\n"), None);
        for nothing in ["", "7 (a) S 1", "VmRSS: kB"] {
            assert_eq!((cpu_seconds(nothing), resident_bytes(nothing), most_open_files(nothing)), (None, None, None));
        }
    }

    #[test]
    fn this_process_is_known() {
        let values = SystemValues::read();
        assert!(values.cpu_seconds.is_some() && values.resident_bytes > Some(1 << 20), "{values:?}");
        assert!(values.open_files > Some(2) && values.open_files < values.most_open_files, "{values:?}");
    }
}
