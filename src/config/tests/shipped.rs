//! The files in conf/ load, and what they say about defaults is true.

use super::*;
use crate::config::report::Report;
use crate::config::{ServerConfig, TlsConfig};
use crate::config::{reader::Section, routes, server};
use crate::downstream::CorsOptions;
use crate::route::ProxyPolicy;
use std::path::PathBuf;

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf")
}

fn manifold_toml() -> String {
    std::fs::read_to_string(conf().join("manifold.toml")).unwrap()
}

/// The text with every `#key = value` and `#[table]` uncommented.
fn uncommented(text: &str) -> String {
    let is_setting = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line: &str| line.strip_prefix('#').filter(|rest| is_setting(rest)).unwrap_or(line).to_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_shipped_file_loads() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(conf()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            Config::load(Some(&path)).unwrap_or_else(|errors| panic!("{errors}"));
            names.push(path.file_name().unwrap().to_owned());
        }
    }
    assert!(names.len() >= 2, "{names:?}");
}

#[test]
fn the_commented_defaults_are_the_defaults() {
    let machine = ServerConfig::default();
    let shipped = Config::load(Some(&conf().join("manifold.toml"))).unwrap();
    let text = manifold_toml();
    // No route has all keys of this table, because each is for one kind of credential.
    let (before, rest) = text.split_once("#[routes.auth]").unwrap();
    let (_, after) = rest.split_once("\n# ------").unwrap();
    let mut written = good(&uncommented(&format!("{before}\n# ------{after}")));
    assert_eq!(shipped.server, machine);
    let tls = written.server.tls.take().unwrap();
    let same = with_tls("[[server.tls.certificates]]\ncert = 'other.crt'\nkey = 'other.key'");
    let same = good(&same).server.tls.unwrap();
    assert_eq!(tls, TlsConfig { files: tls.files.clone(), ..same });
    let two = std::num::NonZeroUsize::new(2).unwrap();
    assert_eq!(written.server, ServerConfig { threads: two, shards: Some(two), ..machine });

    let [streams, proxies] = written.routes.routes() else { panic!("two routes") };
    assert_eq!(proxies.kind, RouteKind::Proxy(ProxyPolicy::default()));
    let mut route = Route::clone(streams);
    let RouteKind::Stream(policy) = &mut route.kind else { panic!("a proxy route") };
    assert_eq!(policy.cors.take(), Some(CorsOptions::default()));
    assert_eq!(*policy, StreamPolicy::default());
    assert_eq!(route, *shipped.routes.routes()[0]);
}

/// Whether a key is in the table. For a list of tables: whether it is in one of them.
fn holds(table: &toml::Table, path: &[&str]) -> bool {
    let [name, rest @ ..] = path else { return true };
    match table.get(*name) {
        Some(toml::Value::Array(tables)) if !rest.is_empty() => {
            tables.iter().filter_map(toml::Value::as_table).any(|table| holds(table, rest))
        }
        Some(toml::Value::Table(table)) => holds(table, rest),
        Some(_) => rest.is_empty(),
        None => false,
    }
}

#[test]
fn every_key_is_in_the_commented_file() {
    let text = uncommented(&manifold_toml());
    let document: toml::Table = text.parse().unwrap();
    let report = Report::new("[[routes]]\npath = '/a'\norigin = 'http://o'");
    let tables = report.document().unwrap();
    let mut root = Section::root(&report, tables.get_ref());
    server::read(root.section("server"), &Imagined::usual());
    routes::read(&mut root, &Imagined::default());
    let vocabulary = report.vocabulary();
    assert!(vocabulary.len() > 60, "{}", vocabulary.len());
    for (section, key) in vocabulary {
        if section.is_empty() || section.starts_with("defaults") {
            continue;
        }
        let path: Vec<_> = section.split('.').chain([key]).collect();
        assert!(holds(&document, &path), "{section}.{key} is not in conf/manifold.toml");
    }
}
