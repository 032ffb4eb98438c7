//! The gateway: the real binary, with a configuration of the story, and its log.

use crate::client::{AUTHORITY, Target};
use crate::guard::guarded;
use crate::mode::Mode;
use crate::origin::{Origin, Port, ResumingOrigin};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The real binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_manifold");

/// The lines of a route in the configuration.
pub struct Route(String);

/// A route from a path to an origin.
pub fn route(path: &str, origin: &(impl Url + ?Sized)) -> Route {
    Route(format!("[[routes]]\npath = {path:?}\norigin = \"{}\"\n", origin.url()))
}

impl Route {
    /// Adds lines to it, with dotted keys: `replay.events = 10`.
    #[must_use]
    pub fn with(mut self, lines: &str) -> Self {
        self.0 += lines;
        self.0.push('\n');
        self
    }
}

/// A type that has a URL.
pub trait Url {
    /// Its URL.
    fn url(&self) -> String;
}

impl Url for Origin {
    fn url(&self) -> String {
        Self::url(self)
    }
}

impl Url for ResumingOrigin {
    fn url(&self) -> String {
        Origin::url(self)
    }
}

impl Url for Port {
    fn url(&self) -> String {
        Self::url(self)
    }
}

impl Url for str {
    fn url(&self) -> String {
        self.to_owned()
    }
}

/// Reconnects almost without delay. A story waits for what happens and not for the clock.
const QUICK: &str = "[defaults.upstream]\nbackoff_min_ms = 1\nbackoff_max_ms = 20\n";

const ANY_PORT: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\n";

/// A configuration with these lines under `[server]` and these routes.
pub fn configuration(server: &str, routes: impl IntoIterator<Item = Route>) -> String {
    let routes = routes.into_iter().fold(String::new(), |all, Route(next)| all + &next);
    format!("{ANY_PORT}{server}\n{QUICK}{routes}")
}

/// A running gateway.
pub struct Gateway {
    child: Child,
    log: watch::Receiver<Log>,
    /// The file of the configuration. `None`: it runs without one.
    config: Option<NamedTempFile>,
    /// What clients speak to it whose stories choose no other protocol.
    mode: Mode,
}

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    ended: bool,
}

impl Gateway {
    /// Runs with one route.
    pub async fn with(route: Route) -> Self {
        Self::with_all([route]).await
    }

    /// Runs with several routes.
    pub async fn with_all(routes: impl IntoIterator<Item = Route>) -> Self {
        Self::start(&configuration("", routes)).await
    }

    /// Runs with this configuration, and waits until it listens.
    pub async fn start(config: &str) -> Self {
        let gateway = Self::spawn(config);
        gateway.log_line("listening addr=").await;
        // The line of its address for TLS may come later.
        if on_the_path_under_test(config).ends_with(&AUTHORITY.listens()) {
            gateway.log_line(" tls=on").await;
        }
        gateway
    }

    /// Runs with this configuration, and does not wait for anything.
    pub fn spawn(config: &str) -> Self {
        Self::spawn_with(config, &[])
    }

    /// Runs with this configuration and these environment variables, and does not wait for anything.
    pub fn spawn_with(config: &str, variables: &[(&str, &str)]) -> Self {
        let file = config_file(&on_the_path_under_test(config));
        let path = file.path().to_str().unwrap().to_owned();
        Self { config: Some(file), ..Self::spawn_on(&["-c", &path], variables).with_marks_of(config) }
    }

    /// Runs with these arguments and environment variables only, and does not wait for anything.
    pub fn spawn_on(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(BINARY, arguments);
        command.envs(variables.iter().copied());
        Self::run_by(command)
    }

