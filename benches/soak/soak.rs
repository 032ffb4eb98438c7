//! The course of a run.

use super::clients::{Surroundings, random};
use super::crowd::{Crowd, plans};
use super::gateway::{Gateway, Leaving};
use super::hardware::{cpu, kernel};
use super::origin::{Origin, Restart};
use super::record::Record;
use super::report::Run;
use super::rubbish;
use super::samples::{Growth, Sample};
use super::{Failure, Options, say};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long the last events, and what is closed, may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// After so long the allocator has given back what is not used.
const DECAY: Duration = Duration::from_secs(15);

/// The tasks that send bad requests.
const RUBBISH: usize = 8;

/// Runs. Returns whether there was no fault.
pub(crate) async fn run(options: &Options) -> Result<bool, Failure> {
    // A process that takes over is a child of one that ends.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let directory = tempfile::Builder::new().prefix("manifold-soak-").tempdir()?;
    let whole = Duration::from_secs_f64(options.minutes * 60.0);
    let origin = Arc::new(Origin::start().await?);
    let mut gateway = Gateway::start(&options.manifold, directory.path(), origin.address).await?;
    let record = Arc::new(Record::new());
    let (ends, is_over) = watch::channel(false);
    // What a process opens once and keeps is there when it has done a little of everything.
    sleep(Duration::from_secs(1)).await;
    let before = Sample::of(gateway.pid(), 0.0)?.descriptors;

    let around = Arc::new(Surroundings { doors: gateway.doors.clone(), record: record.clone(), is_over });
    let plans = plans(options.clients);
    let clients = plans.len();
    let crowd = Crowd::start(plans, &around);
    let pid = Arc::new(AtomicI32::new(gateway.pid()));
    let samples = Arc::new(Mutex::new(Vec::new()));
    let mut background = JoinSet::new();
    background.spawn(observe(pid.clone(), samples.clone(), record.clone()));
    background.spawn(restart(origin.clone(), record.clone()));
    for _ in 0..RUBBISH {
        background.spawn(rubbish::send(gateway.doors.clone(), record.clone()));
    }
    let leaving = operate(&mut gateway, &pid, whole, &record).await?;
    background.abort_all();
    while background.join_next().await.is_some() {}

    let last = origin.stop().await;
    for missing in crowd.have(last, PATIENCE).await {
        record.fault(format!("{missing}: event {last} did not come"));
    }
    ends.send_replace(true);
    crowd.left().await;
    for process in leaving {
        if let Err(error) = process.ended().await {
            record.fault(error.to_string());
        }
    }
    let samples = samples.lock().clone();
    let growth = Growth::of(&samples, gateway.pid());
    let (after, idle_kb) = judge(gateway, before, growth, &record).await?;
    let told = record.told();
    let run = Run {
        when: httpdate::fmt_http_date(SystemTime::now()),
        machine: machine(),
        minutes: options.minutes,
        clients,
        counts: told.counts,
        faults: told.faults,
        all_faults: told.all_faults,
        growth,
        idle_kb,
        descriptors: (before, after),
        samples,
    };
    conclude(&run, options, directory)
}

/// Judges the process that is left, and ends it. Returns its descriptors, and its memory when nothing is to be done.
async fn judge(
    gateway: Gateway,
    before: usize,
    growth: Option<Growth>,
    record: &Record,
) -> Result<(usize, u64), Failure> {
    let after = settled(gateway.pid(), before).await?;
    sleep(DECAY).await;
    let idle_kb = Sample::of(gateway.pid(), 0.0)?.kb;
    if after > before {
        record.fault(format!("{after} descriptors are open, and {before} were before the clients came"));
    }
    if growth.is_none_or(|growth| !growth.is_flat()) {
        record.fault(format!("memory is not flat: {growth:?}"));
    }
    if let Err(error) = gateway.stop().await {
        record.fault(format!("the last process: {error}"));
    }
    Ok((after, idle_kb))
}

fn conclude(run: &Run, options: &Options, directory: tempfile::TempDir) -> Result<bool, Failure> {
    say(&run.report())?;
    if options.save {
        run.save(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results")))?;
    }
    if run.all_faults > 0 {
        say(&format!("the log is {}", directory.keep().join("manifold.log").display()))?;
    }
    Ok(run.all_faults == 0)
}

/// Changes the configuration again and again, and the process in the first half. Returns the processes that were replaced.
async fn operate(
    gateway: &mut Gateway,
    pid: &AtomicI32,
    whole: Duration,
    record: &Record,
) -> Result<Vec<Leaving>, Failure> {
    let (began, mut leaving) = (Instant::now(), Vec::new());
    let pause = (whole / 10).min(Duration::from_secs(20));
    let mut turn = 0_u32;
    loop {
        sleep(pause.min(whole.saturating_sub(began.elapsed()))).await;
        if began.elapsed() >= whole {
            return Ok(leaving);
        }
        turn += 1;
        if turn.is_multiple_of(2) && began.elapsed() < whole / 2 {
            leaving.push(gateway.upgrade().await?);
            pid.store(gateway.pid(), Ordering::Relaxed);
            record.count("upgrades");
        } else {
            gateway.reload().await?;
            record.count("reloads");
        }
    }
}

async fn restart(origin: Arc<Origin>, record: Arc<Record>) {
    for turn in 0_u32.. {
        sleep(random(8_000, 20_000)).await;
        origin.restart(Restart { in_order: turn.is_multiple_of(2), down: random(50, 3_000) }).await;
        record.count("restarts of the origin");
    }
}

/// Samples the process, and tells how it goes.
async fn observe(pid: Arc<AtomicI32>, samples: Arc<Mutex<Vec<Sample>>>, record: Arc<Record>) {
    for turn in 0_u32.. {
        sleep(Duration::from_secs(1)).await;
        let now = record.secs();
        // An error means that the process has just been replaced.
        let Ok(sample) = Sample::of(pid.load(Ordering::Relaxed), now) else { continue };
        samples.lock().push(sample);
        if turn.is_multiple_of(10) {
            let told = record.told();
            let count = |what| told.counts.get(what).copied().unwrap_or(0);
            let line = format!(
                "{now:>6.0} s  {:>7} KB  {:>5} descriptors  {:>9} events  {:>6} responses  {} faults",
                sample.kb,
                sample.descriptors,
                count("events"),
                count("responses"),
                told.all_faults
            );
            // An error means that nobody reads.
            say(&line).unwrap_or_default();
            if let Some(fault) = told.faults.last() {
                say(&format!("          {fault}")).unwrap_or_default();
            }
        }
    }
}

/// The descriptors of the process when no more of them are closed, or are as few as before.
async fn settled(pid: i32, before: usize) -> Result<usize, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let now = Sample::of(pid, 0.0)?.descriptors;
        if now <= before || Instant::now() > until {
            return Ok(now);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} ({cores} cores), Linux {}", cpu(), kernel())
}
