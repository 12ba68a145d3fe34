//! A thread that waits, as the multiplexer's futures want it: woken by them, or at a deadline.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Instant;

#[derive(Debug, Default)]
pub struct Park {
    woken: Mutex<bool>,
    change: Condvar,
}

impl Park {
    fn woken(&self) -> MutexGuard<'_, bool> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is woken, or was since the last wait. False: `until` came first.
    pub fn wait(&self, until: Option<Instant>) -> bool {
        let mut woken = self.woken();
        loop {
            if std::mem::take(&mut *woken) {
                return true;
            }
            woken = match until {
                None => self
                    .change
                    .wait(woken)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.change
                        .wait_timeout(woken, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

impl Wake for Park {
    fn wake(self: Arc<Park>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Park>) {
        *self.woken() = true;
        self.change.notify_one();
    }
}
