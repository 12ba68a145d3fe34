//! How many streams of a listener may be alive at once.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many streams of a listener may be alive, and how many are.
#[derive(Debug)]
pub(crate) struct Slots {
    /// None: any number.
    most: Option<u32>,
    alive: AtomicUsize,
}

impl Slots {
    pub(crate) fn new(most: Option<u32>) -> Slots {
        Slots {
            most,
            alive: AtomicUsize::new(0),
        }
    }

    /// How many may be alive; None: any number.
    pub(crate) fn most(&self) -> Option<u32> {
        self.most
    }

    pub(crate) fn free(&self) -> usize {
        let most = self.most.map_or(usize::MAX, |most| most as usize);
        most.saturating_sub(self.alive.load(Ordering::SeqCst))
    }

    pub(crate) fn take(&self) {
        self.alive.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}
