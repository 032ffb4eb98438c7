//! The servers that are measured, and what sends events to each.

use super::Failure;
use super::child::Child;
use super::identity::Identity;
use super::nchan::{self, Nchan};
use super::pushpin::{self, Pushpin};
use super::specs::{Policy, PublisherSpec, Publishing, SourceSpec, Work};
use super::target::Target;
use super::terminator::Terminator;
use super::varnish::{self, Varnish};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
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
    /// The gateway has the key `[server] http2`, which says what serves HTTP/2.
    pub(crate) chooses_http2: bool,
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
    /// What the server shows to its clients, over TLS. `None`: the connections are plain.
    pub(crate) identity: Option<Identity>,
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
    Terminator(Terminator, Child),
}

/// A server's place, and what it is to do there.
struct Task<'a> {
    bench: &'a Bench,
    work: &'a Work,
    policy: &'a Policy,
    /// An empty folder, but for the certificate.
    files: &'a Path,
    identity: Option<Identity>,
}

impl Server {
    pub(crate) fn start(target: Target, bench: &Bench, work: &Work, policy: &Policy) -> Result<Self, Failure> {
        let files = TempDir::with_prefix("manifold-bench-")?;
        let identity = if policy.tls { Some(Identity::make(files.path())?) } else { None };
        let task = Task { bench, work, policy, files: files.path(), identity };
        let server = match target {
            Target::Floor => Self::floor(task),
            Target::Manifold => Self::manifold(task, "engine"),
            Target::Session => Self::manifold(task, "session"),
            Target::Nchan => Self::nchan(task),
            Target::Pushpin => Self::pushpin(&task),
            Target::Varnish => Self::varnish(&task),
            Target::Terminator => Self::terminator(task),
        };
        Ok(Self { _files: Some(files), ..server? })
    }

    fn floor(task: Task<'_>) -> Result<Self, Failure> {
        let spec = SourceSpec { work: task.work.clone(), identity: task.identity.clone() };
        let feed = Child::role("source", task.bench.server_cpu, &spec)?;
        let (address, pids) = (feed.report("listening", START_SECS)?, vec![feed.pid()]);
        Ok(Self { identity: task.identity, pids, ..Self::fed(feed, address) })
    }

    /// `http2`: what serves HTTP/2, if the gateway has a choice.
    fn manifold(task: Task<'_>, http2: &str) -> Result<Self, Failure> {
        let http2 = (task.policy.http2 && task.bench.chooses_http2).then_some(http2);
        let (feed, process, address) = task.manifold(task.identity.as_ref(), http2)?;
        Ok(Self {
            pids: vec![process.pid()],
            identity: task.identity,
            _process: Some(Process::Manifold(process)),
            ..Self::fed(feed, address)
        })
    }

    fn terminator(task: Task<'_>) -> Result<Self, Failure> {
        let identity = task.identity.as_ref().ok_or("the terminator needs a certificate")?;
        let (feed, manifold, origin) = task.manifold(None, None)?;
        let terminator = Terminator::start(task.bench.server_cpu, task.files, identity, origin)?;
        let address = terminator.address;
        Ok(Self {
            pids: vec![terminator.nginx.worker, manifold.pid()],
            identity: task.identity,
            _process: Some(Process::Terminator(terminator, manifold)),
            ..Self::fed(feed, address)
        })
    }

    fn nchan(task: Task<'_>) -> Result<Self, Failure> {
        let nchan = Nchan::start(task.bench.server_cpu, task.files, task.policy, task.identity.as_ref())?;
        let spec = PublisherSpec { work: task.work.clone(), server: nchan.publish, to: Publishing::Post };
        let feed = Child::role("publisher", task.bench.load_cpu, &spec)?;
        let address = nchan.address;
        Ok(Self {
            pids: vec![nchan.nginx.worker],
            path: nchan::SUBSCRIBE,
            identity: task.identity,
            _process: Some(Process::Nchan(nchan)),
            ..Self::fed(feed, address)
        })
    }

    fn pushpin(task: &Task<'_>) -> Result<Self, Failure> {
        let origin = Child::role("grip", task.bench.load_cpu, &task.policy.heartbeat_secs)?;
        let pushpin = Pushpin::start(task.bench.server_cpu, task.files, origin.report("listening", START_SECS)?)?;
        let spec = PublisherSpec { work: task.work.clone(), server: pushpin.push, to: Publishing::Push };
        let feed = Child::role("publisher", task.bench.load_cpu, &spec)?;
        let address = pushpin.address;
        Ok(Self {
            pids: pushpin.pids.clone(),
            _process: Some(Process::Pushpin(pushpin)),
            _origin: Some(origin),
            ..Self::fed(feed, address)
        })
    }

