//! Wakes a sleeping thread, as a poll does: a ring while no thread sleeps ends the next sleep.

use crate::hub::Watcher;
use shuttle::sync::{Condvar, Mutex};

#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<Rung>,
    rings: Condvar,
}

#[derive(Debug, Default)]
struct Rung {
    now: bool,
    times: usize,
}

impl Bell {
    pub(crate) fn ring(&self) {
        let mut rung = self.state.lock().unwrap();
        rung.now = true;
        rung.times += 1;
        self.rings.notify_all();
    }

    /// Waits for a ring if `sleeps`, and takes it. Returns the number of rings so far.
    pub(crate) fn hear(&self, sleeps: bool) -> usize {
        let mut rung = self.state.lock().unwrap();
        while sleeps && !rung.now {
            rung = self.rings.wait(rung).unwrap();
        }
        rung.now = false;
        rung.times
    }
}

impl Watcher for Bell {
    fn changed(&self) {
        self.ring();
    }

    fn asked(&self) {}
}
