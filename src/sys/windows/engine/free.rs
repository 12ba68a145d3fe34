//! Waiting for an instance that is free, for a task.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::super::os::{self, Key, Started, WaitBuffer};
use super::core::{Engine, Target, engine};
use super::memory::Operation;

/// A wait of the device that the pipes are. Dropped, it is given up.
///
/// It is over once its packet has come, and not as soon as its result is there: the device is not to be closed in between.
/// (Wine's server would go on with what it has freed.)
pub(crate) struct Free {
    inner: Arc<Inner>,
}

struct Inner {
    engine: &'static Engine,
    key: Key,
    device: OwnedHandle,
    state: Mutex<State>,
}

struct State {
    operation: Operation,
    /// What the operation was given. It stays until that is over.
    buffer: Option<WaitBuffer>,
    wait: Wait,
    waker: Option<Waker>,
    dropped: bool,
}

enum Wait {
    No,
    Pending,
    Over(io::Result<()>),
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target for Inner {
    fn hint(&self) {
        let mut state = self.state();
        if !matches!(state.wait, Wait::Pending) {
            return;
        }
        let Poll::Ready(outcome) = state.operation.look() else {
            return;
        };
        state.wait = Wait::Over(outcome.map(drop));
        let (waker, dropped) = (state.waker.take(), state.dropped);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        if dropped {
            self.engine.let_go(self.key);
        }
    }
}

impl Free {
    pub(crate) fn new(device: OwnedHandle) -> io::Result<Free> {
        let engine = engine()?;
        let key = Key::new();
        engine.port().add(&device, key)?;
        // Without it there are packets that nobody needs.
        let _ = os::skip_packets(&device);
        let inner = Arc::new(Inner {
            engine,
            key,
            device,
            state: Mutex::new(State {
                operation: Operation::new(),
                buffer: None,
                wait: Wait::No,
                waker: None,
                dropped: false,
            }),
        });
        engine.hold(key, inner.clone());
        Ok(Free { inner })
    }

    /// Asks `question`, once, and waits for the answer.
    pub(crate) fn poll(
        &self,
        cx: &mut Context<'_>,
        question: &mut Option<WaitBuffer>,
    ) -> Poll<io::Result<()>> {
        let inner = &self.inner;
        let mut state = inner.state();
        match std::mem::replace(&mut state.wait, Wait::No) {
            Wait::Over(outcome) => return Poll::Ready(outcome),
            Wait::Pending => state.wait = Wait::Pending,
            Wait::No => {
                let Some(question) = question.take() else {
                    return Poll::Ready(Ok(()));
                };
                let State {
                    operation, buffer, ..
                } = &mut *state;
                let buffer = buffer.insert(question);
                // SAFETY: none is pending. The buffer is on the heap, and stays with the operation until that is over:
                // none other is put in its place before.
                let started = unsafe {
                    operation.begin_bare(|overlapped| {
                        os::wait_instance(&inner.device, buffer, overlapped)
                    })
                };
                match started {
                    Ok(Started::Pending) => state.wait = Wait::Pending,
                    Ok(Started::Finished) => return Poll::Ready(Ok(())),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        let inner = &self.inner;
        let mut state = inner.state();
        state.dropped = true;
        state.waker = None;
        state.operation.cancel(&inner.device);
        let clear = !state.operation.is_pending();
        drop(state);
        if clear {
            inner.engine.let_go(inner.key);
        }
    }
}

impl std::fmt::Debug for Free {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Free").finish_non_exhaustive()
    }
}
