//! Starts a service from a configuration, with its sockets, hub and gateway, and ends it.
//!
//! pingora's `Server::run` is not used. It retries a taken address for 30 s, swallows panics, hides the port that
//! `:0` was given, and always sleeps through the whole grace period. So this module binds the sockets and accepts the
//! connections itself.

mod accept;
mod bound;
mod descriptors;
mod handover;
mod inherited;
mod launch;
mod listen;
#[cfg(test)]
mod mangled;
mod memory;
mod notify;
mod opener;
mod parts;
mod reload;
mod snapshot;
mod socket_file;
mod started;
mod upgrade;

pub use accept::AcceptError;
pub use descriptors::TooManyConnections;
#[cfg(fuzzing)]
pub use handover::try_message;
pub use listen::BindError;
pub use reload::{Read, Reads};
#[cfg(fuzzing)]
pub use snapshot::try_snapshot;
pub use upgrade::Successor;

use crate::access;
use crate::admin::{Admin, Facts, STARTS_WITHIN, UpgradeRequests, Upgrades};
use crate::config::{Config, ConfigErrors, ListenAddr};
use crate::counters::CountersByRoute;
use crate::descriptors::Descriptors;
use crate::gateway::{CurrentTls, Front, FrontOptions, Handshakes, Lifecycle};
use crate::upstream::{Connector, SystemTrust, SystemTrustError};
use accept::{Accepting, accept_all};
use bound::Bound;
use descriptors::Room;
use handover::{Link, Moved, Source};
use launch::Launch;
use listen::{Listening, Sockets};
use parts::{api, engine, front_options, gateway, https_port, serve_admin, tls};
use reload::{Parts, Reloader};
use socket_file::SocketFile;
use std::io;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

/// A service whose sockets are bound.
#[derive(Debug)]
pub struct Service {
    config: Config,
    sockets: Sockets,
    system: SystemTrust,
    front: FrontOptions,
    tls: Option<Tls>,
    room: Room,
    descriptors: Descriptors,
    launch: Launch,
    /// Where the API asks for a new process.
    upgrades: Upgrades,
}