    /// Runs a command that is the binary, or that becomes it by exec.
    pub fn run_by(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.as_std()));
        let (log, lines) = watch::channel(Log::default());
        let stderr = child.stderr.take().unwrap();
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = stderr.next_line().await {
                log.send_modify(|log| log.lines.push(line));
            }
            log.send_modify(|log| log.ended = true);
        });
        Self { child, log: lines, config: None, mode: Mode::chosen() }
    }

    /// Heeds the marks in its configuration of what its story is about.
    #[must_use]
    pub fn with_marks_of(self, config: &str) -> Self {
        Self { mode: Mode::of(config), ..self }
    }

    /// Runs the binary until it exits. Returns the exit code and the output.
    pub async fn run(arguments: &[&str]) -> (i32, String) {
        Self::run_with(arguments, &[]).await
    }

    /// Runs the binary with these environment variables until it exits. Returns the exit code and the output.
    pub async fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
        let mut command = command(BINARY, arguments);
        let output = command.envs(variables.iter().copied()).output();
        let output = guarded("the end of the process", output).await.unwrap();
        let mut said = String::from_utf8(output.stdout).unwrap();
        write!(said, "{}", String::from_utf8(output.stderr).unwrap()).unwrap();
        (output.status.code().expect("an exit code and no signal"), said)
    }

    /// The first address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// Every TCP address that it listens on, in the order of the log.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let lines = &self.log.borrow().lines;
        let is_of_clients = |line: &&String| !line.contains("admin listening") && !line.contains(" tls");
        let of_clients = lines.iter().filter(is_of_clients);
        of_clients.filter_map(|line| address_in(line)).collect()
    }

    /// The protocol that clients speak to it, if their story says nothing else.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Where clients reach it, and how, if their story says nothing else.
    pub fn target(&self) -> Target {
        match self.tls_addr().filter(|_| self.mode.tls().is_some()) {
            Some(addr) => Target::Gateway(addr, self.mode),
            None => Target::Gateway(self.addr(), self.mode.without_tls()),
        }
    }

    /// The first address at which it speaks TLS. `None`: there is none.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.log.borrow().lines.iter().filter(|line| line.contains(" tls")).find_map(|line| address_in(line))
    }

    /// The admin address. Waits until it is served.
    pub async fn admin(&self) -> SocketAddr {
        address_in(&self.log_line("admin listening addr=").await).unwrap()
    }

    /// The first line of the log that contains `text`. Waits until there is one.
    pub async fn log_line(&self, text: &str) -> String {
        self.log_lines(text, 1).await.remove(0)
    }

    /// The first `n` lines of the log that contain `text`. Waits until there are as many.
    pub async fn log_lines(&self, text: &str, n: usize) -> Vec<String> {
        let found =
            |log: &Log| -> Vec<String> { log.lines.iter().filter(|line| line.contains(text)).cloned().collect() };
        let mut log = self.log.clone();
        let wait = async {
            let log = log.wait_for(|log| found(log).len() >= n || log.ended).await.unwrap();
            let lines = found(&log);
            assert!(lines.len() >= n, "the process ended without {n} lines with {text:?}:\n{}", log.lines.join("\n"));
            lines
        };
        tokio::select! {
            lines = wait => lines,
            never = guarded(format!("{n} lines with {text:?} in the log"), std::future::pending()) => never,
        }
    }

    /// The whole log so far.
    pub fn log(&self) -> String {
        self.log.borrow().lines.join("\n")
    }

    /// The process id.
    pub fn id(&self) -> i32 {
        self.child.id().expect("the process runs").try_into().unwrap()
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id()).unwrap(), signal).unwrap();
    }

    /// The memory that the process has now, in bytes.
    pub fn resident(&self) -> usize {
        resident(self.id()).expect("the process runs")
    }

    /// The names of the threads that the process has now.
    pub fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        // A thread may end in between.
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.map(|name| name.trim_end().to_owned()).collect()
    }

    /// The configuration's file.
    pub fn config(&self) -> &Path {
        self.config.as_ref().expect("a file").path()
    }

    /// Waits until the process has exited and its log has ended. Returns the exit code.
    pub async fn exit_code(&mut self) -> i32 {
        let code = self.succeeded().await;
        let mut log = self.log.clone();
        let _whole = guarded("the end of the log", log.wait_for(|log| log.ended)).await.unwrap();
        code
    }

    /// Waits until the process has ended by a signal.
    pub async fn killed(&mut self) {
        let status = self.ended().await;
        assert!(status.code().is_none(), "{status}");
    }

    /// Waits until the process has exited, while a successor goes on with its log. Returns the exit code.
    pub async fn succeeded(&mut self) -> i32 {
        let status = self.ended().await;
        status.code().unwrap_or_else(|| panic!("{status}, after\n{}", self.log()))
    }

    async fn ended(&mut self) -> ExitStatus {
        guarded("the end of the process", self.child.wait()).await.unwrap()
    }
}

/// The TCP address in a line of the log.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("listening addr=")?;
    address.split([' ', '"']).next()?.parse().ok()
}

impl From<&Gateway> for Target {
    fn from(gateway: &Gateway) -> Self {
        gateway.target()
    }
}

/// The number of descriptors that a process has open. `None`: it has ended.
pub fn descriptors(process: i32) -> Option<usize> {
    // Linux 6.2 and later say the number as the size of the folder. Thousands that are counted one by one take milliseconds,
    // which would delay what a story measures.
    let folder = format!("/proc/{process}/fd");
    let size = usize::try_from(std::fs::metadata(&folder).ok()?.len()).ok()?;
    if size > 0 { Some(size) } else { Some(std::fs::read_dir(&folder).ok()?.count()) }
}

/// The memory that a process has now, in bytes. `None`: it has ended.
pub fn resident(process: i32) -> Option<usize> {
    let pages = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let resident: usize = pages.split(' ').nth(1)?.parse().ok()?;
    Some(resident * rustix::param::page_size())
}

/// With `STORIES_SHARDS=off`, every story that does not set `shards` runs without the delivery engine. With
/// `STORIES_IO_URING=off`, the engine sends to each client with a call of its own. `STORIES_HTTP2_BY` is `engine` or
/// `session`, and says what serves connections of HTTP/2. In a mode over TLS, the gateway of a
/// story that does not choose its addresses speaks TLS at a second one, unless the story is about clients without TLS.
pub fn on_the_path_under_test(config: &str) -> String {
    let mut config = config.to_owned();
    for (variable, key) in
        [("STORIES_SHARDS", "shards"), ("STORIES_IO_URING", "io_uring"), ("STORIES_HTTP2_BY", "http2")]
    {
        if let Ok(value) = std::env::var(variable)
            && !config.contains(&format!("{key} = "))
        {
            config = config.replacen("[server]\n", &format!("[server]\n{key} = {value:?}\n"), 1);
        }
    }
    if Mode::of(&config).tls().is_some()
        && config.starts_with("[server]\nlisten = [\"127.0.0.1:0\"]\n")
        && !config.contains("server.tls")
    {
        config += &format!("\n{}", AUTHORITY.listens());
    }
    config
}

/// A file with this configuration.
pub fn config_file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// A command with these arguments for the binary, or for a program that becomes the binary. Its log is read.
pub fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("RUST_LOG", "info").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}
