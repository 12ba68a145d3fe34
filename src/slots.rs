//! How many streams of a listener may be alive at once.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many streams of a listener may be alive, and how many are.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    alive: AtomicUsize,
}

impl Slots {
    pub(crate) fn new(most: Option<u32>) -> Slots {
        Slots {
            most: most.map_or(usize::MAX, |most| most as usize),
            alive: AtomicUsize::new(0),
        }
    }

    pub(crate) fn are_limited(&self) -> bool {
        self.most != usize::MAX
    }

    pub(crate) fn free(&self) -> usize {
        self.most.saturating_sub(self.alive.load(Ordering::SeqCst))
    }

    pub(crate) fn take(&self) {
        self.alive.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}
