//! The memory of the machine or container. The replay logs of all streams together may hold a part of it.

use std::path::{Path, PathBuf};

/// The logs may hold the memory divided by this number.
const PART: u64 = 4;

/// The memory that is assumed if its real size is unknown. It is that of a small machine.
const UNKNOWN: u64 = 1 << 30;

/// The directory of control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The bytes that the logs of all streams may hold together.
pub(super) fn for_logs() -> usize {
    let memory = memory(|path| std::fs::read_to_string(path).ok());
    if memory.is_none() {
        log::info!("the size of the memory is unknown: replay logs may take {} bytes", UNKNOWN / PART);
    }
    usize::try_from(memory.unwrap_or(UNKNOWN) / PART).unwrap_or(usize::MAX)
}

/// The memory that this process may use, in bytes. It is the memory of the machine or, if that is less, the smallest
/// limit of the control groups that the process is in. `read` returns the text of a file, if the file exists.
fn memory(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total_of(&text));
    let groups = read(Path::new("/proc/self/cgroup")).map(|text| limit_files(&text)).unwrap_or_default();
    let limits = groups.iter().filter_map(|file| limit_of(&read(file)?));
    limits.chain(machine).min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The files that hold the memory limits of a process. `cgroup`: the text of its `/proc/self/cgroup`. There is a file
/// for its control group and for every group above it, because each group limits the groups below. The root is among
/// them. A container may see its own group as the root, although the text names another path.
fn limit_files(cgroup: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroup.lines() {
        // `0::/path` is the one hierarchy of version 2, `5:memory:/path` one of version 1.
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = if number == "0" && controllers.is_empty() {
            (PathBuf::from(CGROUPS), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (Path::new(CGROUPS).join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        // The path begins with `/..` if the process cannot see the group. Then only the root is looked at.
        let path = Path::new(path.trim_start_matches('/'));
        let is_plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let path = if is_plain { path } else { Path::new("") };
        files.extend(path.ancestors().map(|group| root.join(group).join(file)));
    }
    files
}

/// A limit in bytes. `None`: the text is `max`. Version 1 writes "no limit" as a number that is more than any machine
/// has.
fn limit_of(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16316412 kB\nMemFree:          834204 kB\n";

    fn memory_of(files: &[(&str, &str)]) -> Option<u64> {
        memory(|path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_machines_memory_is_in_meminfo() {
        for (text, expected) in [
            (MEMINFO, Some(16_316_412 << 10)),
            ("SwapTotal: 1 kB\nMemTotal: 4 kB", Some(4096)),
            ("MemTotal: 4", None),
            ("MemTotal: -4 kB", None),
            ("MemTotal: 99999999999999999999 kB", None),
            ("MemTotal: 18446744073709551615 kB", None),
            ("", None),
        ] {
            assert_eq!(total_of(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_limits_are_those_of_the_group_and_of_all_around_it() {
        for (cgroup, expected) in [
            ("0::/", &["/sys/fs/cgroup/memory.max"][..]),
            (
                "0::/system.slice/manifold.service\n",
                &[
                    "/sys/fs/cgroup/system.slice/manifold.service/memory.max",
                    "/sys/fs/cgroup/system.slice/memory.max",
                    "/sys/fs/cgroup/memory.max",
                ],
            ),
            (
                "12:cpu,cpuacct:/x\n5:memory:/docker/c0ffee\n1:name=systemd:/x\n",
                &[
                    "/sys/fs/cgroup/memory/docker/c0ffee/memory.limit_in_bytes",
                    "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                ],
            ),
            ("0::/../outside", &["/sys/fs/cgroup/memory.max"]),
            ("4:memory,hugetlb:/", &["/sys/fs/cgroup/memory/memory.limit_in_bytes"]),
            ("nonsense\n7:memory\n", &[]),
            ("", &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(limit_files(cgroup), expected, "{cgroup:?}");
        }
    }

    #[test]
    fn the_least_limit_counts() {
        let (meminfo, cgroup) = ("/proc/meminfo", "/proc/self/cgroup");
        let machine = Some(16_316_412 << 10);
        for (files, expected) in [
            (&[][..], None),
            (&[(meminfo, MEMINFO)], machine),
            (&[(meminfo, MEMINFO), (cgroup, "0::/"), ("/sys/fs/cgroup/memory.max", "max\n")], machine),
            (&[(meminfo, MEMINFO), (cgroup, "0::/"), ("/sys/fs/cgroup/memory.max", "1048576\n")], Some(1 << 20)),
            (&[(cgroup, "0::/"), ("/sys/fs/cgroup/memory.max", "7\n")], Some(7)),
            (
                &[
                    (meminfo, MEMINFO),
                    (cgroup, "0::/a/b"),
                    ("/sys/fs/cgroup/a/memory.max", "5"),
                    ("/sys/fs/cgroup/a/b/memory.max", "6"),
                ],
                Some(5),
            ),
            (
                &[
                    (meminfo, MEMINFO),
                    (cgroup, "5:memory:/docker/c0ffee"),
                    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                machine,
            ),
            (
                &[
                    (meminfo, MEMINFO),
                    (cgroup, "5:memory:/docker/c0ffee"),
                    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2048\n"),
                ],
                Some(2048),
            ),
        ] {
            assert_eq!(memory_of(files), expected, "{files:?}");
        }
    }

    #[test]
    fn this_machine_has_some() {
        let bytes = for_logs();
        assert!(bytes > 1 << 20, "{bytes}");
    }
}