    fn varnish(task: &Task<'_>) -> Result<Self, Failure> {
        let (feed, origin) = task.origin()?;
        let varnish = Varnish::start(task.bench.server_cpu, task.files, origin)?;
        let address = varnish.address;
        Ok(Self { pids: vec![varnish.worker], _process: Some(Process::Varnish(varnish)), ..Self::fed(feed, address) })
    }

    /// A server of which only the process that sends events and the address are known.
    fn fed(feed: Child, address: SocketAddr) -> Self {
        let (pids, path) = (Vec::new(), "/s/");
        Self { pids, address, path, identity: None, feed, _process: None, _origin: None, _files: None }
    }
}

impl Task<'_> {
    /// Starts an origin, which sends the events.
    fn origin(&self) -> Result<(Child, SocketAddr), Failure> {
        let spec = SourceSpec { work: self.work.clone(), identity: None };
        let origin = Child::role("source", self.bench.load_cpu, &spec)?;
        let address = origin.report("listening", START_SECS)?;
        Ok((origin, address))
    }

    /// Starts an origin and the gateway in front of it. Returns both, and the address for clients.
    fn manifold(
        &self,
        identity: Option<&Identity>,
        http2: Option<&str>,
    ) -> Result<(Child, Child, SocketAddr), Failure> {
        let (feed, origin) = self.origin()?;
        let path = self.files.join("manifold.toml");
        std::fs::write(&path, config(origin, self.policy, identity, http2))?;
        let args = ["-c".as_ref(), path.as_os_str()];
        let process = Child::start("manifold", self.bench.server_cpu, &self.bench.manifold, &args)?;
        let address = process.find(START_SECS, |line| listening(line, identity.is_some()))?;
        Ok((feed, process, address))
    }
}

/// The address in a line such as "listening addr=127.0.0.1:8443 tls=on" of the gateway's log. `tls`: what listens there
/// speaks TLS.
fn listening(line: &str, tls: bool) -> Option<SocketAddr> {
    let mut words = line.split_once("listening addr=")?.1.split_whitespace();
    let address = words.next()?.parse().ok()?;
    (words.any(|word| word == "tls=on") == tls).then_some(address)
}

/// The gateway's configuration file.
fn config(origin: SocketAddr, policy: &Policy, identity: Option<&Identity>, http2: Option<&str>) -> String {
    let Policy { heartbeat_secs, stall_secs, shards, log_events, tls: _, http2: over_http2 } = policy;
    let alpn = if *over_http2 { "h2" } else { "http/1.1" };
    let http2 = http2.map_or_else(String::new, |value| format!("http2 = \"{value}\"\n"));
    let log = log_events.map_or_else(String::new, |events| format!("\n[routes.replay]\nevents = {events}\n"));
    let tls = identity.map_or_else(String::new, |Identity { cert, key }| {
        let (cert, key) = (cert.display(), key.display());
        format!("[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = \"{cert}\"\nkey = \"{key}\"\nalpn = [\"{alpn}\"]\n\n")
    });
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nthreads = 1\nshards = {shards}\n{http2}\n{tls}\
         [[routes]]\npath = \"/s/*\"\norigin = \"http://{origin}\"\n\n\
         [routes.client]\nheartbeat_secs = {heartbeat_secs}\nstall_secs = {stall_secs}\n{log}"
    )
}

/// Whether `manifold` has the key `[server] http2`, which says what serves HTTP/2.
pub(crate) fn chooses_http2(manifold: &Path) -> Result<bool, Failure> {
    let files = TempDir::with_prefix("manifold-bench-")?;
    let path = files.path().join("manifold.toml");
    let toml = "[server]\nhttp2 = \"engine\"\n\n[[routes]]\npath = \"/s/*\"\norigin = \"http://127.0.0.1:1\"\n";
    std::fs::write(&path, toml)?;
    Ok(Command::new(manifold).arg("--test").arg("-c").arg(&path).output()?.status.success())
}

/// An address whose port is free now, for a server that cannot report which one it was given.
pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
