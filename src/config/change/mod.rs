//! What a new configuration changes of the one in force.
//!
//! ```text
//!   a route of both ─┬─ nothing differs ─────────────────────────────▶ Same
//!                    ├─ only what its streams can take while they live ▶ Policy
//!                    └─ anything that makes its streams other streams ─▶ Replaced
//!   a route of the old one alone ────────────────────────────────────▶ Removed
//!   a route of the new one alone ────────────────────────────────────▶ New
//! ```
//!
//! A stream is made another by what it is asked for (origin, path, `preserve_host`), by who may share it (`share`), and
//! by the ids of its events (`replay.ids`): a client that reconnects must find the ids that it was given. Everything else
//! is policy.

mod keys;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_tls;

use super::{Config, ServerConfig};
use crate::digest::sha256;
use crate::hub::ShareOptions;
use crate::replay::IdPolicy;
use crate::route::{Hosts, PathPattern, Route, RouteKind};
use crate::upstream::Origin;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing of it changed.
    Same,
    /// Its streams live on under another policy.
    Policy,
    /// It is another route of the same name. The streams of the old one end.
    Replaced,
    /// It is new.
    New,
    /// It is gone.
    Removed,
}

impl Fate {
    /// Whether the streams of the old route end.
    #[must_use]
    pub fn ends_streams(self) -> bool {
        matches!(self, Self::Replaced | Self::Removed)
    }

    /// As a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Policy => "policy",
            Self::Replaced => "replaced",
            Self::New => "new",
            Self::Removed => "removed",
        }
    }
}

/// What becomes of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChange {
    /// The name of the route.
    pub name: Arc<str>,
    /// What becomes of it.
    pub fate: Fate,
    /// The keys that differ, such as `client.heartbeat_secs`.
    pub keys: Vec<String>,
}

/// A value that a running process cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The key, such as `server.listen`.
    pub key: &'static str,
    /// The value with which the process runs.
    pub running: String,
    /// The value of the new configuration.
    pub wanted: String,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs={} wanted={}", self.key, self.running, self.wanted)
    }
}

/// What a new configuration changes of the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// What becomes of each route: those of the new configuration in their order, then those that are gone.
    pub routes: Vec<RouteChange>,
    /// The keys of the process that differ and take effect at once.
    pub process: Vec<String>,
    /// What waits for another process.
    pub waiting: Vec<Waiting>,
}

impl Change {
    /// What `new` changes of `old`.
    #[must_use]
    pub fn between(old: &Config, new: &Config) -> Self {
        let of_old = |name: &str| old.routes.routes().iter().find(|route| *route.name == *name);
        let mut routes: Vec<_> = (new.routes.routes().iter())
            .map(|route| {
                let before = of_old(&route.name);
                let fate = before.map_or(Fate::New, |before| fate(before, route));
                let keys = match (fate, before) {
                    (Fate::Policy | Fate::Replaced, Some(before)) => keys::of_route((old, before), (new, route)),
                    _ => Vec::new(),
                };
                RouteChange { name: Arc::clone(&route.name), fate, keys }
            })
            .collect();
        let is_gone = |route: &&Arc<Route>| routes.iter().all(|other: &RouteChange| other.name != route.name);
        let gone: Vec<_> = old.routes.routes().iter().filter(is_gone).map(|route| Arc::clone(&route.name)).collect();
        routes.extend(gone.into_iter().map(|name| RouteChange { name, fate: Fate::Removed, keys: Vec::new() }));
        let process = keys::of_process(old, &new.clone().taken_by(old));
        let waiting = waiting(&old.server, &new.server);
        Self { routes, process, waiting }
    }

    /// What becomes of the route with this name.
    #[must_use]
    pub fn fate(&self, name: &str) -> Fate {
        self.routes.iter().find(|route| *route.name == *name).map_or(Fate::Removed, |route| route.fate)
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.iter().all(|route| route.fate == Fate::Same) && self.process.is_empty() && self.waiting.is_empty()
    }
}