/// What serves clients that use TLS.
#[derive(Debug)]
struct Tls {
    settings: CurrentTls,
    handshakes: Handshakes,
}

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A route needs the system's certificates.
    #[error(transparent)]
    Trust(#[from] SystemTrustError),
    /// The limit of open files is too low for the configuration.
    #[error(transparent)]
    Descriptors(#[from] TooManyConnections),
    /// The system refuses the threads for TLS handshakes.
    #[error("cannot start the threads for TLS handshakes: {0}")]
    Handshakes(io::Error),
}

/// A running service. Dropping it stops accepting connections and does not wait for clients.
#[derive(Debug)]
pub struct Running {
    listening: Listening,
    lifecycle: watch::Sender<Lifecycle>,
    /// Set to true when the drain begins. No connection then serves another request.
    stopping: watch::Sender<bool>,
    accepting: watch::Sender<Accepting>,
    /// The task that accepts connections. It ends when no more are accepted.
    accepts: JoinHandle<Result<(), AcceptError>>,
    /// This channel closes when no more connections are accepted and the last one is gone.
    alive: mpsc::Receiver<()>,
    /// What another configuration reaches.
    reloader: Reloader,
    /// The admin server. It runs until the process ends or a new process serves its address.
    admin: Option<Admin>,
    launch: Launch,
    /// Whether a new process has taken over the service.
    handed_over: bool,
    /// Whether an answer at the admin address is waited for before this process ends.
    answers: bool,
    /// The process that hands its streams and clients over. No connection is accepted before it has.
    predecessor: Option<(Arc<Link>, Arc<Front>)>,
}

impl Service {
    /// Binds the sockets of a configuration.
    ///
    /// # Errors
    /// For the first address that cannot be listened on, for certificates of the system that cannot be read, and when
    /// the limit of open files is too low.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        let needs_system = config.routes.routes().iter().any(|route| route.trusts_system());
        let system = if needs_system { SystemTrust::read()? } else { SystemTrust::Unneeded };
        let room = descriptors::room(config.server.shards, config.server.max_connections)?;
        let sockets = listen::bind(&config.server)?;
        let front = front_options(&config.server, room);
        let descriptors = Descriptors::new(room.connections);
        let tls = tls(&config.server).map_err(StartError::Handshakes)?;
        let (launch, upgrades) = (Launch::of_this_process(), Upgrades::default());
        Ok(Self { config, sockets, system, front, tls, room, descriptors, launch, upgrades })
    }

    /// Lets the API ask for a new process. The caller answers the requests, as it answers a SIGQUIT.
    #[must_use]
    pub fn replaceable(self) -> (Self, UpgradeRequests) {
        let (upgrades, requests) = Upgrades::channel();
        (Self { upgrades, ..self }, requests)
    }

    /// Starts to serve, on the current tokio runtime.
    #[must_use]
    pub fn start(self) -> Running {
        let listening = self.sockets.listening();
        let Sockets { clients, admin, abandoned } = self.sockets;
        let told: Vec<_> = clients.iter().map(Bound::told).collect();
        let https_port = https_port(&clients);
        let (lifecycle, lifecycle_seen) = watch::channel(Lifecycle::Running);
        let (stopping, stopping_seen) = watch::channel(false);
        let predecessor = upgrade::predecessor();
        let first = if predecessor.is_some() { Accepting::Paused } else { Accepting::Yes };
        let (accepting, accepting_seen) = watch::channel(first);
        let (alive_held, alive) = mpsc::channel(1);
        if admin.is_some() {
            access::keep_callers();
        }
        let engine = engine(self.config.server.shards, self.config.server.io_uring);
        let connector = Connector::trusting(self.system).within(self.descriptors);
        let outages = connector.outages().clone();
        let (gateway, metrics, ids) =
            gateway(&self.config, connector, engine.clone(), lifecycle_seen.clone(), &self.front);
        snapshot::restore(&self.config.server, metrics.hub(), metrics.routing(), gateway.permissions());
        let api = api(&metrics, engine.clone(), &gateway, outages, lifecycle_seen.clone(), self.upgrades);
        let (settings, handshakes) = self.tls.map(|tls| (tls.settings, tls.handshakes)).unzip();
        let front = Arc::new(Front::new(self.front, gateway.clone(), alive_held, stopping_seen).with_tls(handshakes));
        let options = front.options();
        let predecessor = predecessor.map(|link| (link, Arc::clone(&front)));
        let accepts = tokio::spawn(accept_all(clients, front, accepting_seen));
        started::tell(&self.config, self.front.max_connections);
        let parts = Parts { gateway, ids, options, tls: settings, https_port, room: self.room, system: self.system };
        parts.redirect(&self.config.server);
        let reloader = Reloader::new(self.config, parts, engine, &metrics);
        let facts = Facts {
            lifecycle: lifecycle_seen,
            accepting: accepts.abort_handle(),
            access: Arc::clone(&reloader.access),
            metrics,
            settings: Arc::clone(&reloader.settings),
            permissions: reloader.permissions().clone(),
            api,
            scraping: Mutex::default(),
        };
        told.iter().for_each(|told| log::info!("listening {told}"));
        let admin = admin.and_then(|bound| serve_admin(bound, facts));
        abandoned.into_iter().for_each(SocketFile::remove);
        if predecessor.is_none() && !upgrade::say_ready() {
            notify::ready();
        }
        Running {
            listening,
            lifecycle,
            stopping,
            accepting,
            accepts,
            alive,
            reloader,
            admin,
            launch: self.launch,
            handed_over: false,
            answers: false,
            predecessor,
        }
    }
}

