//! The servers that are measured, and what sends events to each.

use super::Failure;
use super::child::Child;
use super::nchan::{self, Nchan};
use super::pushpin::{self, Pushpin};
use super::specs::{Policy, PublisherSpec, Publishing, Work};
use super::target::Target;
use super::varnish::{self, Varnish};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
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
    /// The pause between two steps of a run, in which what is under way ends, in nanoseconds.
    pub(crate) pause: u64,
}

/// The versions of the other servers that are installed.
pub(crate) fn others() -> BTreeMap<Target, String> {
    let versions = [
        (Target::Nchan, nchan::version()),
        (Target::Pushpin, pushpin::version()),
        (Target::Varnish, varnish::version()),
    ];
    versions.into_iter().filter_map(|(target, version)| Some((target, version?))).collect()
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// The processes that are measured.
    pub(crate) pids: Vec<u32>,
    pub(crate) address: SocketAddr,
    /// The path of a stream is this and the stream's number.
    pub(crate) path: &'static str,
    /// The process that sends events when it is told to. For the bare loop it is the server itself.
    pub(crate) feed: Child,
    /// The server's processes, if they are others. They must end before their files are removed.
    _process: Option<Process>,
    /// An origin that sends no events.
    _origin: Option<Child>,
    _files: Option<TempDir>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for as long as the server runs")]
enum Process {
    Manifold(Child),
    Nchan(Nchan),
    Pushpin(Pushpin),
    Varnish(Varnish),
}

impl Server {
    pub(crate) fn start(target: Target, bench: &Bench, work: &Work, policy: &Policy) -> Result<Self, Failure> {
        match target {
            Target::Floor => Self::floor(bench, work),
            Target::Manifold => Self::manifold(bench, work, policy),
            Target::Nchan => Self::nchan(bench, work, policy),
            Target::Pushpin => Self::pushpin(bench, work, policy),
            Target::Varnish => Self::varnish(bench, work),
        }
    }

    fn floor(bench: &Bench, work: &Work) -> Result<Self, Failure> {
        let feed = Child::role("source", bench.server_cpu, work)?;
        let address = feed.report("listening", START_SECS)?;
        let pids = vec![feed.pid()];
        Ok(Self { pids, address, path: "/s/", feed, _process: None, _origin: None, _files: None })
    }

    fn manifold(bench: &Bench, work: &Work, policy: &Policy) -> Result<Self, Failure> {
        let feed = Child::role("source", bench.load_cpu, work)?;
        let files = folder()?;
        let path = files.path().join("manifold.toml");
        std::fs::write(&path, config(feed.report("listening", START_SECS)?, policy))?;
        let process = Child::start("manifold", bench.server_cpu, &bench.manifold, &["-c".as_ref(), path.as_os_str()])?;
        let address = process.find(START_SECS, |line| line.split_once("listening addr=")?.1.trim().parse().ok())?;
        Ok(Self {
            pids: vec![process.pid()],
            address,
            path: "/s/",
            feed,
            _process: Some(Process::Manifold(process)),
            _origin: None,
            _files: Some(files),
        })
    }

    fn nchan(bench: &Bench, work: &Work, policy: &Policy) -> Result<Self, Failure> {
        let files = folder()?;
        let nchan = Nchan::start(bench.server_cpu, files.path(), policy)?;
        let address = nchan.address;
        let spec = PublisherSpec { work: work.clone(), server: address, to: Publishing::Post };
        Ok(Self {
            pids: vec![nchan.nginx.worker],
            address,
            path: nchan::SUBSCRIBE,
            feed: Child::role("publisher", bench.load_cpu, &spec)?,
            _process: Some(Process::Nchan(nchan)),
            _origin: None,
            _files: Some(files),
        })
    }

    fn pushpin(bench: &Bench, work: &Work, policy: &Policy) -> Result<Self, Failure> {
        let origin = Child::role("grip", bench.load_cpu, &policy.heartbeat_secs)?;
        let files = folder()?;
        let pushpin = Pushpin::start(bench.server_cpu, files.path(), origin.report("listening", START_SECS)?)?;
        let spec = PublisherSpec { work: work.clone(), server: pushpin.push, to: Publishing::Push };
        Ok(Self {
            pids: pushpin.pids.clone(),
            address: pushpin.address,
            path: "/s/",
            feed: Child::role("publisher", bench.load_cpu, &spec)?,
            _process: Some(Process::Pushpin(pushpin)),
            _origin: Some(origin),
            _files: Some(files),
        })
    }

    fn varnish(bench: &Bench, work: &Work) -> Result<Self, Failure> {
        let feed = Child::role("source", bench.load_cpu, work)?;
        let files = folder()?;
        let varnish = Varnish::start(bench.server_cpu, files.path(), feed.report("listening", START_SECS)?)?;
        Ok(Self {
            pids: vec![varnish.worker],
            address: varnish.address,
            path: "/s/",
            feed,
            _process: Some(Process::Varnish(varnish)),
            _origin: None,
            _files: Some(files),
        })
    }
}

/// The gateway's configuration file.
fn config(origin: SocketAddr, policy: &Policy) -> String {
    let Policy { heartbeat_secs, stall_secs, shards, log_events } = policy;
    let log = log_events.map_or_else(String::new, |events| format!("\n[routes.replay]\nevents = {events}\n"));
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nthreads = 1\nshards = {shards}\n\n\
         [[routes]]\npath = \"/s/*\"\norigin = \"http://{origin}\"\n\n\
         [routes.client]\nheartbeat_secs = {heartbeat_secs}\nstall_secs = {stall_secs}\n{log}"
    )
}

fn folder() -> std::io::Result<TempDir> {
    TempDir::with_prefix("manifold-bench-")
}

/// An address whose port is free now, for a server that cannot report which one it was given.
pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
