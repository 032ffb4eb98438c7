//! The names of headers that may reach the origin, and the values of the headers that manifold sets.

use crate::config::reader::{Item, Rule};
use crate::config::sources::Sources;
use crate::fields::Nature;
use crate::upstream::{FileValue, OwnHeader, OwnValue, value_of, value_of_file};
use http::HeaderName;
use http::header::{HOST, VIA};
use std::env::VarError;
use std::path::Path;
use std::sync::Arc;

/// Reads the name of a header that may be forwarded or set.
pub(super) fn forwardable(name: &str) -> Result<HeaderName, Rule> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "must be a header's name".to_owned())?;
    match Nature::of(&name) {
        Nature::HopByHop => Err("is a hop-by-hop header, which is never forwarded".to_owned()),
        Nature::Own if name == HOST => {
            Err("is the host of the route's origin, or the client's with preserve_host = true".to_owned())
        }
        Nature::Own => Err("is always \"identity\", because manifold reads the events".to_owned()),
        Nature::Framing => Err("describes the body of a request: manifold sets it itself".to_owned()),
        _ if name == VIA => Err("is set by manifold itself, to recognise requests that come back to it".to_owned()),
        Nature::Resume => Err("says where a stream resumes: manifold sets it itself".to_owned()),
        _ => Ok(name),
    }
}

/// Reads a table of headers and merges it over `base` name by name. Its values are never shown.
pub(super) fn read(item: Item<'_>, base: &[OwnHeader], sources: &dyn Sources) -> Vec<OwnHeader> {
    let mut headers = base.to_vec();
    let item = item.secret();
    if item.value().as_table().is_none() {
        item.fail("must be a table such as { authorization = { env = \"ORIGIN_TOKEN\" } }");
        return headers;
    }
    let mut written: Vec<HeaderName> = Vec::new();
    for (name, item) in item.section().map(|mut section| section.take_rest()).unwrap_or_default() {
        let name = item.converted(|_| forwardable(name));
        let value = value(&item, sources);
        let (Some(name), Some(value)) = (name, value) else { continue };
        if written.contains(&name) {
            item.fail("is in the table twice: the names of headers do not distinguish upper and lower case");
            continue;
        }
        written.push(name.clone());
        match headers.iter_mut().find(|(held, _)| *held == name) {
            Some(held) => held.1 = value,
            None => headers.push((name, value)),
        }
    }
    headers
}

/// Reads a value: a plain text, `{ env = ".." }` or `{ file = ".." }`.
fn value(item: &Item<'_>, sources: &dyn Sources) -> Option<OwnValue> {
    if let Some(text) = item.str() {
        return sensitive(item, text);
    }
    let rule = "must be a string, { env = \"NAME\" } or { file = \"PATH\" }";
    if item.value().as_table().is_none() {
        item.fail(rule);
        return None;
    }
    let mut section = item.section()?;
    let (env, file) = (section.take("env"), section.take("file"));
    section.finish();
    match (env, file) {
        (Some(env), None) => variable(&env, sources),
        (None, Some(file)) => content(&file, sources),
        _ => {
            item.fail(rule);
            None
        }
    }
}

fn variable(item: &Item<'_>, sources: &dyn Sources) -> Option<OwnValue> {
    // This text may be a secret that was written in place of a variable's name, so it is not shown.
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let Some(name) = item.str().filter(is_name) else {
        item.clone().secret().fail("must be the name of an environment variable: letters, digits and _");
        return None;
    };
    // The text of `VarError` would show a value that is not UTF-8.
    let reason = |error| match error {
        VarError::NotPresent => "the environment variable is not set",
        VarError::NotUnicode(_) => "the environment variable is not UTF-8",
    };
    let value = sources.variable(name).map_err(|error| item.fail(reason(error))).ok()?;
    if value.is_empty() {
        item.fail("the environment variable is empty");
        return None;
    }
    sensitive(item, &value)
}

/// The value of a file. It is read again when the file changes.
fn content(item: &Item<'_>, sources: &dyn Sources) -> Option<OwnValue> {
    let Some(path) = item.str() else {
        item.clone().secret().fail("must be the path of a file");
        return None;
    };
    let text = sources.text(Path::new(path));
    let text = text.map_err(|error| item.fail(format_args!("the file cannot be read: {error}"))).ok()?;
    let value = value_of_file(&text).map_err(|rule| item.fail(rule)).ok()?;
    Some(match sources.located(Path::new(path)) {
        Some(path) => OwnValue::File(Arc::new(FileValue::new(path, value))),
        None => OwnValue::Fixed(value),
    })
}

fn sensitive(item: &Item<'_>, text: &str) -> Option<OwnValue> {
    value_of(text).map_err(|rule| item.fail(rule)).map(OwnValue::Fixed).ok()
}
