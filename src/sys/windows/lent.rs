//! The life of an overlapped operation on memory that its caller lends: started, waited for, given up; its result is
//! always looked at.
//!
//! A lane has one call at a time in the system, so that one `OVERLAPPED` and one event for each lane are enough, and no
//! operation allocates. The event stands for two things, the completion and a wake-up from another thread; which of
//! the two it was, the `OVERLAPPED` tells.

use std::cell::UnsafeCell;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::panic::RefUnwindSafe;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Instant;

use super::os::{self, Started};
use crate::kinds::Part;
use crate::lane::{Cancelled, Operation, Waited, Waker};

/// What moves a call that waits in a stream's lane, and what the system fills in for it. Both are made by the first
/// call.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    event: OnceLock<os::Event>,
    overlapped: UnsafeCell<os::Overlapped>,
}

// SAFETY: the event may be used from any thread. The OVERLAPPED is touched only by the [`Lent`] operation that
// borrows this waiter, and the lane that owns the waiter lets one operation at a time exist (its turn); the lane's lock,
// taken and released around each turn, orders one operation's accesses before the next one's.
unsafe impl Sync for Waiter {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Waiter {}

/// A panic leaves no operation half way: each is given up on drop.
impl RefUnwindSafe for Waiter {}

impl Waiter {
    pub(crate) fn new() -> Waiter {
        Waiter::default()
    }

    pub(super) fn event(&self) -> io::Result<&os::Event> {
        if self.event.get().is_none() {
            // The lane lets one call at a time come here.
            let _ = self.event.set(os::Event::for_one_wait()?);
        }
        Ok(self.event.get().ok_or(io::ErrorKind::OutOfMemory)?)
    }

    /// Waits for the event, or until `until`. Whether it was a completion or a wake-up, the next poll tells.
    pub(super) fn wait(&self, until: Option<Instant>) -> io::Result<Waited> {
        Ok(match self.event()?.wait(until) {
            true => Waited::Ready,
            false => Waited::Expired,
        })
    }
}

impl Waker for Waiter {
    fn wake(&self) {
        // No event yet: no call has come far enough to have read the limits that were changed.
        if let Some(event) = self.event.get() {
            event.set();
        }
    }
}

/// What a given-up operation that moved nothing means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// It had no effect.
    Harmless,
    /// The system reports nothing even where something was taken.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Pending,
    Done,
}

/// An operation on `handle` that `start` begins, given the handle and the waiter's `OVERLAPPED`.
///
/// While it is pending the system holds the memory that `start` gave it, for `'a`: dropping this gives the operation
/// up and waits until the system has let go. (It must therefore not be forgotten; nobody outside this crate can.)
pub(super) struct Lent<'a, F> {
    handle: &'a OwnedHandle,
    waiter: &'a Waiter,
    start: F,
    given_up: GivenUp,
    state: State,
}

impl<'a, F> Lent<'a, F>
where
    F: FnMut(&OwnedHandle, *mut os::Overlapped) -> io::Result<Started>,
{
    pub(super) fn new(
        handle: &'a OwnedHandle,
        waiter: &'a Waiter,
        given_up: GivenUp,
        start: F,
    ) -> Self {
        Lent {
            handle,
            waiter,
            start,
            given_up,
            state: State::New,
        }
    }

    fn begin(&mut self) -> Poll<io::Result<Part>> {
        let overlapped = self.waiter.overlapped.get();
        let event = match self.waiter.event() {
            Ok(event) => event,
            Err(error) => return Poll::Ready(Err(error)),
        };
        // SAFETY: no operation is pending on this OVERLAPPED (the state is New, and the lane lets nobody else use it),
        // so that it may be written.
        unsafe { *overlapped = os::Overlapped::with_event(event) };
        match (self.start)(self.handle, overlapped) {
            Ok(Started::Finished) => {
                // Until the result has been seen to be there.
                self.state = State::Pending;
                self.progress()
            }
            Ok(Started::Pending) => {
                self.state = State::Pending;
                Poll::Pending
            }
            Err(error) => {
                self.state = State::Done;
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<F> Lent<'_, F> {
    fn progress(&mut self) -> Poll<io::Result<Part>> {
        // SAFETY: the OVERLAPPED lives in the waiter, borrowed for as long as this operation is; it was initialised by
        // `begin`, and the system alone writes to it since.
        let progress = unsafe { os::progress(self.handle, self.waiter.overlapped.get()) };
        if progress.is_ready() {
            self.state = State::Done;
        }
        progress
    }

    /// Asks the system to stop, and waits until it has: from then on it holds no memory of ours.
    fn stop(&mut self) -> io::Result<Part> {
        // SAFETY: the OVERLAPPED is the pending operation's, alive as said above.
        unsafe { os::cancel(self.handle, self.waiter.overlapped.get()) };
        loop {
            if let Poll::Ready(result) = self.progress() {
                return result;
            }
            if let Some(event) = self.waiter.event.get() {
                event.wait(None);
            }
        }
    }
}

impl<F> Operation for Lent<'_, F>
where
    F: FnMut(&OwnedHandle, *mut os::Overlapped) -> io::Result<Started>,
{
    type Output = Part;

    fn poll(&mut self) -> Poll<io::Result<Part>> {
        match self.state {
            State::New => self.begin(),
            State::Pending => self.progress(),
            State::Done => Poll::Ready(Err(io::ErrorKind::Other.into())),
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        self.waiter.wait(until)
    }

    fn cancel(&mut self) -> Cancelled<Part> {
        if self.state != State::Pending {
            return Cancelled::Nothing;
        }
        match self.stop() {
            // It came to its end before the cancel did, or on its way.
            Ok(part) => Cancelled::Finished(Ok(part)),
            Err(error) if os::is_cancelled(&error) => match self.given_up {
                GivenUp::Harmless => Cancelled::Nothing,
                GivenUp::Unknown => Cancelled::Unknown,
            },
            Err(error) => Cancelled::Finished(Err(error)),
        }
    }
}

impl<F> Drop for Lent<'_, F> {
    fn drop(&mut self) {
        if self.state == State::Pending {
            // Nobody is left to be told what came of it.
            let _ = self.stop();
        }
    }
}
