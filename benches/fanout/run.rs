//! One run of one server: start, connect, send, measure, end.

use super::child::Child;
use super::clients::GRACE_SECS;
use super::process::{self, CpuTime, float};
use super::server::{Bench, Server};
use super::specs::{ClientsSpec, Connected, Crowd, Window};
use super::target::Target;
use super::trial::{Case, Trial};
use super::{Failure, clock};
use std::collections::BTreeMap;

/// The number of responses that are awaited at once while connecting.
const AT_ONCE: usize = 128;

/// How long a crowd may take to connect.
const CONNECT_SECS: u64 = 120;

/// How long a process may take to report, beyond what it must wait for itself.
const PATIENCE_SECS: u64 = 30;

/// Clients that come and go before memory is measured, so that what a server allocates once is already there.
const VANGUARD: usize = 200;

/// The pause between two steps of a run, in which what is under way ends.
const PAUSE: u64 = clock::SECOND;

impl Trial {
    /// Runs `case` on `target`.
    pub(crate) fn run(target: Target, case: &Case, bench: &Bench, repeat: usize) -> Result<Self, Failure> {
        let mut server = Server::start(target, bench, &case.work, &case.policy)?;
        // These clients come and go first, so that each stream has been opened once before the crowd comes.
        drop(connect(&server, &vanguard(&case.crowds), case, bench)?);
        pause();
        let idle_kb = process::resident_kb(server.pid)?;
        let mut crowds = Vec::new();
        let (mut clients, mut connect_secs) = (0, 0.0);
        for crowd in &case.crowds {
            let (child, connected) = connect(&server, crowd, case, bench)?;
            clients += connected.clients;
            connect_secs += connected.secs;
            crowds.push((crowd.name.clone(), child));
        }
        pause();
        let first = clock::now();
        let from = first + case.warm_secs * clock::SECOND;
        let window = Window { from, until: from + case.secs * clock::SECOND };
        for (_, child) in &mut crowds {
            child.order(&serde_json::to_string(&window)?)?;
        }
        server.feed.order("go")?;
        let load =
            crowds.iter().map(|(_, child)| child.pid()).chain((target != Target::Floor).then(|| server.feed.pid()));
        let usage = Usage::within(window, bench.server_cpu, server.pid, &load.collect::<Vec<_>>())?;
        let busy_kb = process::resident_kb(server.pid)?;
        let mut received = BTreeMap::new();
        for (name, child) in &crowds {
            received.insert(name.clone(), child.report("received", GRACE_SECS + PATIENCE_SECS)?);
        }
        server.feed.hang_up();
        let sent = server.feed.report("sent", PATIENCE_SECS)?;
        Ok(Self {
            case: case.name.clone(),
            target,
            repeat,
            clients,
            secs: float(case.secs),
            received,
            sent,
            connect_secs,
            cpu_secs: usage.server,
            load_cpu_secs: usage.load,
            foreign_secs: usage.core - usage.server,
            idle_kb,
            busy_kb,
        })
    }
}

fn vanguard(crowds: &[Crowd]) -> Crowd {
    let clients = crowds.iter().map(|crowd| crowd.clients).sum::<usize>();
    let streams = crowds.iter().map(|crowd| crowd.first_stream + crowd.streams).max().unwrap_or(1);
    let name = "vanguard".to_owned();
    Crowd { name, clients: clients.min(VANGUARD), first_stream: 0, streams: streams.min(16), slow: false }
}

fn connect(server: &Server, crowd: &Crowd, case: &Case, bench: &Bench) -> Result<(Child, Connected), Failure> {
    let spec = ClientsSpec {
        crowd: crowd.clone(),
        server: server.address,
        path: server.path.to_owned(),
        size: case.work.size,
        at_once: AT_ONCE,
        connect_secs: CONNECT_SECS,
        events: case.work.rate > 0 && !crowd.slow,
    };
    let child = Child::role("clients", bench.load_cpu, &spec)?;
    let connected = child.report("connected", CONNECT_SECS + PATIENCE_SECS)?;
    Ok((child, connected))
}

fn pause() {
    clock::sleep_until(clock::now() + PAUSE);
}

/// Processor times within a window, in seconds.
struct Usage {
    server: f64,
    load: f64,
    /// The busy time of the server's core, whatever process used it.
    core: f64,
}

impl Usage {
    fn within(window: Window, core: usize, server: u32, load: &[u32]) -> Result<Self, Failure> {
        let times = || [server].iter().chain(load).map(|&pid| CpuTime::of(pid)).collect::<Result<Vec<_>, _>>();
        clock::sleep_until(window.from);
        let (before, core_before) = (times()?, process::core_secs(core)?);
        clock::sleep_until(window.until);
        let (after, core_after) = (times()?, process::core_secs(core)?);
        let mut used = after.iter().zip(&before).map(|(after, before)| after.secs_since(before));
        let server = used.next().unwrap_or(0.0);
        Ok(Self { server, load: used.sum(), core: core_after - core_before })
    }
}
