//! What becomes of each key of the configuration, and of routes that come and go.

use super::*;
use crate::config::settings::SHIPPED;
use crate::config::tests::{OTHER, OWN, PEM, TICKETS};
use crate::config::{Config, Sources};
use std::collections::{BTreeMap, BTreeSet};
use std::env::VarError;
use std::io;
use std::path::Path;

/// Files whose texts the test chooses.
pub(super) struct Files(pub(super) &'static str);

impl Sources for Files {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        Ok(format!("{}{}", self.0, if name == "KEY" { "other" } else { "" }))
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        let of_tls = match path.to_str() {
            Some("tls.crt" | "./tls.crt") => Some(&OWN.0),
            Some("tls.key" | "./tls.key") => Some(&OWN.1),
            Some("other.crt") => Some(&OTHER.0),
            Some("other.key") => Some(&OTHER.1),
            Some("ring") => return Ok(format!("{} a", "ba".repeat(32))),
            Some("keys") => return Ok(format!("{} a", "ab".repeat(32))),
            Some("one") => return Ok("s3cret".to_owned()),
            Some("other") => return Ok(format!("{}another key", self.0)),
            _ => None,
        };
        Ok(of_tls.cloned().unwrap_or_else(|| self.0.to_owned()))
    }
}

/// What a key is for a running process.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Class {
    /// The streams of the route live on.
    Policy,
    /// They end.
    Identity,
    /// It makes another route.
    Name,
    /// It takes effect at once, for the process.
    Live,
    /// It waits for another process.
    Waits,
}
use Class::{Identity as Ends, Live, Name, Policy, Waits};

