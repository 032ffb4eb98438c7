//! The environment variables that replace values of a file, or that configure one route without a file.

use super::error::{ConfigError, Place};
use super::report::Report;
use super::sources::Sources;
use std::borrow::Cow;
use std::env::VarError;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// The origin of the single route.
const ORIGIN: &str = "MANIFOLD_ORIGIN";
/// The path of the single route.
const PATH: &str = "MANIFOLD_PATH";
/// `server.listen`, as addresses separated by commas.
const LISTEN: &str = "MANIFOLD_LISTEN";
/// `server.admin`.
const ADMIN: &str = "MANIFOLD_ADMIN";

/// `server.admin_token_file`.
pub(super) const ADMIN_TOKEN_FILE: &str = "MANIFOLD_ADMIN_TOKEN_FILE";
/// `server.admin_hosts`, as names separated by commas.
const ADMIN_HOSTS: &str = "MANIFOLD_ADMIN_HOSTS";

/// All variables. A [`Report`] numbers them by this order.
pub(super) const VARIABLES: [&str; 6] = [ORIGIN, PATH, LISTEN, ADMIN, ADMIN_TOKEN_FILE, ADMIN_HOSTS];

/// The listening address without a file: every address of the machine or container.
const LISTEN_WITHOUT_FILE: &str = "0.0.0.0:8080";
/// The path of the route without a file.
const PATH_WITHOUT_FILE: &str = "/*";

/// Whether a variable names an origin, which is enough for a route.
pub(super) fn names_an_origin(sources: &dyn Sources) -> bool {
    !matches!(sources.variable(ORIGIN), Err(VarError::NotPresent))
}

/// Sets the keys of `[server]` for which there is a variable. Without a file the listening address has another
/// default.
pub(super) fn over_server<'t>(document: &mut DeTable<'t>, report: &Report<'t>, sources: &dyn Sources, has_file: bool) {
    let listen = variable(LISTEN, report, sources);
    let listen = listen.or_else(|| (!has_file).then(|| LISTEN_WITHOUT_FILE.to_owned()));
    let text = |name, key| variable(name, report, sources).map(|text| (name, key, DeValue::String(Cow::Owned(text))));
    let values = [
        listen.map(|addresses| (LISTEN, "listen", list(LISTEN, &addresses, report))),
        text(ADMIN, "admin"),
        text(ADMIN_TOKEN_FILE, "admin_token_file"),
        variable(ADMIN_HOSTS, report, sources)
            .map(|hosts| (ADMIN_HOSTS, "admin_hosts", list(ADMIN_HOSTS, &hosts, report))),
    ];
    for (variable, key, value) in values.into_iter().flatten() {
        if !document.contains_key("server") {
            insert(document, variable, "server", DeValue::Table(DeTable::new()), report);
        }
        // A value that is not a table is reported when it is read.
        if let Some(DeValue::Table(server)) = document.get_mut("server").map(Spanned::get_mut) {
            insert(server, variable, key, value, report);
        }
    }
}

/// The parts of a variable's value that are separated by commas.
fn list<'t>(variable: &'static str, text: &str, report: &Report<'t>) -> DeValue<'t> {
    let mut list = DeArray::new();
    for part in text.split(',') {
        list.push(report.of_variable(variable, DeValue::String(Cow::Owned(part.trim().to_owned()))));
    }
    DeValue::Array(list)
}

/// Sets the origin and path of the file's single route, or adds that route.
pub(super) fn over_routes<'t>(document: &mut DeTable<'t>, report: &Report<'t>, sources: &dyn Sources) {
    let origin = variable(ORIGIN, report, sources).map(|origin| (ORIGIN, "origin", origin));
    let path = variable(PATH, report, sources).map(|path| (PATH, "path", path));
    let makes_a_route = !document.contains_key("routes") && origin.is_some();
    if makes_a_route {
        let mut routes = DeArray::new();
        let mut route = DeTable::new();
        insert(&mut route, PATH, "path", DeValue::String(PATH_WITHOUT_FILE.into()), report);
        routes.push(report.of_variable(ORIGIN, DeValue::Table(route)));
        insert(document, ORIGIN, "routes", DeValue::Array(routes), report);
    }
    let Some(DeValue::Array(routes)) = document.get_mut("routes").map(Spanned::get_mut) else { return };
    for (variable, key, value) in [origin, path].into_iter().flatten() {
        match &mut **routes {
            [] => {}
            [route] => {
                if let DeValue::Table(route) = route.get_mut() {
                    insert(route, variable, key, DeValue::String(Cow::Owned(value)), report);
                }
            }
            many => report.add(error(
                variable,
                format!(
                    "sets the {key} of a single route, and there are {}: write {key} = \"${{{variable}}}\" in the \
                     routes that need it, and give the variable another name",
                    many.len()
                ),
            )),
        }
    }
}

/// The value of a variable. `None`: it is not set.
fn variable(name: &'static str, report: &Report<'_>, sources: &dyn Sources) -> Option<String> {
    match sources.variable(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => {
            report.add(error(name, "the environment variable is not UTF-8".to_owned()));
            None
        }
    }
}

fn insert<'t>(
    table: &mut DeTable<'t>,
    variable: &'static str,
    key: &'static str,
    value: DeValue<'t>,
    report: &Report<'t>,
) {
    // A key that the file has keeps its place there. Errors take their place from the value.
    let place = report.of_variable(variable, DeValue::Boolean(true)).span();
    table.insert(Spanned::new(place, Cow::Borrowed(key)), report.of_variable(variable, value));
}

fn error(variable: &str, rule: String) -> ConfigError {
    ConfigError { place: Place::Environment, key: Some(variable.to_owned()), value: None, rule }
}
