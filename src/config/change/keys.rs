//! The keys in which two configurations differ, by name. Values are never told: they may be secrets.

use crate::certificates::IdentityOptions;
use crate::config::{Config, Setting};
use crate::route::{Route, RouteKind};
use crate::upstream::UpstreamOptions;

/// The keys of a route that differ, without the table of routes: `client.heartbeat_secs`.
pub(super) fn of_route((old, before): (&Config, &Route), (new, after): (&Config, &Route)) -> Vec<String> {
    let of_name = |setting: &&Setting| setting.route.as_deref() == Some(&*after.name);
    let name = |setting: &Setting| {
        let section = setting.section.strip_prefix("routes").unwrap_or_default().trim_start_matches('.');
        if section.is_empty() { setting.key.clone() } else { format!("{section}.{}", setting.key) }
    };
    let [old, new] = [old, new].map(|config| config.settings.all.iter().filter(of_name).collect::<Vec<_>>());
    let mut keys = differing(&old, &new, name);
    let (before, after) = (upstream(before), upstream(after));
    for (header, value) in &after.headers {
        let held = before.headers.iter().find(|(name, _)| name == header);
        if held.is_some_and(|(_, held)| held != value) {
            keys.push(format!("upstream.headers.{header}"));
        }
    }
    if before.trusted != after.trusted {
        keys.push("upstream.ca_file".to_owned());
    }
    keys.sort();
    keys.dedup();
    keys
}

/// The keys of the process that differ: `server.drain_secs`.
pub(super) fn of_process(old: &Config, new: &Config) -> Vec<String> {
    let of_process = |setting: &&Setting| setting.route.is_none();
    let name = |setting: &Setting| format!("{}.{}", setting.section, setting.key);
    let [before, after] = [old, new].map(|config| config.settings.all.iter().filter(of_process).collect::<Vec<_>>());
    let mut keys = differing(&before, &after, name);
    if old.server.admin_access.token != new.server.admin_access.token {
        keys.push("server.admin_token_file".to_owned());
    }
    if let (Some(before), Some(after)) = (&old.server.tls, &new.server.tls) {
        keys.extend(of_tls(before.identity.options(), after.identity.options()).map(|key| format!("server.tls.{key}")));
    }
    keys.sort();
    keys.dedup();
    keys
}

/// The keys of `[server.tls]` whose files differ.
fn of_tls(old: &IdentityOptions, new: &IdentityOptions) -> impl Iterator<Item = &'static str> {
    let authorities = |of: &IdentityOptions| of.clients.as_ref().map(|clients| clients.authorities.clone());
    let is_other = [
        ("cert", old.pairs.first() != new.pairs.first()),
        ("certificates", old.pairs.get(1..) != new.pairs.get(1..)),
        ("client_ca_file", authorities(old) != authorities(new)),
        ("ticket_keys_file", old.ticket_keys != new.ticket_keys),
    ];
    is_other.into_iter().filter(|(_, is_other)| *is_other).map(|(key, _)| key)
}

fn differing(old: &[&Setting], new: &[&Setting], name: impl Fn(&Setting) -> String) -> Vec<String> {
    let has = |among: &[&Setting], of: &Setting| {
        let mut same = among.iter().filter(|other| (&other.section, &other.key) == (&of.section, &of.key));
        same.any(|other| other.value == of.value)
    };
    let changed = new.iter().filter(|setting| !has(old, setting));
    let gone = old.iter().filter(|setting| !has(new, setting));
    changed.chain(gone).map(|setting| name(setting)).collect()
}

fn upstream(route: &Route) -> &UpstreamOptions {
    match &route.kind {
        RouteKind::Stream(policy) => &policy.upstream,
        RouteKind::Proxy(policy) => &policy.upstream,
    }
}
