//! What the process does from the start of its service to its end: it serves, reloads, hands over and drains.

use crate::logger;
use crate::signals::{Asked, End, Signals};
use manifold::admin::{UpgradeRequest, UpgradeRequests};
use manifold::config::Config;
use manifold::demo::{Demo, DemoOptions};
use manifold::service::{Reads, Running, Service, Successor};
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write};

/// A wish that a new process takes the place of this one.
#[derive(Debug)]
struct Wish {
    /// How it was said, for the log.
    by: &'static str,
    /// The request that waits for the outcome. A signal has none.
    request: Option<UpgradeRequest>,
}

impl Wish {
    fn by_signal() -> Self {
        Self { by: "SIGQUIT", request: None }
    }

    fn by_request(request: UpgradeRequest) -> Self {
        Self { by: "POST /api/upgrade", request: Some(request) }
    }

    fn grant(self, process: u32) {
        if let Some(request) = self.request {
            request.grant(process);
        }
    }

    fn refuse(self, why: impl Into<String>) {
        if let Some(request) = self.request {
            request.refuse(why);
        }
    }
}

/// Serves with a configuration until a signal ends the process, or until a new process has taken over.
pub(crate) async fn serve(
    config: Config,
    mut signals: Signals,
    mut reads: Reads,
) -> Result<(), Box<dyn std::error::Error>> {
    let (service, mut requests) = Service::bind(config)?.replaceable();
    let mut running = service.start();
    running.take_over().await;
    let end = loop {
        let watches = running.config().server.watch;
        let wish = tokio::select! {
            asked = signals.next() => match asked {
                Asked::End(end) => break end,
                Asked::Reload => {
                    reads.ask("SIGHUP");
                    continue;
                }
                Asked::HandOver => Wish::by_signal(),
            },
            request = requests.next() => Wish::by_request(request),
            read = reads.next(watches) => {
                running.reload(read);
                logger::write_as(running.config().log.format);
                continue;
            }
            error = running.failed() => return Err(error.into()),
        };
        let by = wish.by;
        match successor(&running, &mut signals, &mut requests).await {
            Ok(Ok(successor)) => {
                // Who asks from now on is told that this process ends.
                drop(requests);
                let rest = async {
                    let process = running.hand_over(successor, |process| wish.grant(process)).await;
                    log::info!("{by}: draining, because a new process serves pid={process}");
                    running.drain().await;
                };
                return finish(rest, &mut signals).await;
            }
            Ok(Err(error)) => {
                log::error!("{by}: this process continues to serve: {error}");
                wish.refuse(error.to_string());
            }
            Err(end) => {
                running.answers_first();
                wish.refuse(format!("this process ends, because it got {end}"));
                break end;
            }
        }
    };
    drop(requests);
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

/// Starts a new process and waits until it serves. Nobody else starts one meanwhile. After a signal to end, the new
/// process is not waited for: dropping the future kills it.
async fn successor(
    running: &Running,
    signals: &mut Signals,
    requests: &mut UpgradeRequests,
) -> Result<io::Result<Successor>, End> {
    tokio::select! {
        successor = running.successor() => Ok(successor),
        end = signals.end("ignored: a new process is already starting") => Err(end),
        never = refuse_all(requests, "another upgrade is running already: a new process is starting") => match never {},
    }
}

/// Refuses every request that comes.
async fn refuse_all(requests: &mut UpgradeRequests, why: &str) -> Infallible {
    loop {
        requests.next().await.refuse(why);
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
