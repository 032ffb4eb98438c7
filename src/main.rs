//! The program: command line, logger, signals and exit code.

mod allocator;
mod logger;
mod signals;

use clap::{Parser, Subcommand};
use manifold::admin::{Question, Unhealthy};
use manifold::config::{Config, ServerConfig};
use manifold::demo::{DEFAULT_ADDRESS, Demo, DemoOptions};
use manifold::service::Service;
use signals::{Asked, End, Signals};
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

/// EX_USAGE of sysexits(3): a bad command line or configuration.
const EX_USAGE: u8 = 64;

/// A reverse proxy for Server-Sent Events: one upstream connection per stream, any number of clients.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration file (TOML) [default: /etc/manifold/manifold.toml, or variables such as MANIFOLD_ORIGIN]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, say all that is wrong with it, and exit
    #[arg(long)]
    test: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
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
}

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
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(EX_USAGE) };
        }
    };
    let config = match (arguments.command, arguments.config) {
        (Some(Command::Demo { listen }), _) => {
            // One stream of the demo fails on purpose. Its warnings would push the greeting off the screen.
            logger::start("error,manifold::signals=warn");
            return code_of(block_on(None, demo(DemoOptions { listen, ..DemoOptions::default() })));
        }
        (Some(Command::Healthcheck { config }), _) => {
            logger::start("warn");
            return match ServerConfig::load(config.as_deref()) {
                Ok(server) => healthcheck(&server),
                Err(errors) => complain(&errors.to_string(), EX_USAGE),
            };
        }
        (None, config) => config,
    };
    logger::start("warn,manifold=info");
    if arguments.test {
        return match Config::load(config.as_deref()) {
            Ok(config) => say(&config.summary()),
            Err(errors) => complain(&errors.to_string(), EX_USAGE),
        };
    }
    match load(config) {
        Ok((config, signals)) => {
            for advice in config.advice() {
                log::warn!("{advice}");
            }
            code_of(block_on(Some(config.server.threads), serve(config, signals)))
        }
        Err(code) => code,
    }
}

fn healthcheck(server: &ServerConfig) -> ExitCode {
    let asked = Question::of(server).and_then(|question| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(Unhealthy::NoRuntime)?.block_on(question.ask())
    });
    match asked {
        Ok(well) => say(&well),
        Err(unhealthy) => complain(&format!("unhealthy: {unhealthy}"), 1),
    }
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
fn load(config: Option<PathBuf>) -> Result<(Config, Signals), ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| complain(&error.to_string(), 1))?;
    let loaded = runtime.block_on(async {
        // Signals are not bound to this runtime. Any running runtime wakes all tasks that wait for a signal.
        let mut signals = Signals::new().map_err(|error| complain(&error.to_string(), 1))?;
        let loading = tokio::task::spawn_blocking(move || Config::load(config.as_deref()));
        tokio::select! {
            loaded = loading => match loaded {
                Ok(Ok(config)) => Ok((config, signals)),
                Ok(Err(errors)) => Err(complain(&errors.to_string(), EX_USAGE)),
                Err(panic) => Err(complain(&panic.to_string(), 1)),
            },
            end = signals.end("nothing is done: this process does not serve yet") => {
                log::info!("{end}: exit");
                Err(ExitCode::SUCCESS)
            }
        }
    });
    // A signal may have come while the file is still being read. That read is not waited for.
    runtime.shutdown_background();
    loaded
}

async fn serve(config: Config, mut signals: Signals) -> Result<(), Box<dyn std::error::Error>> {
    let mut running = Service::bind(config)?.start();
    let end = loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            error = running.failed() => return Err(error.into()),
        };
        if let Asked::End(end) = asked {
            break end;
        }
        // After a signal to end, the new process is not waited for. Dropping the future kills it.
        let successor = tokio::select! {
            successor = running.successor() => successor,
            end = signals.end("nothing is done: a new process is starting already") => break end,
        };
        match successor {
            Ok(successor) => {
                let rest = async {
                    let process = running.hand_over(successor).await;
                    log::info!("SIGQUIT: a new process serves, draining pid={process}");
                    running.drain().await;
                };
                return finish(rest, &mut signals).await;
            }
            Err(error) => log::error!("SIGQUIT: this process goes on serving: {error}"),
        }
    };
    match end {
        End::AtOnce => {
            log::info!("{end}: exit at once");
            Ok(())
        }
        End::Drained => {
            log::info!("{end}: draining");
            finish(running.drain(), &mut signals).await
        }
    }
}

async fn demo(options: DemoOptions) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::new()?;
    let demo = Demo::start(options).await?;
    io::stdout().write_all(demo.greeting().as_bytes())?;
    match signals.next().await {
        Asked::End(end @ End::AtOnce) => {
            log::info!("{end}: exit at once");
            return Ok(());
        }
        Asked::End(end @ End::Drained) => log::info!("{end}: draining"),
        Asked::HandOver => log::warn!("SIGQUIT: draining: no process takes the place of a demo"),
    }
    finish(demo.drain(), &mut signals).await
}

/// Waits for the drain, unless a SIGINT ends it early.
async fn finish(drain: impl Future<Output = ()>, signals: &mut Signals) -> Result<(), Box<dyn std::error::Error>> {
    tokio::select! {
        () = drain => log::info!("drained: exit"),
        () = signals.end_at_once() => log::info!("{}: exit at once", End::AtOnce),
    }
    Ok(())
}

fn complain(text: &str, code: u8) -> ExitCode {
    logger::say(&format!("manifold: {text}"));
    ExitCode::from(code)
}

fn say(text: &str) -> ExitCode {
    if writeln!(io::stdout(), "{text}").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
