//! The configuration: TOML text to resolved domain values, and nothing half-way.
//!
//! ```text
//! text --toml--> tables with places --Section, Layer--> options of each floor --> Config
//! ```
//!
//! The road is pure: environment and files come in through [`Sources`]. Variables in strings (`${NAME}`) are replaced first,
//! then the variables of manifold's own (`MANIFOLD_ORIGIN` and the like) are laid over the file. A policy is read in layers, each over the one
//! before: the options' own `Default`, the tables under `[defaults]`, the route's tables. Arrays replace; tables merge key
//! by key. Every error is collected with its place, key, value and rule, and all are reported at once; an error under
//! `[defaults]` is reported once, there. Values of upstream headers are never part of a message.

mod advice;
mod environment;
mod error;
mod networks;
mod policy;
mod reader;
mod report;
mod routes;
mod server;
mod sources;
mod substitution;
mod summary;
#[cfg(test)]
mod tests;
mod value;

pub use error::{ConfigError, ConfigErrors};
pub use networks::{Networks, Trusted};
pub use server::{ListenAddr, ServerConfig};
pub use sources::{Sources, SystemSources};

use crate::route::RouteTable;
use reader::{Section, joined};
use report::Report;
use std::io;
use std::path::Path;

/// What manifold is to do: where it listens, and its routes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Sockets, threads and limits of the process.
    pub server: ServerConfig,
    /// The routes, at least one.
    pub routes: RouteTable,
}

/// The file that is read when the command line names none.
pub const DEFAULT_FILE: &str = "/etc/manifold/manifold.toml";

const NOTHING: &str = "no configuration: name a file with -c FILE, or put one at /etc/manifold/manifold.toml, or set \
                       MANIFOLD_ORIGIN to the URL of an origin, or try manifold demo";

/// What is read of a configuration.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Whole,
    /// `[server]` alone; what is wrong elsewhere does not matter.
    Server,
}

/// What the variables of manifold's own are to a text.
#[derive(Clone, Copy, PartialEq)]
enum Variables {
    Ignored,
    /// They stand over the text, which is a file's.
    OverFile,
    /// The text is empty: there is no file.
    Alone,
}

impl Config {
    /// Reads the file that the command line names, or else [`DEFAULT_FILE`] if it is there, or else variables alone. The
    /// variables stand over a file. Relative paths in a file are relative to its directory.
    ///
    /// # Errors
    /// When there is nothing to read, when the file cannot be read, and for everything that is wrong.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigErrors> {
        load(named, Part::Whole, Self::of)
    }

    /// Reads a text; what it refers to comes from `sources`.
    ///
    /// # Errors
    /// For everything that is wrong in it.
    pub fn parse(text: &str, sources: &dyn Sources) -> Result<Self, ConfigErrors> {
        read(text, Variables::Ignored, Part::Whole, sources, Self::of)
    }

    fn of(mut root: Section<'_>, sources: &dyn Sources) -> Self {
        let server = server::read(root.section("server"));
        let routes = routes::read(&mut root, sources);
        root.finish();
        Self { server, routes }
    }
}

impl ServerConfig {
    /// Reads `[server]` as [`Config::load`] does, and nothing else: for who asks a running process, which may have read
    /// another file than is there now.
    ///
    /// # Errors
    /// As [`Config::load`], for `[server]` alone.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigErrors> {
        load(named, Part::Server, |mut root, _| server::read(root.section("server")))
    }
}

/// Reads the file or, without one, the variables.
fn load<T>(
    named: Option<&Path>,
    part: Part,
    convert: impl FnOnce(Section<'_>, &dyn Sources) -> T,
) -> Result<T, ConfigErrors> {
    let path = named.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let sources = SystemSources::beside(path);
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let read = read(&text, Variables::OverFile, part, &sources, convert);
            read.map_err(|errors| errors.of_file(path))
        }
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            if !environment::names_an_origin(&sources) {
                return Err(ConfigErrors::nothing(NOTHING.to_owned()));
            }
            read("", Variables::Alone, part, &sources, convert)
        }
        Err(error) => Err(ConfigErrors::unreadable(path, &error)),
    }
}

fn read<T>(
    text: &str,
    variables: Variables,
    part: Part,
    sources: &dyn Sources,
    convert: impl FnOnce(Section<'_>, &dyn Sources) -> T,
) -> Result<T, ConfigErrors> {
    let report = Report::new(text);
    let mut document = report.document()?;
    for (key, value) in document.get_mut().iter_mut() {
        if part == Part::Whole || key.get_ref() == "server" {
            substitution::substitute(value, &joined("", key.get_ref()), &report, sources);
        }
    }
    if variables != Variables::Ignored {
        environment::over_server(document.get_mut(), &report, sources, variables == Variables::OverFile);
        if part == Part::Whole {
            environment::over_routes(document.get_mut(), &report, sources);
        }
    }
    let read = convert(Section::root(&report, document.get_ref()), sources);
    report.verdict()?;
    Ok(read)
}
