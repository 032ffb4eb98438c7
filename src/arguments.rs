//! The command line.

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use manifold::demo::DEFAULT_ADDRESS;
use manifold::probe::{BadQuestion, ProbeOptions, Question};
use manifold::route::PathPattern;
use manifold::upstream::Origin;
use manifold::version::VERSION;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A reverse proxy for Server-Sent Events: one upstream connection per stream, any number of clients.
#[derive(Debug, Parser)]
#[command(version = VERSION, about, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The configuration file (TOML) [default: /etc/manifold/manifold.toml, or variables such as MANIFOLD_ORIGIN]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Check the configuration, print every error, and exit
    #[arg(long)]
    pub(crate) test: bool,
    /// With --test: also ask the origin of each route; exit code 1 if something is wrong with one of them
    #[arg(long, requires = "test")]
    pub(crate) probe: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a configuration file with every key, its default and a comment
    ///
    /// An existing file is not changed.
    Init(InitArguments),
    /// Print the JSON Schema of the configuration, with which an editor completes and checks its keys
    ///
    /// manifold schema > manifold.schema.json writes it into a file. A configuration beside that file names it in its
    /// first line: #:schema ./manifold.schema.json
    Schema,
    /// Run the gateway, a small origin and a web page that shows them
    Demo {
        /// Where to listen
        #[arg(long, value_name = "ADDR", default_value_t = DEFAULT_ADDRESS)]
        listen: SocketAddr,
        /// Listen for clients that use TLS as well, with a certificate that is made for this run
        #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:8443")]
        tls: Option<SocketAddr>,
    },
    /// Ask the process that runs with a configuration whether it is healthy; exit code 0 or 1
    ///
    /// It asks the admin address whether the process is ready. Without an admin address, it asks whether the first
    /// listener answers. An address with TLS is asked only if there is no other, and its certificate is not verified.
    Healthcheck {
        /// The configuration file, with the same default as for running
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Replace the process that runs with a configuration by a new one, and wait until it serves; exit code 0 or 1
    ///
    /// The process starts its program again, by the path of its own start, and hands its sockets over. No connection is
    /// refused. The command asks the admin address, and needs [server] admin. Without it, send SIGQUIT to the process.
    ///
    /// The configuration is tested first. If it has errors, the process is not asked, and the exit code is 64.
    Upgrade(UpgradeArguments),
    /// Ask for an event stream as a browser would, and say what is right and wrong with it; exit code 0 or 1
    ///
    /// The URL may be that of an origin, of manifold, or of a proxy in front of them. docs/troubleshooting.md has a
    /// section for each line of the report.
    Probe(ProbeArguments),
    /// Print a script that completes commands and options in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write the manual pages of all commands
    #[command(hide = true)]
    Man {
        /// The folder for the pages of all commands
        folder: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitArguments {
    /// The file to write
    #[arg(default_value = "manifold.toml")]
    pub(crate) file: PathBuf,
    /// The URL of the origin, such as http://127.0.0.1:3000
    #[arg(long, value_name = "URL", value_parser = Origin::parse)]
    pub(crate) origin: Option<Origin>,
    /// The path to serve, such as /events, or /* for all paths
    #[arg(long, value_name = "PATH", value_parser = PathPattern::parse)]
    pub(crate) path: Option<PathPattern>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpgradeArguments {
    /// The configuration file, with the same default as for running
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Do not test the configuration first, because only the process has its variables or may read its files
    #[arg(long)]
    pub(crate) no_test: bool,
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
    /// Check whether a page of this origin may read the stream, such as https://app.example
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// The page sends cookies (EventSource with withCredentials)
    #[arg(long)]
    pub(crate) credentials: bool,
    /// The Last-Event-ID of the first request
    #[arg(long, value_name = "ID")]
    pub(crate) last_event_id: Option<String>,
    /// Trust the certificates of this file (PEM) instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ProbeArguments {
    pub(crate) fn question(&self) -> Result<Question, BadQuestion> {
        let unreadable =
            |file: &Path, error: io::Error| BadQuestion::NoCaFile(file.display().to_string(), error.to_string());
        let ca = self.ca_file.as_deref().map(|file| fs::read(file).map_err(|error| unreadable(file, error)));
        Question::new(&ProbeOptions {
            url: self.url.clone(),
            listen: Duration::from_secs(self.secs),
            headers: self.headers.clone(),
            origin: self.origin.clone(),
            credentials: self.credentials,
            last_event_id: self.last_event_id.clone(),
            ca: ca.transpose()?,
        })
    }
}

/// What the author of a bad command line probably wanted, in words.
pub(crate) fn hint(error: &clap::Error) -> Option<String> {
    let word = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand].into_iter().find_map(|kind| error.get(kind));
    let Some(ContextValue::String(word)) = word else { return None };
    hint_for(word).map(|hint| format!("hint: {hint}"))
}

fn hint_for(word: &str) -> Option<String> {
    match word.trim_start_matches('-') {
        "t" | "check" | "validate" | "configtest" | "lint" | "verify" | "dry-run" => {
            Some("to check a configuration: manifold --test -c FILE".to_owned())
        }
        "run" | "serve" | "start" => Some("to run: manifold -c FILE".to_owned()),
        "reload" => {
            Some("to reload the configuration: send SIGHUP to the process, or run systemctl reload manifold".to_owned())
        }
        "replace" | "restart" => {
            Some("to replace the running process by a new one: manifold upgrade -c FILE".to_owned())
        }
        "health" | "status" | "ping" => Some("to ask a running process: manifold healthcheck -c FILE".to_owned()),
        "v" => Some("to see the version: manifold --version".to_owned()),
        file if is_file(file) => Some(format!("to run a configuration: manifold -c {file}")),
        _ => None,
    }
}

/// Whether a word looks like the name of a configuration file.
fn is_file(word: &str) -> bool {
    let path = Path::new(word);
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml") || extension == "conf")
        || path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn words_of_other_programs_get_a_hint() {
        for (line, expected) in [
            ("-t", Some("manifold --test -c FILE")),
            ("--check", Some("manifold --test -c FILE")),
            ("validate", Some("manifold --test -c FILE")),
            ("check x.toml", Some("manifold --test -c FILE")),
            ("site.toml", Some("manifold -c site.toml")),
            ("/etc/m.TOML", Some("manifold -c /etc/m.TOML")),
            ("run", Some("manifold -c FILE")),
            ("reload", Some("SIGHUP")),
            ("restart", Some("manifold upgrade -c FILE")),
            ("nonsense", None),
            ("--nonsense", None),
            ("probe --check", Some("manifold --test -c FILE")),
        ] {
            let words = std::iter::once("manifold").chain(line.split(' '));
            let error = Arguments::try_parse_from(words).unwrap_err();
            let said = hint(&error);
            let is_right = match expected {
                Some(expected) => said.as_ref().is_some_and(|said| said.contains(expected)),
                None => said.is_none(),
            };
            assert!(is_right, "{line}: {said:?}");
        }
    }
}
