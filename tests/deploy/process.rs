//! The real binary, run as a file of docker/ says.

use crate::checkout::ends;
use crate::guard::guarded;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The path of the binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_manifold");

/// The time between two looks at the log.
const LOOK: Duration = Duration::from_millis(10);

/// The binary with a configuration, on free ports of 127.0.0.1 whatever the configuration says.
pub fn manifold(config: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("-c").arg(config).env("MANIFOLD_LISTEN", "127.0.0.1:0").env("MANIFOLD_ADMIN", "127.0.0.1:0");
    command
}

/// Fails the test unless `manifold --test` accepts this configuration as it is.
pub async fn loads(config: &Path) {
    let (success, said, complaints) = ends(Command::new(BINARY).arg("--test").arg("-c").arg(config), "").await;
    assert!(success, "{}:\n{said}\n{complaints}", config.display());
}

/// A running manifold. Dropping it kills the process.
pub struct Manifold {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Manifold {
    /// Runs a command that is manifold, or that becomes it by exec.
    pub fn run(mut command: Command) -> Self {
        command.env("RUST_LOG", "info").stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.as_std()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::<Mutex<String>>::default();
        let noted = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                *noted.lock().unwrap() += &format!("{line}\n");
            }
        });
        Self { child, log }
    }

    /// The text that follows `text` in the first line of the log that contains it. Waits until there is one.
    pub async fn logged(&mut self, text: &str) -> String {
        let what = format!("{text:?} in the log");
        let look = async {
            loop {
                // The end is looked for before the log, so that the whole log is seen.
                let ended = self.child.try_wait().unwrap();
                let log = self.log();
                if let Some((_, rest)) =
                    log.lines().filter(|_| log.ends_with('\n')).find_map(|line| line.split_once(text))
                {
                    return rest.trim().to_owned();
                }
                assert!(ended.is_none(), "it ended without {text:?} in its log:\n{log}");
                tokio::time::sleep(LOOK).await;
            }
        };
        guarded(what, look).await
    }

    /// The whole log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().expect("the process runs").try_into().unwrap()).unwrap()
    }

    /// Sends SIGTERM. Fails the test unless the process then exits with the code 0.
    pub async fn terminate(self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.ends_well().await;
    }

    /// Waits until the process exits. Fails the test unless its code is 0.
    pub async fn ends_well(mut self) {
        let status = guarded("the end of manifold", self.child.wait()).await.unwrap();
        assert!(status.success(), "{status}:\n{}", self.log());
    }
}
