//! Releases of the gateway, as deploys lay them out.

use crate::gateway::{BINARY, Gateway, command, config_file};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::{NamedTempFile, TempDir};

/// Two releases, and a symbolic link to the current one: `current/manifold`.
pub struct Releases(TempDir);

impl Releases {
    /// The first release is the binary under test. The second is a script with these lines.
    pub fn new(second: &str) -> Self {
        let releases = Self(tempfile::tempdir().unwrap());
        for n in 1..=2 {
            fs::create_dir_all(releases.path(&n.to_string())).unwrap();
        }
        symlink(BINARY, releases.path("1/manifold")).unwrap();
        let script = releases.path("2/script");
        fs::write(&script, format!("#!/bin/sh\n{second}\n")).unwrap();
        install(&script, &releases.path("2/manifold"));
        symlink("1", releases.path("current")).unwrap();
        releases
    }

    /// A second release that serves, and says that it is the second.
    pub fn serving() -> Self {
        Self::new(&format!("echo 'the second release' >&2\nexec '{BINARY}' \"$@\""))
    }

    /// A second release that never serves, and tells its process id.
    pub fn silent() -> Self {
        Self::new("echo \"the second release pid=$$\" >&2\nexec sleep 3600")
    }

    /// A gateway that runs the release of now, and the file of its configuration.
    pub async fn run(&self, config: &str) -> (Gateway, NamedTempFile) {
        let file = config_file(config);
        let program = self.path("current/manifold");
        let gateway = Gateway::run_by(command(program, &["-c", file.path().to_str().unwrap()]));
        gateway.log_line("listening addr=").await;
        (gateway, file)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Switches the link as deploys do, so that there is always a release.
    pub fn switch(&self) {
        symlink("2", self.path("next")).unwrap();
        fs::rename(self.path("next"), self.path("current")).unwrap();
    }
}

/// Makes an executable file with this content. Another process writes it: a child that another test forks at the same
/// time would inherit the open file of this process, and a file that is open for writing cannot be executed.
pub fn install(content: &Path, program: &Path) {
    let done = Command::new("install").args(["-m", "755"]).args([content, program]).status().unwrap();
    assert!(done.success(), "{done}");
}