/// Every key of the shipped file, with another value.
const KEYS: &[(&str, &str, &str, Class)] = &[
    ("server", "listen", r#"["127.0.0.1:8081"]"#, Waits),
    ("server", "unix_mode", r#""0666""#, Waits),
    ("server", "admin", r#""127.0.0.1:9901""#, Waits),
    ("server", "admin_token_file", r#""token""#, Live),
    ("server", "admin_hosts", r#"["a"]"#, Live),
    ("server", "trusted_proxies", r#"["10.0.0.0/8"]"#, Live),
    ("server", "proxy_protocol", r#""on""#, Live),
    ("server", "head_bytes", r#""32KiB""#, Live),
    ("server", "head_secs", "21", Live),
    ("server", "keepalive_secs", "76", Live),
    ("server", "threads", "77", Waits),
    ("server", "shards", "77", Waits),
    ("server", "io_uring", r#""off""#, Waits),
    ("server", "http2", r#""session""#, Live),
    ("server", "max_connections", "100", Waits),
    ("server", "replay_bytes", r#""1MiB""#, Live),
    ("server", "drain_secs", "9", Live),
    ("server", "snapshot_file", r#""snapshot""#, Live),
    ("server", "snapshot_max_age_secs", "9", Live),
    ("server", "watch", "true", Live),
    ("server.limits", "per_address", "7", Live),
    ("server.limits", "new_per_address_per_sec", "7", Live),
    ("server.limits", "refuse", r#""status""#, Live),
    ("server.tls", "listen", r#"["127.0.0.1:8444"]"#, Waits),
    ("server.tls", "cert", r#""./tls.crt""#, Live),
    ("server.tls", "key", r#""./tls.key""#, Live),
    ("server.tls", "alpn", r#"["http/1.1"]"#, Live),
    ("server.tls", "client_ca_file", r#""ca.pem""#, Live),
    ("server.tls", "client_auth", r#""required""#, Live),
    ("server.tls", "ticket_keys_file", r#""tickets""#, Live),
    ("server.tls", "redirect_http", "true", Live),
    ("server.tls", "certificates", r#"[{ cert = "other.crt", key = "other.key" }]"#, Live),
    ("log", "format", r#""json""#, Live),
    ("log", "access", r#""all""#, Live),
    ("log", "access_every_secs", "301", Live),
    ("routes", "path", r#""/b""#, Ends),
    ("routes", "origin", r#""http://127.0.0.1:9001""#, Ends),
    ("routes", "name", r#""b""#, Name),
    ("routes", "host", r#""a.example""#, Ends),
    ("routes", "kind", r#""proxy""#, Ends),
    ("routes", "methods", r#"["GET"]"#, Policy),
    ("routes", "accept", r#""text/event-stream""#, Policy),
    ("routes", "preserve_host", "true", Ends),
    ("routes", "strip_prefix", r#""/a""#, Ends),
    ("routes.share", "mode", r#""private""#, Ends),
    ("routes.share", "query", r#"["a"]"#, Ends),
    ("routes.share", "headers", r#"["x-a"]"#, Ends),
    ("routes.share", "credentials", r#""share""#, Ends),
    ("routes.share", "credential_headers", r#"["x-a"]"#, Ends),
    ("routes.share", "cookies", r#"["a"]"#, Ends),
    ("routes.share", "claims", r#"["a"]"#, Ends),
    ("routes.share", "trust_origin", "true", Ends),
    ("routes.share", "linger_secs", "121", Policy),
    ("routes.share", "max_streams", "9", Policy),
    ("routes.replay", "events", "1001", Policy),
    ("routes.replay", "bytes", r#""5MiB""#, Policy),
    ("routes.replay", "age_secs", "301", Policy),
    ("routes.replay", "ids", r#""origin""#, Ends),
    ("routes.replay", "start", r#""all""#, Policy),
    ("routes.replay", "on_gap", r#""live""#, Policy),
    ("routes.replay", "gap_event", r#""hole""#, Policy),
    ("routes.client", "heartbeat_secs", "16", Policy),
    ("routes.client", "retry_ms", "1000", Policy),
    ("routes.client", "retry_jitter", "0.6", Policy),
    ("routes.client", "max_lifetime_secs", "60", Policy),
    ("routes.client", "on_lag", r#""skip""#, Policy),
    ("routes.client", "stall_secs", "31", Policy),
    ("routes.client", "flush_ms", "50", Policy),
    ("routes.upstream", "connect_timeout_secs", "6", Policy),
    ("routes.upstream", "head_timeout_secs", "31", Policy),
    ("routes.upstream", "idle_timeout_secs", "91", Policy),
    ("routes.upstream", "backoff_min_ms", "501", Policy),
    ("routes.upstream", "backoff_max_ms", "30001", Policy),
    ("routes.upstream", "on_close", r#""close""#, Policy),
    ("routes.upstream", "on_error", r#""reflect""#, Policy),
    ("routes.upstream", "hold_secs", "301", Policy),
    ("routes.upstream", "max_event_bytes", r#""1MiB""#, Policy),
    ("routes.upstream", "headers", r#"{ x-a = "b" }"#, Policy),
    ("routes.upstream", "ca_file", r#""ca.pem""#, Policy),
    ("routes.upstream", "multiplex", r#""on""#, Policy),
    ("routes.upstream", "max_upstreams", "3", Policy),
    ("routes.limits", "subscribers", "5", Policy),
    ("routes.limits", "per_stream", "5", Policy),
    ("routes.cors", "origins", r#"["https://a.example"]"#, Policy),
    ("routes.cors", "credentials", "false", Policy),
    ("routes.cors", "max_age_secs", "601", Policy),
    ("routes.auth", "kind", "\"mtls\"\nnames = ['CN=a']", Policy),
    ("routes.auth", "from", r#"["cookie:a"]"#, Policy),
    ("routes.auth", "algorithms", r#"["HS384"]"#, Policy),
    ("routes.auth", "key_file", r#""other""#, Policy),
    ("routes.auth", "key_env", r#""KEY""#, Policy),
    ("routes.auth", "jwks_url", r#""https://a.example/""#, Policy),
    ("routes.auth", "issuer", r#""a""#, Policy),
    ("routes.auth", "audience", r#"["a"]"#, Policy),
    ("routes.auth", "leeway_secs", "0", Policy),
    ("routes.auth", "require", r#"["a"]"#, Policy),
    ("routes.auth", "allow", r#""/{sub}""#, Policy),
    ("routes.auth", "url", r#""https://a.example/""#, Policy),
    ("routes.auth", "pass_headers", r#"["x-a"]"#, Policy),
    ("routes.auth", "subject_header", r#""x-a""#, Policy),
    ("routes.auth", "recheck_secs", "5", Policy),
    ("routes.auth", "fail_open", "true", Policy),
    ("routes.auth", "ca_file", r#""ca.pem""#, Policy),
    ("routes.auth", "keys_file", r#""keys""#, Policy),
    ("routes.auth", "names", r#"["CN=a"]"#, Policy),
    ("routes.auth", "ticket_path", r#""/ticket""#, Policy),
    ("routes.auth", "ticket_secs", "31", Policy),
    ("routes.auth", "ticket_grace_secs", "0", Policy),
    ("routes.auth", "ticket_max_secs", "5", Policy),
    ("routes.auth", "ticket_key_file", r#""other""#, Policy),
    ("routes.auth", "ticket_address", "true", Policy),
    ("routes.proxy", "idle_timeout_secs", "91", Policy),
    ("routes.proxy", "write_timeout_secs", "5", Policy),
    ("routes.proxy", "max_body_bytes", r#""1MiB""#, Policy),
];

/// A configuration of one route, with one key set.
fn with(section: &str, key: &str, value: &str) -> Config {
    let mut tables: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut set = |section, key, value| _ = tables.entry(section).or_default().insert(key, value);
    for (key, value) in [("path", r#""/a""#), ("name", r#""a""#), ("origin", r#""http://127.0.0.1:9""#)] {
        set("routes", key, value);
    }
    if section == "routes.proxy" {
        set("routes", "kind", r#""proxy""#);
    }
    if (section, key) == ("server", "proxy_protocol") {
        set("server", "trusted_proxies", r#"["10.0.0.0/8"]"#);
    }
    if section == "server.tls" {
        for (key, value) in [("listen", r#"["127.0.0.1:8443"]"#), ("cert", r#""tls.crt""#), ("key", r#""tls.key""#)] {
            set("server.tls", key, value);
        }
    }
    if section == "routes.auth" || key == "claims" {
        needed_for(key).into_iter().for_each(|(key, value)| set("routes.auth", key, value));
    }
    if key == "client_auth" {
        set("server.tls", "client_ca_file", r#""ca.pem""#);
    }
    if !value.is_empty() {
        set(section, key, value);
    }
    let mut text = String::new();
    for (table, keys) in tables {
        text.push_str(&if table == "routes" { "[[routes]]\n".to_owned() } else { format!("[{table}]\n") });
        keys.iter().for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
    }
    let sources = Files(match key {
        "ca_file" | "client_ca_file" | "client_auth" => PEM,
        "ticket_keys_file" => TICKETS,
        _ => "s3cret",
    });
    Config::parse(&text, &sources).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The configuration before a key is set.
fn before(section: &str, key: &str) -> Config {
    match (section, key) {
        ("routes.auth", "kind") => with(section, key, "'forward'\nurl = 'http://127.0.0.1:1/'"),
        ("routes.auth", _) | (_, "claims") => with(section, key, ""),
        _ => with(section, "", ""),
    }
}

/// The other keys of `[routes.auth]` that are needed for one of them.
fn needed_for(key: &str) -> Vec<(&'static str, &'static str)> {
    let jwt = [("kind", "'jwt'"), ("algorithms", "['HS256', 'RS256']")];
    let tickets = [("key_file", "'one'"), ("ticket_path", "'/t'")];
    match key {
        "kind" => Vec::new(),
        "url" | "pass_headers" | "subject_header" | "recheck_secs" | "fail_open" => {
            vec![("kind", "'forward'"), ("url", "'http://127.0.0.1:1/'")]
        }
        "keys_file" => vec![("kind", "'key'"), ("keys_file", "'ring'")],
        "names" => vec![("kind", "'mtls'"), ("names", "['CN=b']")],
        "algorithms" => vec![jwt[0], ("algorithms", "['HS256']"), tickets[0]],
        "jwks_url" => jwt.into_iter().chain([("jwks_url", "'http://a'")]).collect(),
        "key_env" => jwt.into_iter().chain([("key_env", "'ONE'")]).collect(),
        _ => jwt.into_iter().chain(tickets).collect(),
    }
}

#[test]
fn every_key_has_its_class() {
    for (section, key, value, class) in KEYS {
        let (old, new) = (before(section, key), with(section, key, value));
        let change = Change::between(&old, &new);
        let shown = format!("{section}.{key}: {change:?}");
        let name = format!("{section}.{key}");
        let of_route = name.strip_prefix("routes.").unwrap_or_default();
        match class {
            Policy | Ends => {
                let fate = if *class == Policy { Fate::Policy } else { Fate::Replaced };
                let [route] = &change.routes[..] else { panic!("{shown}") };
                assert_eq!((route.fate, change.fate("a")), (fate, fate), "{shown}");
                let is_named =
                    |told: &String| told == of_route || told.starts_with(of_route) || of_route.starts_with(&**told);
                assert!(route.keys.iter().any(is_named), "{shown}");
            }
            Name => assert_eq!((change.fate("b"), change.fate("a")), (Fate::New, Fate::Removed), "{shown}"),
            Live => assert!(change.process.contains(&name) && change.waiting.is_empty(), "{shown}"),
            Waits => {
                let [waiting] = &change.waiting[..] else { panic!("{shown}") };
                assert!(waiting.key == name && waiting.running != waiting.wanted, "{shown}");
                assert!(change.process.is_empty(), "{shown}");
                let taken = new.taken_by(&old);
                assert!(Change::between(&old, &taken).is_empty(), "it is not taken: {shown}");
                let again = Change::between(&taken, &with(section, key, value));
                assert_eq!(again.waiting, change.waiting, "it is named as long as it waits");
            }
        }
        assert_eq!(*class == Waits, !change.waiting.is_empty(), "{shown}");
        assert!(!change.is_empty() && Change::between(&old, &before(section, key)).is_empty(), "{shown}");
    }
}

/// All keys of a table, each with the table that it stands in.
fn keys(section: &str, table: &toml::Table, found: &mut BTreeSet<(String, String)>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inside) if key != "headers" => keys(&format!("{section}.{key}"), inside, found),
            _ => _ = found.insert((section.to_owned(), key.clone())),
        }
    }
}

#[test]
fn no_key_is_without_a_class() {
    let mut there_are = BTreeSet::new();
    for section in ["server", "log"] {
        keys(section, SHIPPED[section].as_table().unwrap(), &mut there_are);
    }
    for route in SHIPPED["routes"].as_array().unwrap() {
        keys("routes", route.as_table().unwrap(), &mut there_are);
    }
    let decided: BTreeSet<_> =
        KEYS.iter().map(|(section, key, ..)| ((*section).to_owned(), (*key).to_owned())).collect();
    assert_eq!(there_are, decided, "decide what a running process makes of a new key");
}

pub(super) fn read(text: &str, secret: &'static str) -> Config {
    Config::parse(text, &Files(secret)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The fates, in words.
fn fates(old: &str, new: &str) -> String {
    let change = Change::between(&read(old, "x"), &read(new, "x"));
    change.routes.iter().map(|route| format!("{}:{} ", route.name, route.fate.word())).collect()
}

#[test]
fn routes_come_and_go_by_their_names() {
    let route = |name: &str, more: &str| {
        format!("[[routes]]\nname = \"{name}\"\npath = \"/{name}\"\norigin = \"http://127.0.0.1:9\"\n{more}\n")
    };
    let (a, b) = (route("a", ""), route("b", ""));
    let on = |hosts: &str| route("a", &format!("host = {hosts}"));
    for (old, new, expected) in [
        (a.clone(), a.clone(), "a:same "),
        (a.clone() + &b, b.clone() + &a, "b:same a:same "),
        (a.clone(), a.clone() + &b, "a:same b:new "),
        (a.clone() + &b, b.clone(), "b:same a:removed "),
        (a.clone(), "[defaults.client]\nheartbeat_secs = 3\n".to_owned() + &a, "a:policy "),
        // Clients of a host that is still served live on.
        (on("[\"x\"]"), on("[\"x\", \"y\"]"), "a:policy "),
        (on("[\"x\"]"), on("\"any\""), "a:policy "),
        (on("[\"x\", \"y\"]"), on("[\"y\"]"), "a:replaced "),
        (on("\"any\""), on("[\"x\"]"), "a:replaced "),
    ] {
        assert_eq!(fates(&old, &new), expected, "{old}{new}");
    }
}

#[test]
fn a_secret_that_changed_is_named_and_not_told() {
    let text = "[server]\nadmin = \"127.0.0.1:9901\"\nadmin_token_file = \"token\"\n[[routes]]\npath = \"/a\"\n\
                origin = \"http://127.0.0.1:9\"\n[routes.upstream.headers]\nauthorization = { env = \"TOKEN\" }\n\
                x-key = { file = \"key\" }\n";
    let change = Change::between(&read(text, "s3cret"), &read(text, "an0ther"));
    let [route] = &change.routes[..] else { panic!("{change:?}") };
    assert_eq!(route.keys, ["upstream.headers.authorization", "upstream.headers.x-key"]);
    assert_eq!(change.process, ["server.admin_token_file"]);
    let shown = format!("{change:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("an0ther"), "{shown}");
}

#[test]
fn an_admin_address_that_stays_keeps_its_token() {
    let route = "[[routes]]\npath = \"/a\"\norigin = \"http://127.0.0.1:9\"\n";
    let admin = |address: &str, token: &str| {
        format!("[server]\nadmin = \"{address}\"\nadmin_token_file = \"{token}\"\n{route}")
    };
    let running = read(&admin("0.0.0.0:9901", "token"), "s3cret");
    for (text, secret, keeps) in [
        (admin("0.0.0.0:9901", "token"), "an0ther", false),
        (admin("127.0.0.1:9901", "off"), "s3cret", true),
        (admin("off", "none"), "s3cret", true),
        (route.to_owned(), "s3cret", true),
    ] {
        let new = read(&text, secret);
        let change = Change::between(&running, &new);
        let taken = new.taken_by(&running);
        let is_kept = taken.server.admin_access == running.server.admin_access;
        assert_eq!((is_kept, change.process.is_empty()), (keeps, keeps), "{text}");
        assert_eq!(taken.server.admin, running.server.admin);
    }
}
