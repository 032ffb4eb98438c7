//! The command line: arguments, logger, signals, exit code.

use clap::Parser;
use manifold::config::Config;
use manifold::service::Service;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// EX_USAGE of sysexits(3): a bad command line or configuration.
const EX_USAGE: u8 = 64;

/// A reverse proxy for Server-Sent Events: one upstream connection per stream, any number of clients.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The configuration file (TOML); conf/manifold.toml shows every key
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration, say all that is wrong with it, and exit
    #[arg(long)]
    test: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { EX_USAGE } else { 0 };
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(EX_USAGE) };
        }
    };
    start_logger();
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(errors) => return complain(&errors.to_string(), EX_USAGE),
    };
    if arguments.test {
        return say(&config.summary());
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), 1),
    }
}

/// `RUST_LOG` decides; otherwise manifold's own lines and the warnings of others.
fn start_logger() {
    let wanted = env_logger::Env::default().default_filter_or("warn,manifold=info");
    env_logger::Builder::from_env(wanted).format_timestamp_millis().init();
}

fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.threads.get())
        .thread_name("manifold")
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(config));
    // Whoever is left after a drain, or after SIGINT, is not waited for.
    runtime.shutdown_background();
    result
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut quit = signal(SignalKind::quit())?;
    let mut running = Service::bind(config)?.start();
    loop {
        tokio::select! {
            _ = terminate.recv() => {
                log::info!("SIGTERM: draining");
                break;
            }
            _ = interrupt.recv() => {
                log::info!("SIGINT: exit at once");
                return Ok(());
            }
            _ = quit.recv() => match running.hand_over().await {
                Ok(process) => {
                    log::info!("SIGQUIT: a new process serves, draining pid={process}");
                    break;
                }
                Err(error) => log::error!("SIGQUIT: serving on: {error}"),
            },
        }
    }
    drain(running, &mut interrupt).await;
    Ok(())
}

/// Drains, unless a second signal says that it takes too long.
async fn drain(running: manifold::service::Running, interrupt: &mut Signal) {
    tokio::select! {
        () = running.drain() => log::info!("drained: exit"),
        _ = interrupt.recv() => log::info!("SIGINT: exit at once"),
    }
}

fn complain(text: &str, code: u8) -> ExitCode {
    // Nobody is left to tell if standard error is gone.
    let told = writeln!(std::io::stderr(), "manifold: {text}");
    ExitCode::from(if told.is_ok() { code } else { code.max(1) })
}

fn say(text: &str) -> ExitCode {
    if writeln!(std::io::stdout(), "{text}").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
