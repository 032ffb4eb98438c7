//! The processes of a run: this program in another role, or a server. Each is pinned to a core and ends with its
//! parent.

use super::Failure;
use rustix::process::{Pid, Signal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The number of unread lines of a child that are kept. Further lines are dropped.
const LINES: usize = 256;

/// How long a server may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// A child process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    name: &'static str,
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Child {
    /// Starts `program` on core `cpu`.
    pub(crate) fn start(
        name: &'static str,
        cpu: usize,
        program: &Path,
        args: &[impl AsRef<OsStr>],
    ) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["child", "exec", &cpu.to_string()]).arg(program).args(args);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, lines) = sync_channel(LINES);
        if let Some(stdout) = process.stdout.take() {
            pass_lines(stdout, sender.clone());
        }
        if let Some(stderr) = process.stderr.take() {
            pass_lines(stderr, sender);
        }
        let stdin = process.stdin.take();
        Ok(Self { name, process, stdin, lines })
    }

    /// Starts this program in another role on core `cpu`.
    pub(crate) fn role(role: &'static str, cpu: usize, spec: &impl Serialize) -> Result<Self, Failure> {
        let spec = serde_json::to_string(spec)?;
        Self::start(role, cpu, &std::env::current_exe()?, &["child", role, &spec])
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns what `find` finds in the first line where it finds something, within `secs` seconds.
    pub(crate) fn find<T>(&self, secs: u64, find: impl Fn(&str) -> Option<T>) -> Result<T, Failure> {
        let (deadline, mut said) = (Instant::now() + Duration::from_secs(secs), Vec::new());
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => match find(&line) {
                    Some(found) => return Ok(found),
                    None => said.push(line),
                },
                Err(why) => {
                    let what = match why {
                        RecvTimeoutError::Timeout => format!("did not say what was expected within {secs} s"),
                        RecvTimeoutError::Disconnected => "ended".to_owned(),
                    };
                    let said = said.split_off(said.len().saturating_sub(10)).join("\n  ");
                    return Err(format!("{} {what}; it said:\n  {said}", self.name).into());
                }
            }
        }
    }

    /// The value that the child reports under `word`.
    pub(crate) fn report<T: DeserializeOwned>(&self, word: &str, secs: u64) -> Result<T, Failure> {
        let json = self.find(secs, |line| Some(line.strip_prefix(word)?.strip_prefix(' ')?.to_owned()))?;
        Ok(serde_json::from_str(&json)?)
    }

    /// Writes a line to the child's standard input.
    pub(crate) fn order(&mut self, line: &str) -> Result<(), Failure> {
        let stdin = self.stdin.as_mut().ok_or("it was told to end")?;
        stdin.write_all(format!("{line}\n").as_bytes())?;
        Ok(stdin.flush()?)
    }

    /// Closes the child's standard input. This tells this program's roles to report and end.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Asks the process to end, and waits some time for it. Whatever it started and did not end is killed.
    pub(crate) fn terminate(&mut self) {
        let started = super::process::descendants(self.process.id()).unwrap_or_default();
        self.ask_to_end();
        for pid in started.into_iter().filter_map(|pid| i32::try_from(pid).ok()).filter_map(Pid::from_raw) {
            // An error means that the process has ended.
            rustix::process::kill_process(pid, Signal::KILL).unwrap_or_default();
        }
    }

    fn ask_to_end(&self) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        // An error means that the process has ended.
        if pid.is_none_or(|pid| rustix::process::kill_process(pid, Signal::TERM).is_err()) {
            return;
        }
        // The lines end when the process does.
        let deadline = Instant::now() + FAREWELL;
        while self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Errors mean that the process has ended.
        self.process.kill().unwrap_or_default();
        if let Err(error) = self.process.wait() {
            debug_assert!(false, "{}: {error}", self.name);
        }
    }
}

fn pass_lines(from: impl Read + Send + 'static, to: SyncSender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // A line that does not fit into the queue is one that is not read.
            to.try_send(line).unwrap_or_default();
        }
    });
}

/// Becomes `program` on core `cpu`. It is asked to end when the parent ends.
pub(crate) fn exec(cpu: &str, program: &OsStr, args: &[OsString]) -> Result<(), Failure> {
    pin(cpu.parse()?)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    Err(Command::new(program).args(args).exec().into())
}

fn pin(cpu: usize) -> rustix::io::Result<()> {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(cpu);
    rustix::thread::sched_setaffinity(None, &cpus)
}

/// The cores that this process may run on.
pub(crate) fn cpus() -> Result<Vec<usize>, Failure> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
}
