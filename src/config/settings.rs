//! Every value of a configuration as it was resolved, with where it came from. Secrets are left out.
//!
//! ```text
//!   a route's table ──▶ [defaults] ──▶ conf/manifold.toml, which has every key with its default
//! ```
//!
//! The layers are looked at in this order. A value in the first two may be that of an environment variable.

use super::policy::{STREAM_KEYS, is_for_private};
use super::reader::{Item, Section};
use super::server::ServerConfig;
use super::sources::Sources;
use crate::route::RouteTable;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use toml::Table;
use toml::de::DeValue;

/// The keys of `[routes.auth]` that have no default.
const EXAMPLES: [&str; 8] = ["kind", "algorithms", "key_file", "key_env", "jwks_url", "url", "keys_file", "names"];

/// Every setting of a configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The files that the configuration names, such as those of certificates and tokens.
    pub names: Vec<PathBuf>,
    /// All settings: those of the process first, then those of each route.
    pub all: Vec<Setting>,
}

/// A setting as it was resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The table of the file that it belongs to, such as `server` or `routes.client`.
    pub section: String,
    /// The name of its route, if it belongs to one.
    pub route: Option<Arc<str>>,
    /// The key. A header's has two parts: `headers.authorization`.
    pub key: String,
    /// The value. `None`: it may be a secret.
    pub value: Option<Value>,
    /// Where the value came from.
    pub from: From,
    /// The line of the file.
    pub line: Option<usize>,
    /// The environment variables that the value or a part of it came from.
    pub variables: Vec<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// It is built in.
    Default,
    /// A key of the file.
    File,
    /// A key under `[defaults]`.
    Defaults,
    /// A variable of the environment that stands for a key.
    Environment,
}

impl From {
    /// As a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Defaults => "defaults",
            Self::Environment => "environment",
        }
    }
}

/// The shipped file, with each default in the place of a value.
pub(super) static SHIPPED: LazyLock<Table> = LazyLock::new(|| {
    let is_setting = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line: &'static str| line.strip_prefix('#').filter(is_setting).unwrap_or(line);
    let text: Vec<_> = include_str!("../../conf/manifold.toml").lines().map(line).collect();
    text.join("\n").parse().unwrap_or_default()
});

/// The tables that a setting may stand in, the one that counts first.
type Layers<'a> = Vec<(Option<Item<'a>>, From)>;

impl Settings {
    /// The settings of a document. The keys of a document with errors may be missing.
    pub(super) fn of(root: &Section<'_>, sources: &dyn Sources) -> Self {
        let mut all = Vec::new();
        for name in ["server", "log"] {
            let mut walk = Walk { sources, route: None, only: None, all: &mut all };
            walk.table(name, table(&SHIPPED, name), &vec![(root.peek(name), From::File)]);
        }
        let shipped = |at: usize| SHIPPED.get("routes")?.as_array()?.get(at)?.as_table();
        let routes = root.peek("routes").and_then(|item| item.elements()).unwrap_or_default();
        for (number, route) in routes.into_iter().enumerate() {
            let defaults = root.peek("defaults");
            let word = |table: Option<Item<'_>>, key| table.and_then(|item| item.inner(key)?.str().map(str::to_owned));
            let is_proxy = word(Some(route.clone()), "kind").is_some_and(|kind| kind == "proxy");
            let mode = word(route.inner("share"), "mode");
            let mode = mode.or_else(|| word(defaults.as_ref().and_then(|item| item.inner("share")), "mode"));
            let kind = match mode {
                _ if is_proxy => Kind::Proxy,
                Some(mode) if mode == "private" => Kind::Private,
                _ => Kind::Shared,
            };
            // The routes get their names when they have been read.
            let name = Some(Arc::from(number.to_string()));
            let mut walk = Walk { sources, route: name, only: Some(kind), all: &mut all };
            let layers = vec![(Some(route), From::File), (defaults, From::Defaults)];
            walk.table("routes", shipped(0), &layers);
            if is_proxy {
                let proxy = shipped(1).and_then(|route| table(route, "proxy"));
                // There the idle timeout may be called that of upstream.
                let mut of_proxy = inner(&layers, "proxy");
                of_proxy
                    .insert(1, (layers.first().and_then(|(route, _)| route.as_ref()?.inner("upstream")), From::File));
                walk.table("routes.proxy", proxy, &of_proxy);
            }
        }
        Self { file: None, names: Vec::new(), all }
    }

