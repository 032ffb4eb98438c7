//! The floors of the crate, which are its layers. Imports point to lower floors only, modules on one floor never
//! import each other, and only some floors may name the libraries of the socket.
//!
//! The test reads every file under `src` without comments and strings. It follows each path that begins with `crate`,
//! `manifold` or `super` to the top-level module that the path names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The floors, lowest first. A module may import the modules of lower floors. Modules on one line are on one floor
/// and never import each other.
///
/// A new top-level module gets its place here.
const FLOORS: &[&[&str]] = &[
    &["quoted", "log_limit", "choices", "version", "digest", "millis", "utc"],
    &["caller", "certificates", "counters", "descriptors", "fields", "sync", "tls", "web"],
    &["access"],
    &["sse"],
    &["replay"],
    &["hub"],
    &["upstream", "fanout", "downstream"],
    &["auth"],
    &["route"],
    &["config"],
    &["gateway"],
    &["metrics"],
    &["admin"],
    &["service"],
    &["demo", "probe"],
    &["allocator", "arguments", "init", "logger", "signals"],
    &["manual", "serving"],
    &["main"],
];

/// Crates that only some files may name, each with the module paths of those files or their beginnings.
const CONFINED: &[(&str, &[&str])] = &[
    ("pingora", &["gateway", "service", "upstream::connect"]),
    ("mio", &["fanout"]),
    (
        "tokio",
        &[
            "descriptors",
            "hub",
            "upstream",
            "fanout",
            "gateway",
            "admin",
            "service",
            "web",
            "demo",
            "probe",
            "serving",
            "signals",
            "tls",
            "main",
        ],
    ),
    ("hyper", &["web", "admin", "demo", "probe"]),
    ("rustix", &["fanout", "gateway", "logger", "service", "main", "upstream::connect"]),
];

#[test]
fn imports_point_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files).unwrap();
    assert!(files.len() > 10, "too few files under {}", root.display());
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| {
            wrong_arrows(&module_of(file.strip_prefix(&root).unwrap()), &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found() {
    for (module, source, expected) in [
        ("sse", "use crate::replay::Seq;", "sse imports replay"),
        ("sse::decoder", "use super::super::hub::Mode;", "sse::decoder imports hub"),
        ("replay", "use crate::{sse::Event, hub};", "replay imports hub"),
        ("replay", "use crate::{sse::{a::{b}, c}, upstream::{x, y}};", "replay imports upstream"),
        ("upstream", "use crate::downstream::spread;", "upstream imports downstream"),
        ("fanout", "pub use crate::upstream::{self};", "fanout imports upstream"),
        ("downstream::head", "fn f() { let x = crate::fanout::X; }", "downstream::head imports fanout"),
        ("hub", "pub(crate) fn f(x: &crate::route::Route) {}", "hub imports route"),
        ("route", "use super::config::Config;", "route imports config"),
        ("config", "mod tests { mod deep { use super::super::super::gateway; } }", "config imports gateway"),
        ("gateway", "mod x { } use super::service::Service;", "gateway imports service"),
        ("hub", "/* /* */ */ use crate::gateway; // crate::main", "hub imports gateway"),
        ("hub", "const A: &str = r#\"\"#; const C: char = '\"'; use crate::service;", "hub imports service"),
        ("hub", "fn f<'a>(x: &'a str) -> crate::config::Config {}", "hub imports config"),
        ("sse", "use crate::*;", "sse imports *, which is no floor"),
        ("sse", "use crate::attic::Thing;", "sse imports attic, which is no floor"),
        ("attic", "use crate::sse;", "attic imports sse, but is no floor itself"),
        ("hub", "use pingora::prelude::Error;", "hub names pingora"),
        ("upstream::driver", "fn f() { pingora_core::x() }", "upstream::driver names pingora_core"),
        ("sse", "use tokio::time::Instant;", "sse names tokio"),
        ("downstream", "async fn f() { tokio::task::yield_now().await }", "downstream names tokio"),
        ("gateway", "use mio::Poll;", "gateway names mio"),
        ("service", "use crate::demo::Demo;", "service imports demo"),
        ("gateway", "use hyper::body::Body;", "gateway names hyper"),
        ("admin", "use crate::service::Service;", "admin imports service"),
        ("gateway", "use crate::admin::Facts;", "gateway imports admin"),
    ] {
        assert_eq!(wrong_arrows(&path(module), source), [expected], "{module}: {source}");
    }
}

#[test]
fn right_arrows_pass() {
    for (module, source) in [
        ("sse", "use super::sse::x; use crate::counters::Counters;"),
        ("hub", "use crate::{replay::ReplayLog, sse::{Event, Frame},}; use super::sse;"),
        ("hub::key", "use super::{QueryPolicy, ShareOptions}; use super::super::replay::X; use crate::hub::Mode;"),
        ("downstream", "mod tests { use super::*; use super::super::hub::Mode; }"),
        ("route", "use crate::upstream::A; use crate::downstream::B;"),
        ("main", "use manifold::service; fn main() { manifold::config::load() }"),
        (
            "sse",
            "//! [`crate::gateway`] is for pingora\n/* crate::hub */ const A: &str = \"crate::hub tokio \\\" mio\";",
        ),
        ("sse", "const A: &[u8] = br##\"\"# crate::hub \"##; const B: char = '\\''; // use crate::hub;"),
        ("sse", "pub(crate) fn f() {} pub(super) struct S; pub(in crate::sse) mod x {}"),
        ("upstream::connect::tls", "use pingora::connectors::http::Connector;"),
        ("upstream::connect_tests", "use pingora_core::x; use rustix::net;"),
        ("gateway", "use pingora::prelude::*; use tokio::sync::watch;"),
        ("sse", "let tokiox = mio_like; struct Pingora;"),
    ] {
        assert_eq!(wrong_arrows(&path(module), source), [""; 0], "{module}: {source}");
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The module path of a file. `hub/key/mod.rs` is `hub::key`. `lib.rs` is the root of the crate, whose path is empty.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

fn path(text: &str) -> Vec<String> {
    text.split("::").map(str::to_owned).collect()
}

/// The wrong imports of a file, each as a sentence.
fn wrong_arrows(module: &[String], source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let from = module.join("::");
    let Some(floor) = module.first() else { return Vec::new() };
    let mut wrong = Vec::new();
    for to in imported_floors(module, &tokens) {
        match (rank(floor), rank(&to)) {
            _ if to == *floor => {}
            (_, None) => wrong.push(format!("{from} imports {to}, which is no floor")),
            (None, _) => wrong.push(format!("{from} imports {to}, but is no floor itself")),
            (Some(own), Some(other)) if own > other => {}
            _ => wrong.push(format!("{from} imports {to}")),
        }
    }
    for token in &tokens {
        let crate_name = token.split_once('_').map_or(token.as_str(), |(before, _)| before);
        let confined = CONFINED.iter().find(|(name, _)| token == name || (*name == "pingora" && crate_name == *name));
        if confined.is_some_and(|(_, places)| !places.iter().any(|place| from.starts_with(place))) {
            wrong.push(format!("{from} names {token}"));
        }
    }
    wrong
}

fn rank(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|floors| floors.contains(&floor))
}

/// The top-level modules that the paths of a file lead to.
fn imported_floors(file: &[String], tokens: &[String]) -> Vec<String> {
    let mut floors = Vec::new();
    // The modules around the present token. Braces open and close inline modules.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => {
                depth += 1;
                if at >= 2 && tokens[at - 2] == "mod" {
                    inline.push((tokens[at - 1].clone(), depth));
                }
            }
            "}" => {
                if inline.last().is_some_and(|(_, opened)| *opened == depth) {
                    inline.pop();
                }
                depth -= 1;
            }
            "crate" | "manifold" if next_is_path(tokens, at) => floors.extend(heads(&tokens[at + 2..])),
            "super" if next_is_path(tokens, at) && !(at >= 1 && tokens[at - 1] == "::") => {
                let mut supers = 1;
                let mut rest = at + 2;
                while tokens.get(rest).is_some_and(|next| next == "super") && next_is_path(tokens, rest) {
                    supers += 1;
                    rest += 2;
                }
                if file.len() + inline.len() == supers {
                    floors.extend(heads(&tokens[rest..]));
                }
            }
            _ => {}
        }
    }
    floors
}

