//! One run of one server: start, connect, send, measure, end.

use super::child::Child;
use super::clients::GRACE_SECS;
use super::process::{self, CpuTime, float};
use super::server::{Bench, Server};
use super::specs::{ClientsSpec, Connected, Crowd, Http2, Reads, Window};
use super::target::Target;
use super::trial::{Act, Case, Deed, Trial};
use super::{Failure, clock};
use std::collections::BTreeMap;

/// How long a crowd may take to connect.
const CONNECT_SECS: u64 = 120;

/// How long a process may take to report, beyond what it must wait for itself.
const PATIENCE_SECS: u64 = 30;

/// The number of clients that come and go before memory is measured.
const VANGUARD: usize = 200;

/// Runs `case` on `target`.
pub(crate) fn run(target: Target, case: &Case, bench: &Bench, repeat: usize) -> Result<Trial, Failure> {
    let server = Server::start(target, bench, &case.work, &case.policy)?;
    let mut stage =
        Stage { target, case, bench, server, crowds: Vec::new(), window: None, clients: 0, left: 0, connect_secs: 0.0 };
    if case.vanguard {
        drop(stage.connect(&vanguard(case))?);
    }
    stage.pause();
    let idle_kb = process::resident_kb(&stage.server.pids)?;
    for crowd in &case.crowds {
        stage.come(crowd)?;
    }
    stage.pause();
    let from = clock::now() + case.warm_secs * clock::SECOND;
    let window = Window { from, until: from + case.secs * clock::SECOND };
    stage.measure(window)?;
    stage.server.feed.order("go")?;
    if let Some(rate) = case.pace {
        clock::sleep_until(from - bench.pause);
        stage.server.feed.order(&format!("pace {rate}"))?;
    }
    let usage = stage.usage(window)?;
    let busy_kb = process::resident_kb(&stage.server.pids)?;
    let mut received = BTreeMap::new();
    for (name, child) in &stage.crowds {
        received.insert(name.clone(), child.report("received", GRACE_SECS + PATIENCE_SECS)?);
    }
    stage.server.feed.hang_up();
    let sent = stage.server.feed.report("sent", PATIENCE_SECS)?;
    Ok(Trial {
        case: case.name.clone(),
        target,
        repeat,
        clients: stage.clients,
        left: stage.left,
        streams: case.work.streams + case.work.quiet,
        secs: float(case.secs),
        received,
        sent,
        connect_secs: stage.connect_secs,
        cpu_secs: usage.server,
        coming_cpu_secs: usage.coming,
        load_cpu_secs: usage.load,
        foreign_secs: usage.core - usage.server,
        idle_kb,
        busy_kb,
    })
}

/// The first clients. They open some of the streams.
fn vanguard(case: &Case) -> Crowd {
    let clients = case.crowds.iter().map(|crowd| crowd.clients).sum::<usize>();
    Crowd {
        name: "vanguard".to_owned(),
        clients: clients.clamp(1, VANGUARD),
        first_stream: 0,
        streams: (case.work.streams + case.work.quiet).min(16),
        reads: Reads::Events,
        at_once: false,
        returns: None,
        http2: case.crowds.first().and_then(|crowd| crowd.http2).map(|http2| Http2 { stalled: false, ..http2 }),
        yields: false,
    }
}

/// A running server with its clients.
struct Stage<'a> {
    target: Target,
    case: &'a Case,
    bench: &'a Bench,
    server: Server,
    crowds: Vec<(String, Child)>,
    /// `None`: it is not known yet.
    window: Option<Window>,
    clients: usize,
    left: usize,
    connect_secs: f64,
}

