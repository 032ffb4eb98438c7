//! How this process was started: the path of its program, by which a successor is started.
//!
//! A new release is often put in place by switching a symbolic link (`/srv/manifold/current -> releases/2`). The path
//! then leads to another file than the one that runs. So the path is remembered, and not the file. The path comes from
//! the kernel, because `argv[0]` may be any name. For a program that was found through `PATH` it is the path that was
//! found.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How this process was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    /// The path of the program. It is absolute unless the working directory is unknown.
    program: PathBuf,
    /// The working directory, by the name under which it was reached.
    directory: Option<PathBuf>,
}

impl Launch {
    /// The launch of this process. It must be called at the start of the process, because symbolic links may be
    /// switched later.
    pub(super) fn of_this_process() -> Self {
        let directory = directory(env::var_os("PWD").map(PathBuf::from), env::current_dir().ok(), is_same);
        let started = Path::new(OsStr::from_bytes(rustix::param::linux_execfn().to_bytes()));
        let program = program(started, directory.as_deref(), env::current_exe());
        Self { program, directory }
    }

    /// The launch of a process by this path.
    #[cfg(test)]
    pub(super) fn by(program: &Path) -> Self {
        Self { program: program.to_owned(), directory: None }
    }

    /// The path of the program.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// The working directory at the start, if its name still leads to a directory.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref().filter(|directory| directory.is_dir())
    }
}

/// The working directory. It has the name in `PWD` if that names the same directory, because the shell keeps symbolic
/// links in that name.
fn directory(
    named: Option<PathBuf>,
    current: Option<PathBuf>,
    is_same: impl Fn(&Path, &Path) -> bool,
) -> Option<PathBuf> {
    let current = current?;
    let named = named.filter(|named| named.is_absolute() && is_same(named, &current));
    Some(named.unwrap_or(current))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// The path that this process was started by. A process that was started from an open file has no such path, so its
/// path is `running`.
fn program(started: &Path, directory: Option<&Path>, running: io::Result<PathBuf>) -> PathBuf {
    let is_open_file = ["/dev/fd", "/proc"].iter().any(|descriptors| started.starts_with(descriptors));
    match running {
        Ok(running) if started.as_os_str().is_empty() || is_open_file => without_mark(running),
        Ok(_) | Err(_) => directory.map_or_else(|| started.to_owned(), |directory| directory.join(started)),
    }
}

/// The path without the mark that the kernel appends when the file was removed or replaced (proc_pid_exe(5)).
fn without_mark(running: PathBuf) -> PathBuf {
    match running.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(path) => PathBuf::from(OsStr::from_bytes(path)),
        None => running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_known_by_the_path_of_the_start() {
        for (started, directory, running, expected) in [
            ("/srv/current/manifold", Some("/"), "/srv/releases/1/manifold", "/srv/current/manifold"),
            ("./manifold", Some("/srv/current"), "/srv/releases/1/manifold", "/srv/current/./manifold"),
            ("../b/manifold", Some("/srv/a"), "/srv/b/manifold", "/srv/a/../b/manifold"),
            ("manifold", Some("/srv"), "/srv/manifold", "/srv/manifold"),
            ("/usr/bin/manifold", None, "/usr/bin/manifold (deleted)", "/usr/bin/manifold"),
            ("./manifold", None, "/srv/manifold", "./manifold"),
            ("/dev/fd/7", Some("/"), "/srv/manifold (deleted)", "/srv/manifold"),
            ("/proc/self/fd/7", Some("/"), "/srv/manifold", "/srv/manifold"),
            ("", Some("/"), "/srv/manifold", "/srv/manifold"),
        ] {
            let program = program(Path::new(started), directory.map(Path::new), Ok(PathBuf::from(running)));
            // Compared as text, because `Path` ignores a `.` in a path.
            assert_eq!(program.to_str(), Some(expected), "{started} {directory:?} {running}");
        }
        let unknown = || Err(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(program(Path::new("/dev/fd/7"), None, unknown()), Path::new("/dev/fd/7"));
    }

    #[test]
    fn the_directory_has_the_name_by_which_it_was_reached() {
        let (current, link, other) = ("/srv/releases/1", "/srv/current", "/tmp");
        for (named, here, expected) in [
            (Some(link), Some(current), Some(link)),
            (Some(other), Some(current), Some(current)),
            (Some("current"), Some(current), Some(current)),
            (None, Some(current), Some(current)),
            (Some(link), None, None),
        ] {
            let is_same = |one: &Path, two: &Path| one.ends_with("current") && two == Path::new(current);
            let found = directory(named.map(PathBuf::from), here.map(PathBuf::from), is_same);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{named:?} {here:?}");
        }
    }

    #[test]
    fn this_process_was_started_by_a_program_that_is_there() {
        let launch = Launch::of_this_process();
        assert!(launch.program().is_absolute() && launch.program().is_file(), "{launch:?}");
        assert!(launch.directory().is_some(), "{launch:?}");
    }
}
