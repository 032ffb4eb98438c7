//! The program: command line, logger, signals and exit code.

#[cfg(feature = "jemalloc")]
mod allocator;
mod arguments;
mod init;
mod logger;
mod manual;
mod serving;
mod signals;

use arguments::{Arguments, Command, InitArguments, ProbeArguments, UpgradeArguments};
use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use manifold::access;
use manifold::admin::{NotUpgraded, Question, Unhealthy, Upgrade};
use manifold::config::{Addresses, Config, DEFAULT_FILE, LogFormat, SCHEMA};
use manifold::demo::DemoOptions;
use manifold::probe::{Verdict, probe, probe_routes};
use manifold::quoted::Word;
use manifold::service::{Read, Reads};
use manifold::version::VERSION;
use serving::{demo, serve};
use signals::Signals;
use std::fs::File;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// EX_USAGE of sysexits(3): a bad command line or configuration.
const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    let code = run();
    logger::finish();
    code
}

/// Does what the command line asks for.
fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { EX_USAGE } else { 0 };
            let is_printed = error.print().is_ok();
            if let Some(hint) = arguments::hint(&error) {
                logger::say(&hint);
            }
            return if is_printed { ExitCode::from(code) } else { ExitCode::from(EX_USAGE) };
        }
    };
    let config = match (arguments.command, arguments.config) {
        (Some(Command::Demo { listen, tls }), _) => {
            // One stream of the demo fails on purpose. Its warnings would push the greeting off the screen.
            logger::start("error,manifold::signals=warn");
            logger::write_as(LogFormat::Text);
            return code_of(block_on(None, demo(DemoOptions { listen, tls, ..DemoOptions::default() })));
        }
        (Some(Command::Init(arguments)), _) => return init(&arguments),
        (Some(Command::Schema), _) => return print(SCHEMA.as_bytes()),
        (Some(Command::Completions { shell }), _) => return completions(shell),
        (Some(Command::Man { folder }), _) => return manual(folder.as_deref()),
        (Some(Command::Healthcheck { config }), _) => {
            logger::start("warn");
            logger::write_as(LogFormat::Text);
            return match Addresses::load(config.as_deref()) {
                Ok(addresses) => healthcheck(&addresses),
                Err(errors) => complain(&errors.to_string(), EX_USAGE),
            };
        }
        (Some(Command::Upgrade(arguments)), _) => return upgrade(&arguments),
        (Some(Command::Probe(arguments)), _) => return probe_url(&arguments),
        (None, config) => config,
    };
    logger::start("warn,manifold=info");
    if arguments.test {
        logger::write_as(LogFormat::Text);
        return match Config::load(config.as_deref()) {
            Ok(config) if arguments.probe => probe_all(&config),
            Ok(config) => say(&config.summary()),
            Err(errors) => complain(&errors.to_string(), EX_USAGE),
        };
    }
    let source = source(config.as_deref());
    match load(config) {
        Ok((config, signals, reads)) => {
            logger::write_as(config.log.format);
            access::want(config.log.access, config.log.access_every);
            log::info!("manifold starts version={} configuration={source}", Word(VERSION));
            for advice in config.advice() {
                log::warn!("{advice}");
            }
            code_of(block_on(Some(config.server.threads), serve(config, signals, reads)))
        }
        Err(code) => {
            logger::write_as(LogFormat::Text);
            code
        }
    }
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "manifold", &mut script);
    print(&script)
}

/// Prints the manual page, or writes the pages of all commands into a folder.
fn manual(folder: Option<&Path>) -> ExitCode {
    let Some(folder) = folder else {
        return match manual::page() {
            Ok(page) => print(&page),
            Err(error) => complain(&error.to_string(), 1),
        };
    };
    match manual::write_to(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("man: pages cannot be written into {}: {error}", folder.display()), 1),
    }
}

/// Writes a configuration file, and says what to do with it.
fn init(arguments: &InitArguments) -> ExitCode {
    let InitArguments { file, origin, path } = arguments;
    let text = init::text(origin.as_ref(), path.as_ref());
    match File::create_new(file).and_then(|mut created| created.write_all(text.as_bytes())) {
        Ok(()) => say(&init::next_steps(file, origin.is_some())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            complain(&format!("init: {} already exists, and is not changed: give another file name", file.display()), 1)
        }
        Err(error) => complain(&format!("init: {} cannot be written: {error}", file.display()), 1),
    }
}

/// Where the configuration is read from, as one word.
fn source(named: Option<&Path>) -> String {
    let file = named.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let is_read = named.is_some() || file.exists();
    if is_read { Word(&file.to_string_lossy()).to_string() } else { "environment".to_owned() }
}

fn healthcheck(addresses: &Addresses) -> ExitCode {
    let asked = Question::of(addresses).and_then(|question| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(Unhealthy::NoRuntime)?.block_on(question.ask())
    });
    match asked {
        Ok(well) => say(&well),
        Err(unhealthy) => complain(&format!("unhealthy: {unhealthy}"), 1),
    }
}