    /// Gives the settings of routes the names of the routes.
    pub(super) fn name(&mut self, routes: &RouteTable) {
        for setting in &mut self.all {
            let number = setting.route.as_ref().and_then(|number| number.parse::<usize>().ok());
            let Some(route) = number.and_then(|number| routes.routes().get(number)) else { continue };
            setting.route = Some(Arc::clone(&route.name));
            if (setting.section.as_str(), setting.key.as_str()) == ("routes", "name") {
                setting.value = Some(json!(&*route.name));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Shared,
    Private,
    Proxy,
}

impl Kind {
    /// Whether a key has a meaning on a route of this kind.
    fn has(self, section: &str, key: &str) -> bool {
        match self {
            Self::Shared => section != "routes.proxy",
            Self::Proxy => match section {
                // The timeout of an idle response stands with those of `proxy`.
                "routes.upstream" => key != "idle_timeout_secs" && !STREAM_KEYS.contains(&key),
                "routes.proxy" | "routes" | "routes.auth" => key != "cors",
                _ => false,
            },
            Self::Private => {
                section.strip_prefix("routes.").is_none_or(|table| table != "proxy" && is_for_private(table, key))
            }
        }
    }
}

/// Collects the settings of one part of the document.
struct Walk<'w> {
    sources: &'w dyn Sources,
    route: Option<Arc<str>>,
    /// The kind of the route.
    only: Option<Kind>,
    all: &'w mut Vec<Setting>,
}

impl Walk<'_> {
    /// Collects the keys of a table: all that the shipped file has.
    fn table(&mut self, section: &str, shipped: Option<&Table>, layers: &Layers<'_>) {
        for (key, default) in shipped.into_iter().flatten() {
            let has = self.only.is_none_or(|kind| kind.has(section, key));
            match default {
                toml::Value::Table(_) if section == "routes.upstream" && key == "headers" && has => {
                    self.headers(&inner(layers, key));
                }
                // Without a table of the file there are no CORS headers.
                toml::Value::Table(_)
                    if (section, key.as_str()) == ("routes", "cors") && has && !is_table(layers, key) =>
                {
                    self.value(section, key, &json!("off"), layers);
                }
                // Without a table of the file everybody may have the route.
                toml::Value::Table(_) if (section, key.as_str()) == ("routes", "auth") && !is_table(layers, key) => {
                    self.value(section, key, &json!("off"), layers);
                }
                // Without a table of the file there is no TLS.
                toml::Value::Table(_) if (section, key.as_str()) == ("server", "tls") && !is_table(layers, key) => {
                    self.value(section, key, &json!("off"), layers);
                }
                toml::Value::Table(inside) => {
                    self.table(&format!("{section}.{key}"), Some(inside), &inner(layers, key));
                }
                // Without a key of the file there is none. The shipped file has an example.
                _ if section == "routes.auth" && EXAMPLES.contains(&key.as_str()) && !is_written(layers, key) => {}
                _ if has => self.value(section, key, &built_in(section, key, default), layers),
                _ => {}
            }
        }
    }

    fn value(&mut self, section: &str, key: &str, default: &Value, layers: &[(Option<Item<'_>>, From)]) {
        let mut found = layers.iter().filter_map(|(table, from)| Some((table.as_ref()?.inner(key)?, *from)));
        match found.next() {
            Some((item, from)) => {
                let is_url_with_secrets = key == "origin" && item.str().is_some_and(|url| url.contains(['@', '?']));
                let value = (!is_url_with_secrets).then(|| value(item.value()));
                self.add(section, key.to_owned(), value, &item, from);
            }
            None => self.all.push(Setting {
                section: section.to_owned(),
                route: self.route.clone(),
                key: key.to_owned(),
                value: Some(default.clone()),
                from: From::Default,
                line: None,
                variables: Vec::new(),
            }),
        }
    }

    /// Collects the headers that manifold sends to an origin. Of each, only the source is shown.
    fn headers(&mut self, layers: &Layers<'_>) {
        let mut names: Vec<String> = Vec::new();
        for (table, from) in layers {
            for (name, item) in table.as_ref().map(Item::all).unwrap_or_default() {
                let name = name.to_ascii_lowercase();
                if names.contains(&name) {
                    continue;
                }
                let source = |key: &str| Some(json!({ key: item.inner(key)?.str()? }));
                self.add(
                    "routes.upstream",
                    format!("headers.{name}"),
                    source("env").or_else(|| source("file")),
                    &item,
                    *from,
                );
                if let (Some(variable), Some(setting)) = (item.inner("env"), self.all.last_mut()) {
                    setting.variables.extend(variable.str().map(str::to_owned));
                }
                names.push(name);
            }
        }
    }

    fn add(&mut self, section: &str, key: String, value: Option<Value>, item: &Item<'_>, from: From) {
        let (line, variable) = (item.line(), item.variable());
        let is_set = |name: &str| self.sources.variable(name).is_ok();
        let (from, variables) = match variable {
            None => (from, item.references()),
            Some(name) if is_set(name) => (From::Environment, vec![name.to_owned()]),
            // Without a file there are other defaults.
            Some(_) => (From::Default, Vec::new()),
        };
        let (section, route) = (section.to_owned(), self.route.clone());
        self.all.push(Setting {
            section,
            route,
            key,
            value,
            from,
            line: line.filter(|_| variable.is_none()),
            variables,
        });
    }
}

/// The tables of this key in each layer.
fn inner<'a>(layers: &Layers<'a>, key: &str) -> Layers<'a> {
    layers.iter().map(|(table, from)| (table.as_ref().and_then(|table| table.inner(key)), *from)).collect()
}

/// Whether a layer has this key.
fn is_written(layers: &Layers<'_>, key: &str) -> bool {
    inner(layers, key).iter().any(|(item, _)| item.is_some())
}

/// Whether the layer that counts has a table of this key, and not a word.
fn is_table(layers: &Layers<'_>, key: &str) -> bool {
    let found = inner(layers, key).into_iter().find_map(|(item, _)| item);
    found.is_some_and(|item| item.value().as_table().is_some())
}

fn table<'a>(tables: &'a Table, key: &str) -> Option<&'a Table> {
    tables.get(key)?.as_table()
}

/// The default of a key. The shipped file shows an example where the default depends on the machine.
fn built_in(section: &str, key: &str, shipped: &toml::Value) -> Value {
    let machine = ServerConfig::default;
    match (section, key) {
        ("server", "threads") => json!(machine().threads),
        ("server", "shards") => json!(machine().shards),
        ("server.tls", "certificates") => json!([]),
        _ => serde_json::to_value(shipped).unwrap_or_default(),
    }
}

fn value(of: &DeValue<'_>) -> Value {
    match of {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            number.as_str().parse::<i64>().map_or_else(|_| json!(number.to_string()), |n| json!(n))
        }
        DeValue::Float(number) => {
            number.as_str().parse::<f64>().map_or_else(|_| json!(number.to_string()), |n| json!(n))
        }
        DeValue::Boolean(is) => json!(is),
        DeValue::Datetime(time) => json!(time.to_string()),
        DeValue::Array(elements) => elements.iter().map(|element| value(element.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, of)| (key.get_ref().to_string(), value(of.get_ref()))).collect::<Map<_, _>>().into()
        }
    }
}