impl Stage<'_> {
    /// Waits while what is under way ends.
    fn pause(&self) {
        clock::sleep_until(clock::now() + self.bench.pause);
    }

    fn come(&mut self, crowd: &Crowd) -> Result<(), Failure> {
        let (mut child, connected) = self.connect(crowd)?;
        self.clients += connected.clients;
        self.connect_secs += connected.secs;
        if let Some(window) = self.window {
            child.order(&serde_json::to_string(&window)?)?;
        }
        self.crowds.push((crowd.name.clone(), child));
        Ok(())
    }

    /// Ends a crowd's process. The kernel then closes its connections.
    fn go(&mut self, name: &str) {
        let crowds = self.case.crowds.iter().filter(|crowd| crowd.name == name);
        self.left += crowds.map(|crowd| crowd.clients).sum::<usize>();
        self.crowds.retain(|(crowd, _)| crowd != name);
    }

    fn connect(&mut self, crowd: &Crowd) -> Result<(Child, Connected), Failure> {
        let work = &self.case.work;
        let newest = match crowd.returns {
            None => 0,
            Some(_) => {
                self.server.feed.order("where")?;
                self.server.feed.report::<u64>("reached", PATIENCE_SECS)?.saturating_sub(1)
            }
        };
        let spec = ClientsSpec {
            crowd: crowd.clone(),
            server: self.server.address,
            identity: self.server.identity.clone(),
            path: self.server.path.to_owned(),
            size: work.size,
            awaited: self.target.awaited(),
            connect_secs: CONNECT_SECS,
            newest,
            events: work.rate > 0 && crowd.reads != Reads::Nothing && crowd.first_stream < work.streams,
        };
        let role = match crowd.reads {
            Reads::Handshakes { .. } => "handshakes",
            Reads::Events | Reads::Bytes | Reads::Nothing if crowd.http2.is_some() => "multiplexed",
            Reads::Events | Reads::Bytes | Reads::Nothing => "clients",
        };
        let child = Child::role(role, self.bench.load_cpu, &spec)?;
        let connected = child.report("connected", CONNECT_SECS + PATIENCE_SECS)?;
        Ok((child, connected))
    }

    fn measure(&mut self, window: Window) -> Result<(), Failure> {
        self.window = Some(window);
        for (_, child) in &mut self.crowds {
            child.order(&serde_json::to_string(&window)?)?;
        }
        Ok(())
    }

    /// Lets everything happen that is to happen within the window. Returns the processor times used in it.
    fn usage(&mut self, window: Window) -> Result<Usage, Failure> {
        let core = self.bench.server_cpu;
        let feed = (self.target != Target::Floor).then(|| self.server.feed.pid());
        let load = self.crowds.iter().map(|(_, child)| child.pid()).chain(feed).collect::<Vec<_>>();
        clock::sleep_until(window.from);
        let (server, core_before) = (CpuTime::of(&self.server.pids)?, process::core_secs(core)?);
        let load = load.iter().map(|&pid| Ok((pid, CpuTime::of(&[pid])?))).collect::<Result<Vec<_>, Failure>>()?;
        let mut coming = 0.0;
        for Act { at_secs, deed } in &self.case.acts {
            clock::sleep_until(window.from + at_secs * clock::SECOND);
            match deed {
                Deed::Come(crowd) => {
                    let before = CpuTime::of(&self.server.pids)?;
                    self.come(crowd)?;
                    coming += CpuTime::of(&self.server.pids)?.secs_since(&before);
                }
                Deed::Go(name) => self.go(name),
            }
        }
        clock::sleep_until(window.until);
        let server = CpuTime::of(&self.server.pids)?.secs_since(&server);
        // A crowd that left has no times.
        let load = load.iter().filter_map(|(pid, before)| Some(CpuTime::of(&[*pid]).ok()?.secs_since(before))).sum();
        Ok(Usage { server, coming, load, core: process::core_secs(core)? - core_before })
    }
}

/// Processor times within a window, in seconds.
struct Usage {
    server: f64,
    /// The server's, while crowds came.
    coming: f64,
    load: f64,
    /// The busy time of the server's core, whatever process used it.
    core: f64,
}
