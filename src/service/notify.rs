//! The messages to the service manager (sd_notify(3)). Without `NOTIFY_SOCKET` nothing is sent.

use sd_notify::NotifyState;

/// Says that this process serves.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// Says that this process reads its configuration again. [`ready`] says that it is done.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell_all(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("cannot read the clock for the service manager: {error}"),
    }
}

/// Says that this process is about to end.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says that the process with the id `process` is the service from now on.
pub(super) fn replaced_by(process: u32) {
    tell(NotifyState::MainPid(process));
}

fn tell(state: NotifyState<'_>) {
    tell_all(&[state]);
}

fn tell_all(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("cannot notify the service manager at NOTIFY_SOCKET: {error}");
    }
}
