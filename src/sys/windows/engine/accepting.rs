//! A listener's instances on the engine's port.

use std::io;
use std::sync::Arc;

use super::super::os::{Key, Overlapped};
use super::super::queue::{Phase, Queue};
use super::core::{Arrivals, engine};

struct Arriving {
    queue: Arc<Queue>,
    tell: Box<dyn Fn() + Send + Sync>,
}

impl Arrivals for Arriving {
    fn arrived(&self, key: Key, overlapped: *mut Overlapped, result: io::Result<()>) -> bool {
        let mine = self.queue.arrived(key, overlapped, result);
        if mine {
            (self.tell)();
        }
        mine
    }

    fn is_over(&self) -> bool {
        self.queue.phase() == Phase::Closed
    }
}

/// A queue in the place of `old`, at the engine's port, whose packets the engine hands in; of each that comes it tells.
/// It has no instances yet.
pub(crate) fn successor(
    old: &Queue,
    tell: impl Fn() + Send + Sync + 'static,
) -> io::Result<Arc<Queue>> {
    let engine = engine()?;
    let queue = Arc::new(old.successor(engine.port().clone(), false));
    engine.hold_arrivals(Arc::new(Arriving {
        queue: queue.clone(),
        tell: Box::new(tell),
    }));
    Ok(queue)
}