/// Asks the process that runs with the configuration for an upgrade, and says which process serves now.
fn upgrade(arguments: &UpgradeArguments) -> ExitCode {
    logger::start("warn");
    logger::write_as(LogFormat::Text);
    let config = arguments.config.as_deref();
    let question = match Addresses::load(config).map(|addresses| Upgrade::of(&addresses)) {
        Ok(Ok(question)) => question,
        Ok(Err(why)) => return complain(&format!("upgrade: {why}"), 1),
        Err(errors) => return complain(&errors.to_string(), EX_USAGE),
    };
    if !arguments.no_test
        && let Err(errors) = Config::load(config)
    {
        let why = "upgrade: the process was not asked, because a new one would refuse this configuration. If only the \
                   process has its variables or may read its files, add --no-test";
        return complain(&format!("{why}\n{errors}"), EX_USAGE);
    }
    let asked = on_one_thread(question.ask()).map_err(NotUpgraded::NoRuntime).flatten();
    match asked {
        Ok(process) => say(&format!("upgraded: process {process} serves now")),
        Err(why) => complain(&format!("upgrade: {why}"), 1),
    }
}

/// Asks for the stream, and prints the report.
fn probe_url(arguments: &ProbeArguments) -> ExitCode {
    logger::start("error");
    logger::write_as(LogFormat::Text);
    let question = match arguments.question() {
        Ok(question) => question,
        Err(bad) => return complain(&format!("probe: {bad}"), EX_USAGE),
    };
    let report = match on_one_thread(probe(question)) {
        Ok(report) => report,
        Err(error) => return complain(&error.to_string(), 1),
    };
    let is_coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = if arguments.json { report.json() } else { report.text(is_coloured) };
    verdict(&text, report.verdict())
}

/// Prints what a configuration means, and what its origins say.
fn probe_all(config: &Config) -> ExitCode {
    match on_one_thread(probe_routes(&config.routes)) {
        Ok(verdicts) => {
            let lines: Vec<_> = verdicts.iter().map(ToString::to_string).collect();
            let worst = verdicts.iter().map(|one| one.verdict).max().unwrap_or(Verdict::Good);
            verdict(&format!("{}\n\n{}", config.summary(), lines.join("\n")), worst)
        }
        Err(error) => complain(&error.to_string(), 1),
    }
}

/// Prints a text. The exit code is the verdict.
fn verdict(text: &str, worst: Verdict) -> ExitCode {
    let said = say(text);
    if worst == Verdict::Wrong { ExitCode::FAILURE } else { said }
}

fn on_one_thread<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    // Connections that are left are not waited for.
    runtime.shutdown_background();
    Ok(result)
}

fn code_of(result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), 1),
    }
}

/// Runs a future on this many threads, or on one per core.
fn block_on<F>(threads: Option<NonZeroUsize>, future: F) -> Result<(), Box<dyn std::error::Error>>
where
    F: Future<Output = Result<(), Box<dyn std::error::Error>>>,
{
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads.get());
    }
    let runtime = builder.thread_name("manifold").enable_all().build()?;
    let result = runtime.block_on(future);
    // Clients that are left after a drain or a SIGINT are not waited for.
    runtime.shutdown_background();
    result
}

/// Reads the configuration. Signals are handled while it is read, because the file may be a pipe or on a slow disk. On
/// an error it prints the error and returns the exit code.
fn load(config: Option<PathBuf>) -> Result<(Config, Signals, Reads), ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| complain(&error.to_string(), 1))?;
    let loaded = runtime.block_on(async {
        // Signals are not bound to this runtime. Any running runtime wakes all tasks that wait for a signal.
        let mut signals = Signals::new().map_err(|error| complain(&error.to_string(), 1))?;
        let named = config.clone();
        let loading = tokio::task::spawn_blocking(move || Read::now(named.as_deref()));
        tokio::select! {
            loaded = loading => match loaded {
                Ok(read) => {
                    let reads = Reads::after(config, &read);
                    let config = read.config.map_err(|errors| complain(&errors.to_string(), EX_USAGE))?;
                    Ok((config, signals, reads))
                }
                Err(panic) => Err(complain(&panic.to_string(), 1)),
            },
            end = signals.end("ignored: this process does not serve yet") => {
                log::info!("{end}: exit");
                Err(ExitCode::SUCCESS)
            }
        }
    });
    // A signal may have come while the file is still being read. That read is not waited for.
    runtime.shutdown_background();
    loaded
}

/// Prints an error. Each of its lines may be an error of its own, and begins with the name of the program.
fn complain(text: &str, code: u8) -> ExitCode {
    let lines: Vec<_> = text.lines().map(|line| format!("manifold: {line}")).collect();
    logger::say(&lines.join("\n"));
    ExitCode::from(code)
}

fn say(text: &str) -> ExitCode {
    print(format!("{text}\n").as_bytes())
}

fn print(bytes: &[u8]) -> ExitCode {
    if io::stdout().write_all(bytes).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
