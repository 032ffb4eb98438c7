//! The replay logs between two processes, and what was revoked: written to a file at a clean stop, and read at the next start.
//!
//! A snapshot is read once. The file is removed before the logs are used, because the ids that one process gave after
//! it are not in it: a second process that begins with the same logs would give the same ids to other events.

mod file;
#[cfg(any(test, fuzzing))]
mod tried;

#[cfg(fuzzing)]
pub use tried::try_snapshot;

use super::memory;
use crate::auth::RecordState;
use crate::config::{ServerConfig, SnapshotFile, stream_identity};
use crate::gateway::{CurrentRouting, Permissions};
use crate::hub::{Hub, StreamSnapshot};
use crate::millis::millis;
use crate::quoted::reason;
use file::{Head, Kept};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep_until};

/// How much larger than all logs a file may be: logs hold more than their limit for a while.
const MOST_TIMES: u64 = 2;

/// A snapshot that was read.
#[derive(Debug)]
struct Snapshot {
    kept: Vec<Kept>,
    record: RecordState,
    /// How long ago it was taken.
    age: Duration,
}

/// What became of the streams of a snapshot.
#[derive(Debug, Default)]
struct Outcome {
    streams: usize,
    events: usize,
    /// Streams of routes that are gone, or are not what they were.
    unwanted: usize,
}

/// Gives the streams of the last process their logs, if there is a snapshot that is young enough.
/// What it says about credentials counts, however old it is.
pub(super) fn restore(server: &ServerConfig, hub: &Hub, routing: &CurrentRouting, permissions: &Permissions) {
    let Some(SnapshotFile { path, max_age }) = &server.snapshot else { return };
    if let Err(error) = writable(path) {
        log::warn!("snapshots cannot be written, so clients of the next process cannot resume: {error}");
    }
    let file = path.display();
    let most = server.replay_bytes.unwrap_or_else(memory::for_logs) as u64;
    let snapshot = match take(path, MOST_TIMES.saturating_mul(most)) {
        Ok(None) => return log::info!("no snapshot to read file={file}"),
        Ok(Some(snapshot)) => snapshot,
        Err(error) => {
            return log::error!(
                "snapshot not read, so the logs begin empty, and what was revoked is good again file={file} why={}",
                reason(error)
            );
        }
    };
    permissions.take(snapshot.record);
    let age = snapshot.age.as_secs_f64();
    if snapshot.age > *max_age {
        let most = max_age.as_secs_f64();
        return log::warn!("snapshot not used, because it is too old file={file} age_secs={age:.1} most_secs={most}");
    }
    let now = Instant::now();
    let (taken, until) = (now.checked_sub(snapshot.age).unwrap_or(now), now + (*max_age - snapshot.age));
    let Outcome { streams, events, unwanted } = give(snapshot.kept, hub, routing, taken, until);
    log::info!("snapshot read file={file} age_secs={age:.1} streams={streams} events={events} unwanted={unwanted}");
    let hub = hub.clone();
    tokio::spawn(async move {
        sleep_until(until).await;
        let forgotten = hub.forget_restored();
        log::debug!("streams of the snapshot that nobody asked for are forgotten streams={forgotten}");
    });
}

/// Gives streams to the hub.
fn give(kept: Vec<Kept>, hub: &Hub, routing: &CurrentRouting, taken: Instant, until: Instant) -> Outcome {
    let streams = routing.streams();
    let routes: HashMap<_, _> =
        streams.iter().map(|(id, route)| (&*route.name, (*id, stream_identity(route)))).collect();
    let mut outcome = Outcome::default();
    for Kept { route, identity, stream } in kept {
        match routes.get(&*route).filter(|(_, now)| *now == identity) {
            Some((id, _)) => {
                outcome.streams += 1;
                outcome.events += stream.events();
                hub.restore(*id, stream, taken, until);
            }
            None => outcome.unwanted += 1,
        }
    }
    outcome
}

/// Writes the logs of all streams that everyone may have.
/// And what was revoked.
pub(super) fn write(server: &ServerConfig, hub: &Hub, routing: &CurrentRouting, permissions: &Permissions) {
    let Some(SnapshotFile { path, .. }) = &server.snapshot else { return };
    let streams = routing.streams().into_iter();
    let routes: HashMap<_, _> =
        streams.map(|(id, route)| (id, (route.name.to_string(), stream_identity(&route)))).collect();
    let kept = hub.snapshot().into_iter().filter_map(|(id, stream): (_, StreamSnapshot)| {
        let (route, identity) = routes.get(&id)?.clone();
        Some(Kept { route, identity, stream })
    });
    let kept: Vec<_> = kept.collect();
    let events: usize = kept.iter().map(|kept| kept.stream.events()).sum();
    let file = path.display();
    match put(path, &kept, permissions.lasting()) {
        Ok(bytes) => {
            log::info!("snapshot written file={file} streams={} events={events} bytes={bytes}", kept.len());
        }
        Err(error) => {
            log::error!("snapshot not written, so clients cannot resume file={file} why={}", reason(error));
        }
    }
}

/// Writes a file that only its owner can read. It takes the place of the one before it when it is whole and on the disk.
fn put(path: &Path, kept: &[Kept], record: RecordState) -> io::Result<u64> {
    let streams = u32::try_from(kept.len()).map_err(io::Error::other)?;
    let taken = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let head = Head { taken_ms: millis(taken), streams, record };
    let mut whole = unfinished(path)?;
    let bytes = file::write(BufWriter::new(&mut whole), &head, kept)?;
    whole.as_file().sync_all()?;
    whole.persist(path).map_err(|error| error.error)?;
    File::open(folder(path))?.sync_all()?;
    Ok(bytes)
}

/// Reads the file and removes it. `None`: there is none.
fn take(path: &Path, most: u64) -> Result<Option<Snapshot>, String> {
    let opened = match File::open(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("it cannot be opened: {error}")),
    };
    let mut bytes = Vec::new();
    let read = opened.take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {most} bytes, which is {MOST_TIMES} times server.replay_bytes"));
    }
    let (head, kept) = file::read(&bytes).map_err(|unusable| unusable.to_string())?;
    // A process that may not remove it may not use it: the next one would find it again.
    fs::remove_file(path).map_err(|error| format!("it cannot be removed: {error}"))?;
    let taken = UNIX_EPOCH.checked_add(Duration::from_millis(head.taken_ms)).unwrap_or(UNIX_EPOCH);
    let age = SystemTime::now().duration_since(taken).unwrap_or_default();
    Ok(Some(Snapshot { kept, record: head.record, age }))
}

/// Tries whether a file can be written there. The operator learns it before it is needed.
fn writable(path: &Path) -> io::Result<()> {
    unfinished(path).map(drop).map_err(|error| io::Error::other(format!("{}: {error}", folder(path).display())))
}

/// A new file beside the snapshot, for a snapshot that is being written. It is gone when it is dropped. A process that was
/// killed has left one, which is removed.
fn unfinished(path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let left = path.with_file_name(format!("{name}.new"));
    match fs::remove_file(left) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    tempfile::Builder::new().prefix(&*name).suffix(".new").rand_bytes(0).tempfile_in(folder(path))
}

fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}
