//! How often this process has forked: what there is a copy of since, another process may have set to its own ends.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// As both sides of a fork see it.
static FORKS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// None: nobody can tell.
pub(super) fn count() -> Option<usize> {
    static COUNTED: AtomicBool = AtomicBool::new(false);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic number, which it may do in whatever state a fork finds the process.
        let refused = unsafe { libc::pthread_atfork(None, Some(forked), Some(forked)) };
        COUNTED.store(refused == 0, Ordering::Relaxed);
    });
    let counted = COUNTED.load(Ordering::Relaxed);
    counted.then(|| FORKS.load(Ordering::Relaxed))
}
