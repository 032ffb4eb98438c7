//! What the service manager is told (sd_notify(3)); nothing where none asks by `NOTIFY_SOCKET`.

use sd_notify::NotifyState;

/// This process serves.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// This process is on its way out.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Another process is the service from now on.
pub(super) fn replaced_by(process: u32) {
    tell(NotifyState::MainPid(process));
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("cannot notify the service manager at NOTIFY_SOCKET: {error}");
    }
}
