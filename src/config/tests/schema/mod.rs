//! docs/manifold.schema.json agrees with the reader: the same keys, defaults, types and values.

mod agreement;
mod keys;
mod shipped;

use super::*;
use crate::config::SCHEMA;
use jsonschema::Validator;
use serde_json::Value;
use std::sync::LazyLock;

static ROOT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(SCHEMA).unwrap());
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft7::new(&ROOT).unwrap());

/// What the schema refuses in a text. `None`: the text is not TOML.
fn faults(text: &str) -> Option<Vec<String>> {
    let document: toml::Table = toml::from_str(text).ok()?;
    let document = serde_json::to_value(document).unwrap();
    Some(VALIDATOR.iter_errors(&document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect())
}

/// Fails if the schema refuses anything in a text.
pub(super) fn takes(text: &str) {
    assert_eq!(faults(text), Some(Vec::new()), "{text}");
}

/// A schema, or the one that it refers to.
fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str() {
        Some(reference) => ROOT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// A schema and its alternatives.
fn alternatives(schema: &'static Value) -> impl Iterator<Item = &'static Value> {
    let schema = resolved(schema);
    std::iter::once(schema).chain(schema["anyOf"].as_array().into_iter().flatten().map(resolved))
}

/// A key of the schema.
struct Key {
    /// Its table, such as `routes.client`.
    section: String,
    name: String,
    schema: &'static Value,
}

impl Key {
    fn path(&self) -> String {
        if self.section.is_empty() { self.name.clone() } else { format!("{}.{}", self.section, self.name) }
    }
}

/// Every key of the schema. In a table whose keys are names that its author chooses, the key is `NAME`.
fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    add_keys(&ROOT, "", &mut keys);
    keys
}

fn add_keys(schema: &'static Value, section: &str, keys: &mut Vec<Key>) {
    for schema in alternatives(schema) {
        if let Some(elements) = schema.get("items") {
            add_keys(elements, section, keys);
        }
        let named = schema["properties"].as_object().into_iter().flatten();
        let chosen = schema["additionalProperties"].is_object().then(|| &schema["additionalProperties"]);
        let named = named.map(|(name, schema)| (name.as_str(), schema));
        for (name, schema) in named.chain(chosen.map(|schema| ("NAME", schema))) {
            let key = Key { section: section.to_owned(), name: name.to_owned(), schema };
            add_keys(schema, &key.path(), keys);
            keys.push(key);
        }
    }
}

/// A text with `value` at one key, and otherwise good.
fn with(section: &str, key: &str, value: &str) -> String {
    let required = [("path", "path = '/a'\n"), ("origin", "origin = 'http://o'\n")];
    let missing: String = required.iter().filter(|(name, _)| *name != key).map(|(_, line)| *line).collect();
    match section {
        "" => format!("{key} = {value}\n[[routes]]\n{missing}"),
        "routes" => format!("[[routes]]\n{missing}{key} = {value}"),
        "server.tls" => format!("[[routes]]\n{missing}[server.tls]\n{}{key} = {value}", of_tls(key)),
        "server.tls.certificates" => {
            let pair = ["cert = 'other.crt'\n", "key = 'other.key'\n"];
            let pair: String = pair.into_iter().filter(|line| !line.starts_with(&format!("{key} "))).collect();
            format!("[[routes]]\n{missing}[server.tls]\n{}[[{section}]]\n{pair}{key} = {value}", of_tls(""))
        }
        "routes.auth" => format!("[[routes]]\n{missing}[routes.auth]\n{}{key} = {value}", auth_beside(key)),
        "routes.proxy" => format!("[[routes]]\n{missing}kind = 'proxy'\n[routes.proxy]\n{key} = {value}"),
        _ => format!("[[routes]]\n{missing}[{section}]\n{key} = {value}"),
    }
}

/// The keys that `[server.tls]` must have, but for one.
fn of_tls(key: &str) -> String {
    let required = ["listen = ['0.0.0.0:8443']\n", "cert = 'tls.crt'\n", "key = 'tls.key'\n"];
    required.into_iter().filter(|line| !line.starts_with(&format!("{key} "))).collect()
}
