//! The gateway: the real program, which reloads and upgrades while it runs.

use super::Failure;
use super::connection::Doors;
use super::credentials::SECRET;
use super::identity::Identity;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::ChildStderr;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout};

/// How long the gateway may take for what it is told.
const PATIENCE: Duration = Duration::from_secs(90);

/// The running gateway.
pub(crate) struct Gateway {
    directory: PathBuf,
    origin: SocketAddr,
    pid: Pid,
    lines: broadcast::Sender<String>,
    pub(crate) doors: Doors,
    written: u64,
}

impl Gateway {
    /// Starts the program. Its log is in `directory`.
    pub(crate) async fn start(program: &Path, directory: &Path, origin: SocketAddr) -> Result<Self, Failure> {
        let identity = Identity::new(directory)?;
        fs::set_permissions(directory.join("tls.key"), Permissions::from_mode(0o600))?;
        fs::write(directory.join("token.key"), SECRET)?;
        fs::write(directory.join("manifold.toml"), configuration(directory, origin, 0))?;
        let mut command = Command::new(program);
        command.arg("-c").arg(directory.join("manifold.toml")).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let pid = Pid::from_child(&child);
        let stderr = ChildStderr::from_std(child.stderr.take().ok_or("no standard error")?)?;
        let (lines, mut first) = broadcast::channel(1_024);
        let mut log = tokio::fs::File::create(directory.join("manifold.log")).await?;
        let told = lines.clone();
        tokio::spawn(async move {
            let mut read = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = read.next_line().await {
                log.write_all(format!("{line}\n").as_bytes()).await.unwrap_or_default();
                // An error means that nobody waits for a line.
                told.send(line).unwrap_or_default();
            }
        });
        let mut found = Vec::new();
        while found.len() < 2 {
            let line = next(&mut first, "] listening addr=").await?;
            found.push((line.contains("tls=on"), address(&line)?));
        }
        let find = |tls: bool| {
            let found = found.iter().find(|found| found.0 == tls);
            found.map(|found| found.1).ok_or("an address is missing in the log")
        };
        let doors = Doors { clear: find(false)?, tls: find(true)?, identity };
        Ok(Self { directory: directory.to_owned(), origin, pid, lines, doors, written: 0 })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Changes the configuration, and has it read.
    pub(crate) async fn reload(&mut self) -> Result<(), Failure> {
        self.written += 1;
        let text = configuration(&self.directory, self.origin, self.written);
        fs::write(self.directory.join("manifold.toml"), text)?;
        let mut lines = self.lines.subscribe();
        kill_process(self.pid, Signal::HUP)?;
        next(&mut lines, "configuration reloaded").await.map(drop)
    }

    /// Replaces the process by a new one. Returns the process that is replaced.
    pub(crate) async fn upgrade(&mut self) -> Result<Leaving, Failure> {
        let mut lines = self.lines.subscribe();
        kill_process(self.pid, Signal::QUIT)?;
        let line = next(&mut lines, "a new process serves").await?;
        let pid = line.rsplit_once("pid=").and_then(|(_, pid)| Pid::from_raw(pid.trim().parse().ok()?));
        Ok(Leaving(std::mem::replace(&mut self.pid, pid.ok_or("no pid in the log")?)))
    }

    /// Asks the process to end. Returns when it has.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        kill_process(self.pid, Signal::TERM)?;
        Leaving(self.pid).ended().await
    }
}

/// A process that ends.
#[derive(Debug)]
pub(crate) struct Leaving(Pid);

impl Leaving {
    /// Waits for its end, which must be one without an error.
    pub(crate) async fn ended(self) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some((_, status)) = waitpid(Some(self.0), WaitOptions::NOHANG)? {
                return match status.exit_status() {
                    Some(0) => Ok(()),
                    _ => Err(format!("process {} ended by {status:?}", self.0).into()),
                };
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(format!("process {} did not end", self.0).into())
    }
}

/// The next line with this text.
async fn next(lines: &mut broadcast::Receiver<String>, text: &str) -> Result<String, Failure> {
    let found = async {
        loop {
            match lines.recv().await {
                Ok(line) if line.contains(text) => return Ok(line),
                Ok(line) if line.contains("not reloaded") => return Err(Failure::from(line)),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    };
    timeout(PATIENCE, found).await.map_err(|_| format!("the gateway did not say {text:?}"))?
}

fn address(line: &str) -> Result<SocketAddr, Failure> {
    let (_, address) = line.split_once("listening addr=").ok_or("no address")?;
    Ok(address.split([' ', '"']).next().unwrap_or_default().parse()?)
}

/// The configuration that is written as the `written`th. Each differs from the one before it.
fn configuration(directory: &Path, origin: SocketAddr, written: u64) -> String {
    let directory = directory.display();
    let (heartbeat, events) = (5 + written % 2, 1_000 + written % 3);
    let route =
        |path: &str, lines: &str| format!("[[routes]]\npath = \"{path}\"\norigin = \"http://{origin}\"\n{lines}\n");
    let tokens = format!(
        "share.credentials = \"share\"\nauth.kind = \"jwt\"\nauth.algorithms = [\"HS256\"]\nauth.leeway_secs = 0\n\
         auth.key_file = \"{directory}/token.key\"\nauth.ticket_path = \"/ticket\""
    );
    let routes = [
        route("/ids/*", ""),
        route("/plain/*", ""),
        route("/fat/*", "replay.events = 100\nclient.on_lag = \"skip\""),
        route("/cut/*", "replay.events = 100"),
        route("/tokens/*", &tokens),
        route("/own/*", "share.mode = \"private\""),
        route("/page/*", "kind = \"proxy\""),
        route(&format!("/route-of-{written}/*"), ""),
    ];
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nshards = 2\nthreads = 2\n\
         [server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = \"{directory}/tls.crt\"\nkey = \"{directory}/tls.key\"\n\
         [log]\naccess = \"off\"\n\
         [defaults]\nclient.heartbeat_secs = {heartbeat}\nreplay.events = {events}\nupstream.backoff_min_ms = 50\n\
         upstream.backoff_max_ms = 1000\nshare.linger_secs = 5\n{}",
        routes.concat()
    )
}
