//! Reads the configuration: TOML text in, resolved domain values out.
//!
//! ```text
//! text --toml--> tables with places --Section, Layer--> options of each module --> Config
//! ```
//!
//! Reading is pure: environment variables and files come in through [`Sources`]. It has these steps:
//! - References in strings (`${NAME}`) are replaced by variables of the environment.
//! - The values of manifold's own variables (`MANIFOLD_ORIGIN` and the like) replace those of the file.
//! - Each policy is read in layers, each over the one before: the `Default` of its options type, the tables under
//!   `[defaults]`, the tables of the route. Arrays replace; tables merge key by key.
//!
//! Every error is collected with its place, key, value and rule, and all are reported at once. An error under
//! `[defaults]` is reported once, there. The values of upstream headers are never part of a message.

mod addresses;
mod admin;
mod advice;
mod change;
mod environment;
mod error;
mod limits;
mod log;
mod networks;
mod policy;
mod reader;
mod report;
mod routes;
mod server;
mod settings;
mod sources;
mod substitution;
mod summary;
#[cfg(test)]
mod tests;
mod tls;
mod value;

pub use addresses::Addresses;
pub use admin::{AdminAccess, Token};
pub use change::{Change, Fate, RouteChange, Waiting, stream_identity};
pub use error::{ConfigError, ConfigErrors};
pub use limits::{Refuse, ServerLimits};
pub use log::{LogConfig, LogFormat};
pub use networks::{Networks, Trusted};
pub use server::{Http2By, ListenAddr, ServerConfig, SnapshotFile};
pub use settings::{From, Setting, Settings};
pub use sources::{Sources, SystemSources};
pub use summary::policy_in_words;
pub use tls::TlsConfig;

use crate::route::RouteTable;
use reader::{Section, joined};
use report::Report;
use std::io;
use std::path::{Path, PathBuf};

/// The configuration of a process: its server options and its routes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Sockets, threads and limits of the process.
    pub server: ServerConfig,
    /// The form of log lines, and which access lines are written.
    pub log: LogConfig,
    /// The routes. There is at least one.
    pub routes: RouteTable,
    /// Every value with where it came from.
    pub settings: Settings,
}

/// The file that is read if the command line names none.
pub const DEFAULT_FILE: &str = "/etc/manifold/manifold.toml";

/// The JSON Schema (draft-07) of a configuration file, for editors.
pub const SCHEMA: &str = include_str!("../../docs/manifold.schema.json");

const NOTHING: &str = "there is no configuration: give a file with -c FILE (the default is \
                       /etc/manifold/manifold.toml), write one with manifold init, set MANIFOLD_ORIGIN to the URL of \
                       an origin, or try manifold demo";

/// The part of a configuration that is read.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Whole,
    /// `[server]` without the files of `[server.tls]`. Errors elsewhere do not matter.
    Server,
}

/// How manifold's own variables apply to a text.
#[derive(Clone, Copy, PartialEq)]
enum Variables {
    Ignored,
    /// The text is a file. The variables replace its values.
    OverFile,
    /// There is no file. The text is empty, and the variables alone make the configuration.
    Alone,
}

impl Config {
    /// Reads the file that the command line names, or else [`DEFAULT_FILE`] if it exists, or else the variables
    /// alone. The variables replace values of a file. Relative paths in a file are relative to its directory.
    ///
    /// # Errors
    /// When there is nothing to read, when the file cannot be read, and for every error in it.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigErrors> {
        let (mut config, names) = load(named, Part::Whole, Self::of)?;
        let file = named.or_else(|| Some(Path::new(DEFAULT_FILE)).filter(|file| file.exists()));
        config.settings.file = file.map(Path::to_owned);
        config.settings.names = names;
        Ok(config)
    }

    /// Reads a text. What the text refers to comes from `sources`.
    ///
    /// # Errors
    /// For every error in it.
    pub fn parse(text: &str, sources: &dyn Sources) -> Result<Self, ConfigErrors> {
        read(text, Variables::Ignored, Part::Whole, sources, Self::of)
    }

    fn of(mut root: Section<'_>, sources: &dyn Sources) -> Self {
        let mut settings = Settings::of(&root, sources);
        let server = server::read(root.section("server"), sources);
        let log = log::read(root.section("log"));
        let routes = routes::read(&mut root, sources);
        root.finish();
        settings.name(&routes);
        Self { server, log, routes, settings }
    }
}

/// Reads the file or, if there is none, the variables. Returns the files that it names, too.
fn load<T>(
    named: Option<&Path>,
    part: Part,
    convert: impl FnOnce(Section<'_>, &dyn Sources) -> T,
) -> Result<(T, Vec<PathBuf>), ConfigErrors> {
    let path = named.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let sources = SystemSources::beside(path);
    let read = match std::fs::read_to_string(path) {
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
    };
    read.map(|read| (read, sources.into_named()))
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
