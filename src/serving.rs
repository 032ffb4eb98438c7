//! What the process does from the start of its service to its end: it serves, reloads, hands over and drains.

use crate::logger;
use crate::signals::{Asked, End, Signals};
use manifold::config::Config;
use manifold::demo::{Demo, DemoOptions};
use manifold::service::{Reads, Service};
use std::future::Future;
use std::io::{self, Write};

/// Serves with a configuration until a signal ends the process, or until a new process has taken over.
pub(crate) async fn serve(
    config: Config,
    mut signals: Signals,
    mut reads: Reads,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut running = Service::bind(config)?.start();
    let end = loop {
        let watches = running.config().server.watch;
        let asked = tokio::select! {
            asked = signals.next() => asked,
            read = reads.next(watches) => {
                running.reload(read);
                logger::write_as(running.config().log.format);
                continue;
            }
            error = running.failed() => return Err(error.into()),
        };
        match asked {
            Asked::End(end) => break end,
            Asked::Reload => {
                reads.ask("SIGHUP");
                continue;
            }
            Asked::HandOver => {}
        }
        // After a signal to end, the new process is not waited for. Dropping the future kills it.
        let successor = tokio::select! {
            successor = running.successor() => successor,
            end = signals.end("ignored: a new process is already starting") => break end,
        };
        match successor {
            Ok(successor) => {
                let rest = async {
                    let process = running.hand_over(successor).await;
                    log::info!("SIGQUIT: draining, because a new process serves pid={process}");
                    running.drain().await;
                };
                return finish(rest, &mut signals).await;
            }
            Err(error) => log::error!("SIGQUIT: this process continues to serve: {error}"),
        }
    };
    match end {
        End::AtOnce => {
            log::info!("{end}: exit at once");
            running.leave();
            Ok(())
        }
        End::Drained => {
            log::info!("{end}: draining");
            finish(running.drain(), &mut signals).await
        }
    }
}

/// Runs the demo until a signal ends it.
pub(crate) async fn demo(options: DemoOptions) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::new()?;
    let demo = Demo::start(options).await?;
    io::stdout().write_all(demo.greeting().as_bytes())?;
    let asked = loop {
        match signals.next().await {
            Asked::Reload => log::warn!("SIGHUP: ignored: a demo has no configuration file"),
            asked => break asked,
        }
    };
    match asked {
        Asked::End(end @ End::AtOnce) => {
            log::info!("{end}: exit at once");
            return Ok(());
        }
        Asked::End(end @ End::Drained) => log::info!("{end}: draining"),
        Asked::HandOver | Asked::Reload => log::warn!("SIGQUIT: draining: a demo is not replaced by a new process"),
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
