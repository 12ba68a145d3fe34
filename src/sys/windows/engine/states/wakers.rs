//! Who waits: any number of tasks, each known by a number, so that one that no longer waits can be taken off.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

/// One who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who(u64);

impl Who {
    /// The one who polls without a future of this crate's own: `AsyncRead` and `AsyncWrite` wake who polled last.
    pub(crate) const POLLER: Who = Who(0);

    pub(crate) fn new() -> Who {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Who(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Those who wait for one thing, the longest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakers(Vec<(Who, Waker)>);

impl Wakers {
    pub(crate) fn add(&mut self, who: Who, waker: &Waker) {
        match self.0.iter_mut().find(|(other, _)| *other == who) {
            Some((_, known)) => known.clone_from(waker),
            None => {
                // One as a rule, and a thousand streams may wait: Vec would begin with room for four.
                if self.0.capacity() == 0 {
                    self.0.reserve_exact(1);
                }
                self.0.push((who, waker.clone()));
            }
        }
    }

    pub(crate) fn remove(&mut self, who: Who) {
        self.0.retain(|(other, _)| *other != who);
    }

    pub(crate) fn wake_all(&mut self, woken: &mut Woken) {
        woken.0.extend(self.0.drain(..).map(|(_, waker)| waker));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Those who are to be woken once no lock is held: a waker may run anything.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Woken(Vec<Waker>);

impl Woken {
    pub(crate) fn wake(self) {
        for waker in self.0 {
            waker.wake();
        }
    }
}
