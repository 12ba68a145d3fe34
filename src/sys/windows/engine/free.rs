//! Waiting for an instance that is free, for a task.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::super::os::{self, Key, WaitBuffer};
use super::core::{Engine, Target, engine};
use super::memory::Operation;

/// A wait of the device that the pipes are. Dropped, it is given up.
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
    waits: bool,
    waker: Option<Waker>,
    dropped: bool,
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
        let over = state.waits && state.operation.look().is_ready();
        let waker = if over { state.waker.take() } else { None };
        let dropped = state.dropped && !state.operation.is_pending();
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
        let inner = Arc::new(Inner {
            engine,
            key,
            device,
            state: Mutex::new(State {
                operation: Operation::new(),
                buffer: None,
                waits: false,
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
        let outcome = if state.waits {
            state.operation.look()
        } else {
            let Some(question) = question.take() else {
                return Poll::Ready(Ok(()));
            };
            let State {
                operation, buffer, ..
            } = &mut *state;
            let buffer = buffer.insert(question);
            // SAFETY: none is pending. The buffer is on the heap, and stays with the operation until that is over: none
            // other is put in its place before.
            unsafe {
                operation
                    .begin_bare(|overlapped| os::wait_instance(&inner.device, buffer, overlapped))
            }
        };
        state.waits = outcome.is_pending();
        if state.waits {
            state.waker = Some(cx.waker().clone());
        }
        outcome.map(|outcome| outcome.map(drop))
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