impl Config {
    /// This configuration as a process takes it that runs with `running`: what waits for another process keeps the
    /// running values. While the admin address waits, so does who may ask there: the rules of the new configuration are
    /// for another address, or for none. While `[server.tls]` comes or goes, all of it waits.
    #[must_use]
    pub fn taken_by(mut self, running: &Self) -> Self {
        let waiting = waiting(&running.server, &self.server);
        let is_waiting = |key: &str| waiting.iter().any(|one| one.key == key);
        let keeps_access = is_waiting("server.admin");
        let ServerConfig {
            listen,
            unix_mode,
            admin,
            threads,
            shards,
            io_uring,
            max_connections,
            admin_access,
            tls,
            ..
        } = running.server.clone();
        let admin_access = if keeps_access { admin_access } else { self.server.admin_access.clone() };
        let keeps_tls = tls.is_some() != self.server.tls.is_some();
        let tls = match (tls, self.server.tls) {
            (Some(before), Some(tls)) => Some(tls.taken_by(&before)),
            (before, _) => before,
        };
        self.server = ServerConfig {
            listen,
            unix_mode,
            admin,
            admin_access,
            threads,
            shards,
            io_uring,
            max_connections,
            tls,
            ..self.server
        };
        if keeps_tls {
            let is_of_tls = |setting: &super::Setting| is_of_tls(&setting.section, &setting.key);
            let place = self.settings.all.iter().position(is_of_tls).unwrap_or_default();
            self.settings.all.retain(|setting| !is_of_tls(setting));
            let before: Vec<_> = running.settings.all.iter().filter(|setting| is_of_tls(setting)).cloned().collect();
            self.settings.all.splice(place..place, before);
        }
        for setting in &mut self.settings.all {
            let key = format!("{}.{}", setting.section, setting.key);
            let same = |other: &&super::Setting| other.section == setting.section && other.key == setting.key;
            if (is_waiting(&key) || (keeps_access && key.starts_with("server.admin_")))
                && let Some(before) = running.settings.all.iter().find(same)
            {
                *setting = before.clone();
            }
        }
        self
    }
}

/// What makes the streams of a route what they are.
#[derive(Debug, PartialEq)]
struct Identity<'a> {
    path: &'a PathPattern,
    origin: &'a Origin,
    preserve_host: bool,
    strip_prefix: Option<&'a str>,
    /// `None`: a plain proxy.
    stream: Option<(ShareOptions, IdPolicy)>,
}

impl<'a> Identity<'a> {
    fn of(route: &'a Route) -> Self {
        let Route { path, origin, preserve_host, strip_prefix, kind, .. } = route;
        let stream = match kind {
            RouteKind::Proxy(_) => None,
            RouteKind::Stream(policy) => {
                let share = ShareOptions { linger: Duration::ZERO, max_streams: 0, ..policy.share.clone() };
                Some((share, policy.replay.ids))
            }
        };
        Self { path, origin, preserve_host: *preserve_host, strip_prefix: strip_prefix.as_deref(), stream }
    }
}

/// A digest of what makes the streams of a route what they are. Streams of another process go on in a route only if this
/// is the same. It may differ between versions of the program.
#[must_use]
pub fn stream_identity(route: &Route) -> [u8; 32] {
    sha256(format!("{:?}", Identity::of(route)).as_bytes())
}

fn fate(old: &Route, new: &Route) -> Fate {
    if old == new {
        return Fate::Same;
    }
    let is_policy = Identity::of(old) == Identity::of(new) && covers(&new.hosts, &old.hosts);
    if is_policy { Fate::Policy } else { Fate::Replaced }
}

/// Whether every host of `old` is one of `new`. If not, clients may be on streams of a host that is served no longer.
fn covers(new: &Hosts, old: &Hosts) -> bool {
    match (new, old) {
        (Hosts::Any, _) => true,
        (Hosts::Only(_), Hosts::Any) => false,
        (Hosts::Only(new), Hosts::Only(old)) => old.iter().all(|host| new.contains(host)),
    }
}

/// Whether a setting is `[server.tls]` or stands in it.
fn is_of_tls(section: &str, key: &str) -> bool {
    (section, key) == ("server", "tls") || section == "server.tls"
}

fn joined(addresses: &[impl ToString]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The values of `[server]` that a process takes at its start alone.
fn waiting(old: &ServerConfig, new: &ServerConfig) -> Vec<Waiting> {
    let values = |of: &ServerConfig| {
        let or = |value: Option<String>, word: &str| value.unwrap_or_else(|| word.to_owned());
        [
            ("server.listen", joined(&of.listen)),
            ("server.unix_mode", format!("{:04o}", of.unix_mode)),
            ("server.admin", or(of.admin.as_ref().map(ToString::to_string), "off")),
            ("server.threads", of.threads.to_string()),
            ("server.shards", or(of.shards.map(|shards| shards.to_string()), "off")),
            ("server.io_uring", if of.io_uring { "auto" } else { "off" }.to_owned()),
            ("server.max_connections", or(of.max_connections.map(|most| most.to_string()), "auto")),
            ("server.tls.listen", or(of.tls.as_ref().map(|tls| joined(&tls.listen)), "off")),
        ]
    };
    let both = values(old).into_iter().zip(values(new));
    let differ = both.filter(|((_, running), (_, wanted))| running != wanted);
    differ.map(|((key, running), (_, wanted))| Waiting { key, running, wanted }).collect()
}
