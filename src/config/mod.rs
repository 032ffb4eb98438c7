//! The configuration: TOML text to resolved domain values, and nothing half-way.
//!
//! ```text
//! text --toml--> tables with places --Section, Layer--> options of each floor --> Config
//! ```
//!
//! The road is pure: environment and files come in through [`Sources`]. A policy is read in layers, each over the one
//! before: the options' own `Default`, the tables under `[defaults]`, the route's tables. Arrays replace; tables merge key
//! by key. Every error is collected with its place, key, value and rule, and all are reported at once; an error under
//! `[defaults]` is reported once, there. Values of upstream headers are never part of a message.

mod error;
mod policy;
mod reader;
mod report;
mod routes;
mod server;
mod sources;
#[cfg(test)]
mod tests;
mod value;

pub use error::{ConfigError, ConfigErrors};
pub use server::{ListenAddr, ServerConfig};
pub use sources::{Sources, SystemSources};

use crate::route::RouteTable;
use reader::Section;
use report::Report;
use std::path::Path;

/// What manifold is to do: where it listens, and its routes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Sockets, threads and limits of the process.
    pub server: ServerConfig,
    /// The routes, at least one.
    pub routes: RouteTable,
}

impl Config {
    /// Reads a file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// When the file cannot be read, and for everything that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let sources = SystemSources::beside(path);
        let text = std::fs::read_to_string(path).map_err(|error| ConfigErrors::unreadable(path, &error))?;
        Self::parse(&text, &sources).map_err(|errors| errors.of_file(path))
    }

    /// Reads a text; what it refers to comes from `sources`.
    ///
    /// # Errors
    /// For everything that is wrong in it.
    pub fn parse(text: &str, sources: &dyn Sources) -> Result<Self, ConfigErrors> {
        let report = Report::new(text);
        let document = report.document()?;
        let mut root = Section::root(&report, document.get_ref());
        let server = server::read(root.section("server"));
        let routes = routes::read(&mut root, sources);
        root.finish();
        report.verdict()?;
        Ok(Self { server, routes })
    }

    /// What `--test` says of a good configuration, such as `configuration ok: 3 routes`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.routes.routes().len() {
            1 => "configuration ok: 1 route".to_owned(),
            count => format!("configuration ok: {count} routes"),
        }
    }
}