impl Running {
    /// The addresses that the service listens on, with the real ports.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddr] {
        &self.listening.addresses
    }

    /// The admin address, with the real port.
    #[must_use]
    pub fn admin_address(&self) -> Option<&ListenAddr> {
        self.listening.admin.as_ref()
    }

    /// The counters of every route, with the route's name.
    #[must_use]
    pub fn counters(&self) -> CountersByRoute {
        self.reloader.routing.counters()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.reloader.config
    }

    /// Takes a configuration that was read again. If it has errors, the one in force stays. The log, the metrics
    /// and the service manager learn of both.
    pub fn reload(&mut self, read: Result<Config, ConfigErrors>) {
        self.reloader.take(read);
        notify::ready();
    }

    /// Starts a new process with the same command line and the listening sockets, and resolves once it serves. This
    /// process continues to serve. If the future or the successor is dropped, the new process is killed.
    ///
    /// # Errors
    /// When the new process does not come to serve. Then nothing has changed.
    pub async fn successor(&self) -> io::Result<Successor> {
        upgrade::start(&self.launch, &self.listening.spares, &self.listening.files, self.source(), STARTS_WITHIN).await
    }

    /// What streams and clients are taken from.
    fn source(&self) -> Source {
        let Reloader { hub, engine, routing, .. } = &self.reloader;
        let (hub, engine, routing) = (hub.clone(), engine.clone(), routing.clone());
        let permissions = self.reloader.permissions().clone();
        Source { hub, engine, routing, permissions, accepting: self.accepting.clone() }
    }

    /// Takes over what the process before this one hands over, and then accepts connections. It does nothing if there is no
    /// such process.
    pub async fn take_over(&mut self) {
        let Some((link, front)) = self.predecessor.take() else { return };
        let Reloader { hub, routing, .. } = &self.reloader;
        match handover::take(&link, hub, routing, &front).await {
            Ok(Moved { streams, clients, .. }) => log::info!("taken over streams={streams} clients={clients}"),
            Err(error) => log::warn!("not everything was taken over: {error}"),
        }
        drop(front);
        self.accepting.send_replace(Accepting::Yes);
        if let Err(error) = handover::say_ready(&link).await {
            log::warn!("cannot tell the old process that this one serves: {error}");
        }
        drop(link);
        upgrade::leave_predecessor();
    }

    /// Leaves the service to the new process and returns its process id. This process still serves its clients. The
    /// caller drains it next. `told` is called with the process id when the new process alone accepts connections to
    /// the admin address, and before the connections of this process to that address end.
    pub async fn hand_over(&mut self, successor: Successor, told: impl FnOnce(u32)) -> u32 {
        let process = successor.keep();
        self.handed_over = true;
        self.listening.files.clear();
        notify::replaced_by(process);
        // From now on the new process answers questions about the service's health.
        match self.admin.take() {
            Some(admin) => admin.finish(|| told(process)).await,
            None => told(process),
        }
        process
    }

    /// A request at the admin address was just answered. The answer reaches its client before the drain resolves.
    pub fn answers_first(&mut self) {
        self.answers = true;
    }

    /// Resolves when connections are no longer accepted although no drain has begun. Otherwise it never resolves.
    pub async fn failed(&mut self) -> AcceptError {
        match (&mut self.accepts).await {
            Ok(Ok(())) => std::future::pending().await,
            Ok(Err(error)) => error,
            Err(error) => AcceptError::Task(error),
        }
    }

    /// Stops accepting connections and ends every client's response within the drain time. Resolves when the last
    /// client is gone or the time is over.
    pub async fn drain(mut self) {
        self.remove_files();
        self.listening.spares.clear();
        if !self.handed_over {
            notify::stopping();
        }
        let keeps = !self.handed_over && self.reloader.config.server.snapshot.is_some();
        if keeps {
            self.reloader.hub.keep_streams();
        }
        let drain = self.reloader.config.server.drain;
        let by = Instant::now() + drain;
        self.lifecycle.send_replace(Lifecycle::Draining(by));
        if let Some(engine) = &self.reloader.engine {
            engine.drain(by.into_std());
        }
        self.accepting.send_replace(if self.handed_over { Accepting::No } else { Accepting::Last });
        self.stopping.send_replace(true);
        if timeout(drain, self.alive.recv()).await.is_err() {
            log::warn!("drain time is over with clients left drain_secs={}", drain.as_secs_f64());
        }
        if keeps {
            let Reloader { config, hub, routing, .. } = &self.reloader;
            let (server, hub, routing) = (config.server.clone(), hub.clone(), routing.clone());
            let permissions = self.reloader.permissions().clone();
            let written = spawn_blocking(move || snapshot::write(&server, &hub, &routing, &permissions)).await;
            written.unwrap_or_else(|error| log::error!("snapshot not written: {error}"));
        }
        if let Some(admin) = self.admin.take().filter(|_| self.answers) {
            admin.finish(|| {}).await;
        }
    }
}

impl Running {
    /// Removes the files of the Unix sockets that this process owns. This is done before the sockets are closed,
    /// because a file is recognised by its inode. While the socket is open, no other file can have that inode.
    fn remove_files(&mut self) {
        self.listening.files.drain(..).for_each(SocketFile::remove);
    }
}

impl Running {
    /// Ends the service for a process that exits at once: its clients are cut off.
    pub fn leave(self) {
        // The sessions must not learn that the service is gone. Those that run at this moment would end their responses
        // in order.
        std::mem::forget(self.lifecycle.clone());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.remove_files();
        self.accepting.send_replace(Accepting::No);
        self.stopping.send_replace(true);
    }
}