fn next_is_path(tokens: &[String], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|next| next == "::")
}

/// The first name of a path, or of each member of a group: `a::b` gives `a`, and `{a::{b}, c}` gives `a` and `c`.
fn heads(tokens: &[String]) -> Vec<String> {
    if tokens.first().is_some_and(|first| first != "{") {
        return tokens.iter().take(1).cloned().collect();
    }
    let mut heads = Vec::new();
    let (mut depth, mut expects_head) = (0, false);
    for token in tokens {
        match token.as_str() {
            "{" => {
                depth += 1;
                expects_head = depth == 1;
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "," => expects_head = depth == 1,
            name => {
                if expects_head {
                    heads.push(name.to_owned());
                }
                expects_head = false;
            }
        }
    }
    heads
}

/// The words, `::` and punctuation of a source, without comments, strings, characters and lifetimes.
fn tokens(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(n, char)| text.get(at + n) == Some(&char));
    let is_word = |at: usize| text.get(at).is_some_and(|char| char.is_alphanumeric() || *char == '_');
    let mut found: Vec<String> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if starts(at, "//") {
            at += text[at..].iter().take_while(|char| **char != '\n').count();
        } else if starts(at, "/*") {
            at = after_block_comment(&text, at);
        } else if let Some(hashes) = raw_string_hashes(&text, at) {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = at + text[at..].iter().take_while(|char| **char != '"').count() + 1;
            at = (body..text.len()).find(|at| starts(*at, &end)).map_or(text.len(), |at| at + end.len());
        } else if text[at] == '"' {
            at = after_quoted(&text, at);
        } else if text[at] == '\'' {
            // It is a character if a quote follows the next character, which may be escaped. Otherwise it is a
            // lifetime.
            let is_char = text.get(at + 1) == Some(&'\\') || text.get(at + 2) == Some(&'\'');
            at = if is_char { after_quoted(&text, at) } else { at + 1 };
        } else if is_word(at) {
            let end = (at..text.len()).find(|at| !is_word(*at)).unwrap_or(text.len());
            found.push(text[at..end].iter().collect());
            at = end;
        } else if starts(at, "::") {
            found.push("::".to_owned());
            at += 2;
        } else {
            if !text[at].is_whitespace() {
                found.push(text[at].to_string());
            }
            at += 1;
        }
    }
    found
}

/// The number of `#` in front of a raw string that begins here.
fn raw_string_hashes(text: &[char], at: usize) -> Option<usize> {
    let before_is_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    let prefix =
        ["br", "cr", "r"].into_iter().find(|prefix| text[at..].starts_with(&Vec::from_iter(prefix.chars())))?;
    let rest = &text[at + prefix.len()..];
    let hashes = rest.iter().take_while(|char| **char == '#').count();
    (!before_is_word && rest.get(hashes) == Some(&'"')).then_some(hashes)
}

fn after_quoted(text: &[char], opening: usize) -> usize {
    let mut at = opening + 1;
    while at < text.len() && text[at] != text[opening] {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn after_block_comment(text: &[char], opening: usize) -> usize {
    let (mut at, mut depth) = (opening + 2, 1);
    while at < text.len() && depth > 0 {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}
