//! Another configuration for a running process.
//!
//! ```text
//!   SIGHUP, the file changed ─▶ read and checked whole ─┬─ bad ──────▶ the one before stays
//!                                                       └─ good ─▶ Change ─▶ routing ─▶ hub, engine, limits, access
//! ```
//!
//! New requests find the new routes first. Then the open streams take the new policies, and the clients of routes that
//! are gone get their end over the drain time.

mod reads;
mod watched;

pub use reads::{Read, Reads};

use super::memory;
use super::parts::front_options;
use crate::access;
use crate::config::{AdminAccess, Change, Config, ConfigErrors, Fate, ServerConfig, Settings};
use crate::counters::{Reload, process};
use crate::fanout::Engine;
use crate::gateway::{CurrentOptions, CurrentRouting, CurrentTls, Gateway, Permissions, RouteIds};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::quoted::Word;
use crate::service::descriptors::Room;
use crate::upstream::SystemTrust;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::time::Instant;

/// Everything of a running service that another configuration reaches.
#[derive(Debug)]
pub(super) struct Reloader {
    /// The configuration in force.
    pub(super) config: Config,
    parts: Parts,
    pub(super) routing: CurrentRouting,
    pub(super) hub: Hub,
    metrics: Metrics,
    pub(super) engine: Option<Engine>,
    /// Who may ask at the admin address.
    pub(super) access: Arc<ArcSwap<AdminAccess>>,
    /// The configuration, for those who look at it.
    pub(super) settings: Arc<ArcSwap<Settings>>,
}

/// The parts of a service that serve its clients.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) gateway: Gateway,
    pub(super) ids: RouteIds,
    pub(super) options: CurrentOptions,
    /// `None`: no client is to use TLS.
    pub(super) tls: Option<CurrentTls>,
    /// The port of the first address at which clients use TLS.
    pub(super) https_port: Option<u16>,
    /// How many connections the process may have since its start.
    pub(super) room: Room,
    /// Whether the certificates of the system were read at the start.
    pub(super) system: SystemTrust,
}

impl Parts {
    /// Sends clients without TLS to the address with TLS, if the configuration asks for that.
    pub(super) fn redirect(&self, server: &ServerConfig) {
        let is_asked = server.tls.as_ref().is_some_and(|tls| tls.redirect_http);
        self.gateway.redirect(self.https_port.filter(|_| is_asked));
    }
}

impl Reloader {
    /// The permissions of all clients.
    pub(super) fn permissions(&self) -> &Permissions {
        self.parts.gateway.permissions()
    }

    pub(super) fn new(config: Config, parts: Parts, engine: Option<Engine>, metrics: &Metrics) -> Self {
        let access = Arc::new(ArcSwap::from_pointee(config.server.admin_access.clone()));
        let settings = Arc::new(ArcSwap::from_pointee(config.settings.clone()));
        let (routing, hub) = (metrics.routing().clone(), metrics.hub().clone());
        metrics.are_of(config.server.tls.as_ref().map(|tls| &tls.identity));
        Self { config, parts, routing, hub, metrics: metrics.clone(), engine, access, settings }
    }

    /// Takes another configuration.
    pub(super) fn take(&mut self, read: Result<Config, ConfigErrors>) {
        let config = match read {
            Ok(config) => config,
            Err(errors) => return failed(&errors.to_string()),
        };
        if let Some(why) = self.impossible(&config) {
            return failed(&why);
        }
        let change = Change::between(&self.config, &config);
        for waiting in &change.waiting {
            log::warn!("waits for an upgrade (SIGQUIT) or a restart {waiting}");
        }
        let config = config.taken_by(&self.config);
        let is_same = change.routes.iter().all(|route| route.fate == Fate::Same) && change.process.is_empty();
        if !is_same {
            self.apply(&config, &change);
        }
        // Lines of the file may have moved, and files that it names may have changed.
        self.settings.store(Arc::new(config.settings.clone()));
        self.config = config;
        if is_same {
            let is_all = change.waiting.is_empty();
            let what = if is_all { "nothing changed" } else { "nothing changed that a running process can apply" };
            log::info!("configuration read again: {what}");
            process().reloads.note(Reload::Unchanged, what);
            for advice in self.config.advice_in_time() {
                log::warn!("{advice}");
            }
        } else {
            let what = in_words(&change);
            log::info!("configuration reloaded {what}");
            process().reloads.note(Reload::Ok, &what);
            for advice in self.config.advice() {
                log::warn!("{advice}");
            }
        }
    }

    /// Why this process cannot serve the configuration.
    fn impossible(&self, config: &Config) -> Option<String> {
        let in_need = config.routes.routes().iter().find(|route| route.trusts_system())?;
        (self.parts.system == SystemTrust::Unneeded).then(|| {
            format!(
                "route {} over https:// needs the system's certificates, which this process did not read when it \
                 started: send SIGQUIT to start a process that does, or set upstream.ca_file",
                Word(&in_need.name)
            )
        })
    }

    fn apply(&mut self, config: &Config, change: &Change) {
        let server = &config.server;
        // What logs keep and who may come is decided first, so that the new routes are never served by old limits.
        access::want(config.log.access, config.log.access_every);
        self.parts.gateway.limit(server.limits);
        self.parts.options.set(front_options(server, self.parts.room));
        if let Some((settings, tls)) = self.parts.tls.as_ref().zip(server.tls.as_ref()) {
            settings.set(tls.identity.server_config());
            self.metrics.are_of(Some(&tls.identity));
        }
        self.parts.redirect(server);
        self.access.store(Arc::new(server.admin_access.clone()));
        if server.replay_bytes != self.config.server.replay_bytes {
            self.hub.allow_bytes(server.replay_bytes.unwrap_or_else(memory::for_logs));
        }
        let by = Instant::now() + server.drain;
        let fate = |name: &str| change.fate(name);
        let routes = config.routes.routes();
        let moved = self.routing.reload(routes, server.trusted_proxies.clone(), &mut self.parts.ids, fate, by);
        for (route, settings) in &moved.renewed {
            self.hub.renew(*route, settings);
        }
        moved.retired.iter().for_each(|route| self.hub.retire(*route));
        if let Some(engine) = &self.engine {
            engine.renew();
        }
    }
}

/// Tells that a configuration was not taken.
fn failed(why: &str) {
    log::error!("configuration not reloaded, the old configuration stays: {}", why.replace('\n', "; "));
    process().reloads.note(Reload::Failed, why);
}

/// What changed, with the names of keys and never their values.
fn in_words(change: &Change) -> String {
    let mut words = Vec::new();
    for route in change.routes.iter().filter(|route| route.fate != Fate::Same) {
        let keys = if route.keys.is_empty() { String::new() } else { format!("({})", route.keys.join(",")) };
        words.push(format!("{}={}{keys}", route.fate.word(), Word(&route.name)));
    }
    if !change.process.is_empty() {
        words.push(format!("process=({})", change.process.join(",")));
    }
    words.join(" ")
}
