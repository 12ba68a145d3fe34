//! Work that waits for the peer to have read everything, on a thread of the system's own pool: a flush has no overlapped
//! form, and a deadline could not end it where it is called.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::os;
use super::overlapped::{GivenUp, Overlapped, Waiter};
use crate::lane::{Cancelled, Operation, Waited, Waker};

/// How often work that has just begun, and was not in the system yet to be cancelled, is told again.
const TELL_AGAIN: Duration = Duration::from_millis(5);

/// How long it is told.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the one who waits and the thread that works have in common.
#[derive(Debug)]
struct Aside {
    /// The thread, while it is in the system.
    at_it: Mutex<Option<os::Thread>>,
    /// The system's error, or 0.
    result: OnceLock<u32>,
    /// Set with the result.
    done: os::Event,
}

impl Aside {
    /// Flushes `pipe`, and then does `last` with it.
    fn start(
        pipe: &OwnedHandle,
        done: os::Event,
        last: fn(&OwnedHandle) -> io::Result<()>,
    ) -> io::Result<Arc<Aside>> {
        let aside = Arc::new(Aside {
            at_it: Mutex::new(None),
            result: OnceLock::new(),
            done,
        });
        // A handle of its own, for it may be the last to let go of the pipe.
        let (pipe, shared) = (pipe.try_clone()?, aside.clone());
        os::run_aside(Box::new(move || {
            let flushed = os::Thread::current().and_then(|thread| {
                shared.set_at_it(Some(thread));
                let flushed = os::flush(&pipe);
                // Before anything else of this thread's could be cancelled in its place.
                shared.set_at_it(None);
                flushed
            });
            let code = flushed
                .and_then(|()| last(&pipe))
                .err()
                .map_or(0, |error| os::code(&error));
            drop(pipe);
            let _ = shared.result.set(code);
            shared.done.set();
        }))?;
        Ok(aside)
    }

    fn set_at_it(&self, thread: Option<os::Thread>) {
        *self.at_it.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }

    fn result(&self) -> Option<io::Result<()>> {
        self.result.get().map(|&code| match code {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code as i32)),
        })
    }

    /// Ends the flush, and waits until its thread has let go of the pipe. The system does so at once; if it ever did
    /// not, the thread is left to it, with all that it needs (None).
    fn stop(&self) -> Option<io::Result<()>> {
        let last = Instant::now().checked_add(PATIENCE);
        loop {
            let result = self.result();
            if result.is_some() || last.is_some_and(|last| Instant::now() >= last) {
                return result;
            }
            if let Some(thread) = &*self.at_it.lock().unwrap_or_else(PoisonError::into_inner) {
                thread.cancel_io();
            }
            self.done.wait(Instant::now().checked_add(TELL_AGAIN));
        }
    }
}

/// Waits until the peer has read everything: at once where the system can tell so, else by a flush.
pub(crate) struct Drain<'a> {
    pipe: &'a OwnedHandle,
    waiter: &'a Waiter,
    flush: Option<Arc<Aside>>,
}

impl<'a> Drain<'a> {
    pub(super) fn new(pipe: &'a OwnedHandle, waiter: &'a Waiter) -> Drain<'a> {
        Drain {
            pipe,
            waiter,
            flush: None,
        }
    }
}

fn is_drained(pipe: &OwnedHandle) -> bool {
    os::local(pipe).is_ok_and(|local| local.drained)
}

impl Operation for Drain<'_> {
    type Output = ();

    fn poll(&mut self) -> Poll<io::Result<()>> {
        if let Some(flush) = &self.flush {
            return flush.result().map_or(Poll::Pending, Poll::Ready);
        }
        if is_drained(self.pipe) {
            return Poll::Ready(Ok(()));
        }
        // The lane's own event, so that a wake-up and the end of the flush are one wait.
        let event = self.waiter.event().and_then(os::Event::try_clone);
        match event.and_then(|event| Aside::start(self.pipe, event, |_| Ok(()))) {
            Ok(flush) => {
                self.flush = Some(flush);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        self.waiter.wait(until)
    }

    fn cancel(&mut self) -> Cancelled<()> {
        match self.flush.take().and_then(|flush| flush.stop()) {
            None => Cancelled::Nothing,
            Some(Err(error)) if os::is_cancelled(&error) => Cancelled::Nothing,
            Some(result) => Cancelled::Finished(result),
        }
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if self.flush.is_some() {
            self.cancel();
            // A wake-up that came for somebody else meanwhile may have been swallowed here.
            self.waiter.wake();
        }
    }
}

/// A half close on its way: the empty message goes out behind what the peer has read, and not before. A peer that reads
/// a message pipe as bytes, as go-winio does, would never see it behind unread data: there it vanishes in the read that
/// takes the data. (So go-winio flushes first too, and blocks for it.) Dropped, it is given up: the end of the pipe
/// says as much.
#[derive(Debug)]
pub(crate) struct HalfClose(Option<Arc<Aside>>);

impl HalfClose {
    pub(super) fn start(pipe: &OwnedHandle) -> io::Result<HalfClose> {
        if is_drained(pipe) {
            send_empty(pipe)?;
            return Ok(HalfClose(None));
        }
        Aside::start(pipe, os::Event::new()?, send_empty).map(|aside| HalfClose(Some(aside)))
    }
}

impl Drop for HalfClose {
    fn drop(&mut self) {
        if let Some(aside) = self.0.take() {
            // Who is about to close the pipe has nobody to tell.
            let _ = aside.stop();
        }
    }
}

/// With nothing ahead of it an empty message has its place at once: it is not waited for.
fn send_empty(pipe: &OwnedHandle) -> io::Result<()> {
    let waiter = Waiter::new();
    let mut write = Overlapped::new(
        pipe,
        &waiter,
        GivenUp::Harmless,
        |pipe: &OwnedHandle, overlapped| {
            // SAFETY: nothing is read from the buffer, and the OVERLAPPED is this operation's, which is dropped first.
            unsafe { os::write(pipe, std::ptr::dangling(), 0, overlapped) }
        },
    );
    loop {
        if let Poll::Ready(sent) = write.poll() {
            return sent.map(drop);
        }
        write.wait(None)?;
    }
}
