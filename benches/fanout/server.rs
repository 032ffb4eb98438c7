//! The servers that are measured, and what sends events to each.

use super::child::Child;
use super::nchan::Nchan;
use super::process;
use super::specs::{Policy, PublisherSpec, Work};
use super::target::Target;
use super::{Failure, nchan};
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;

/// How long a server may take until it listens.
const START_SECS: u64 = 20;

/// The cores of the processes, and the gateway that is measured.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    pub(crate) manifold: PathBuf,
    /// The server's core.
    pub(crate) server_cpu: usize,
    /// The core of the clients and of the origin.
    pub(crate) load_cpu: usize,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// The process that is measured.
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
    /// The path of a stream is this and the stream's number.
    pub(crate) path: &'static str,
    /// The process that sends events when it is told to. For the bare loop it is the server itself.
    pub(crate) feed: Child,
    /// The server's process, if it is another one. It must end before its files are removed.
    _process: Option<Process>,
    _files: Option<TempDir>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for as long as the server runs")]
enum Process {
    Manifold(Child),
    Nchan(Nchan),
}

impl Server {
    pub(crate) fn start(target: Target, bench: &Bench, work: &Work, policy: &Policy) -> Result<Self, Failure> {
        match target {
            Target::Floor => Self::floor(bench, work),
            Target::Manifold => Self::manifold(bench, work, policy),
            Target::Nchan => Self::nchan(bench, work, policy),
        }
    }

    fn floor(bench: &Bench, work: &Work) -> Result<Self, Failure> {
        let feed = Child::role("source", bench.server_cpu, work)?;
        let address = feed.report("listening", START_SECS)?;
        Ok(Self { pid: feed.pid(), address, path: "/s/", feed, _process: None, _files: None })
    }

    fn manifold(bench: &Bench, work: &Work, policy: &Policy) -> Result<Self, Failure> {
        let feed = Child::role("source", bench.load_cpu, work)?;
        let origin: SocketAddr = feed.report("listening", START_SECS)?;
        let Policy { heartbeat_secs, stall_secs } = policy;
        let config = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nthreads = 1\nshards = 1\n\n\
             [[routes]]\npath = \"/s/*\"\norigin = \"http://{origin}\"\n\n\
             [routes.client]\nheartbeat_secs = {heartbeat_secs}\nstall_secs = {stall_secs}\n"
        );
        let files = TempDir::with_prefix("manifold-bench-")?;
        let path = files.path().join("manifold.toml");
        std::fs::write(&path, config)?;
        let process = Child::start("manifold", bench.server_cpu, &bench.manifold, &["-c".as_ref(), path.as_os_str()])?;
        let address = process.find(START_SECS, |line| line.split_once("listening addr=")?.1.trim().parse().ok())?;
        Ok(Self {
            pid: process.pid(),
            address,
            path: "/s/",
            feed,
            _process: Some(Process::Manifold(process)),
            _files: Some(files),
        })
    }

    fn nchan(bench: &Bench, work: &Work, policy: &Policy) -> Result<Self, Failure> {
        let files = TempDir::with_prefix("manifold-bench-")?;
        let nchan = Nchan::start(bench.server_cpu, files.path(), policy.heartbeat_secs)?;
        let spec = PublisherSpec { work: work.clone(), server: nchan.address, path: nchan::PUBLISH.to_owned() };
        let feed = Child::role("publisher", bench.load_cpu, &spec)?;
        let pid = nchan.worker;
        debug_assert!(process::resident_kb(pid).is_ok());
        let address = nchan.address;
        let process = Some(Process::Nchan(nchan));
        Ok(Self { pid, address, path: nchan::SUBSCRIBE, feed, _process: process, _files: Some(files) })
    }
}
