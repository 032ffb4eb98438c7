//! The command line.

use clap::{Parser, Subcommand};
use manifold::demo::DEFAULT_ADDRESS;
use manifold::probe::{BadQuestion, ProbeOptions, Question};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A reverse proxy for Server-Sent Events: one upstream connection per stream, any number of clients.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The configuration file (TOML) [default: /etc/manifold/manifold.toml, or variables such as MANIFOLD_ORIGIN]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Check the configuration, say all that is wrong with it, and exit
    #[arg(long)]
    pub(crate) test: bool,
    /// With --test: ask the origin of each route, too; exit code 1 if one of them does not do
    #[arg(long, requires = "test")]
    pub(crate) probe: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway, a small origin and a web page that shows them
    Demo {
        /// Where to listen
        #[arg(long, value_name = "ADDR", default_value_t = DEFAULT_ADDRESS)]
        listen: SocketAddr,
    },
    /// Ask the running process of a configuration whether it is well; exit code 0 or 1
    ///
    /// It asks the admin address whether the process is ready or, where there is none, whether the first listener
    /// answers.
    Healthcheck {
        /// The configuration file, found as it is for running
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Ask for an event stream as a browser would, and say what is right and wrong with it; exit code 0 or 1
    ///
    /// It asks whatever is at the URL: an origin, manifold, or the proxy in front of them. docs/troubleshooting.md has a
    /// section for each thing that it says.
    Probe(ProbeArguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArguments {
    /// The URL of the stream
    pub(crate) url: String,
    /// How many seconds to listen
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) secs: u64,
    /// A header field of the request, as 'name: value'; may be given several times
    #[arg(long = "header", value_name = "FIELD")]
    pub(crate) headers: Vec<String>,
    /// The origin of a page that reads the stream, such as https://app.example: may it?
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// The page sends cookies (EventSource with withCredentials)
    #[arg(long)]
    pub(crate) credentials: bool,
    /// The Last-Event-ID of the first request
    #[arg(long, value_name = "ID")]
    pub(crate) last_event_id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ProbeArguments {
    pub(crate) fn question(&self) -> Result<Question, BadQuestion> {
        Question::new(&ProbeOptions {
            url: self.url.clone(),
            listen: Duration::from_secs(self.secs),
            headers: self.headers.clone(),
            origin: self.origin.clone(),
            credentials: self.credentials,
            last_event_id: self.last_event_id.clone(),
        })
    }
}
