//! What the clones of a listener and its streams hold together: the name, the lane of its calls, whether it is closed.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::{Fault, Reason};
use crate::kinds::{Directions, PipeMode};
use crate::lane::Lane;
use crate::name::PipeName;
use crate::sys;
#[cfg(feature = "tokio")]
use crate::wakers::Queue;

/// What a listener and the streams that it made have in common.
pub(crate) struct Held {
    pub(super) name: Arc<PipeName>,
    pub(super) mode: PipeMode,
    pub(super) directions: Directions,
    pub(super) max_message_size: usize,
    pub(super) lane: Lane<sys::ListenWaiter>,
    pub(crate) listener: sys::Listener,
    pub(super) gone: Gone,
    /// The tasks that wait in `accept`.
    #[cfg(feature = "tokio")]
    pub(crate) tasks: Arc<Queue>,
}

/// Whether the name has been given up. Who learns of a close is told so no sooner: it would find the name taken.
#[derive(Debug, Default)]
pub(super) struct Gone {
    done: Mutex<bool>,
    news: Condvar,
}

impl Gone {
    #[cfg(feature = "tokio")]
    fn is_set(&self) -> bool {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.news.notify_all();
    }

    pub(super) fn wait(&self) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // The one who closes waits for whoever is in the lane, and they have left it before they come here.
        drop(self.news.wait_while(done, |done| !*done));
    }
}

/// A stream's slot in its listener, free again on drop.
pub(super) struct Slot(pub(super) Arc<Held>);

impl Drop for Slot {
    fn drop(&mut self) {
        let held = &self.0;
        let slots = held.listener.slots();
        slots.release();
        if slots.most().is_some() && !held.lane.is_closed() {
            held.listener.released();
            #[cfg(feature = "tokio")]
            held.tasks.wake_next();
        }
    }
}

impl Held {
    pub(crate) fn closed(&self, operation: &'static str) -> io::Error {
        self.gone.wait();
        Fault::new(Reason::Closed, "listener closed").of(operation, &self.name)
    }

    pub(super) fn close(&self) {
        self.lane.close();
        let _turn = self.lane.enter_last();
        self.listener.close();
        self.gone.set();
        #[cfg(feature = "tokio")]
        self.tasks.wake_all();
    }
}

#[cfg(feature = "tokio")]
impl Held {
    /// Whether it is closed, and the name free.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.is_set()
    }
}
