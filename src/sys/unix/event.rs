//! Events that a `poll` can wait on: sticky ones, and the wake-up of a lane.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fd::{BorrowedFd, OwnedFd};

use super::os;
use crate::lane::{Waited, Waker, earlier};

/// Set once and for all; a `poll` sees it from then on.
#[derive(Debug)]
pub(crate) struct Event(os::Signal);

impl Event {
    pub(crate) fn new() -> io::Result<Event> {
        Ok(Event(os::Signal::new()?))
    }

    pub(crate) fn set(&self) {
        self.0.raise();
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}

/// How often a call looks up that nothing can wake.
const LOOK_UP: Duration = Duration::from_millis(10);

/// What moves a call that waits in a lane. Its descriptor is made by the first call that has to wait.
#[derive(Debug, Default)]
pub(crate) struct Waiter(OnceLock<os::Signal>);

impl Waiter {
    pub(crate) fn new() -> Waiter {
        Waiter::default()
    }

    /// One whose descriptor is there from the start.
    pub(super) fn ready() -> io::Result<Waiter> {
        let waiter = Waiter::default();
        waiter.signal()?;
        Ok(waiter)
    }

    /// Lets go of what `socket` stands for, and keeps its number open. Of one that is [`ready`](Waiter::ready).
    pub(super) fn put_in_place_of(&self, socket: &OwnedFd) {
        if let Some(signal) = self.0.get() {
            os::replace(socket, signal);
        }
    }

    fn signal(&self) -> io::Result<(&os::Signal, bool)> {
        if let Some(signal) = self.0.get() {
            return Ok((signal, false));
        }
        // The lane lets one call at a time come here.
        let _ = self.0.set(os::Signal::new()?);
        let signal = self.0.get().ok_or(io::ErrorKind::OutOfMemory)?;
        Ok((signal, true))
    }

    /// Waits for `flags` on `fd` (None: for nothing but the wake-up), a wake-up, or `until`.
    #[inline(always)]
    pub(super) fn wait(
        &self,
        fd: Option<(&OwnedFd, PollFlags)>,
        until: Option<Instant>,
    ) -> io::Result<Waited> {
        let Ok((signal, new)) = self.signal() else {
            // There is no descriptor for it just now, which is no reason to fail what needs none: it looks up by itself.
            return match os::poll(fd, None, earlier(until, LOOK_UP))? {
                os::Polled::Nothing if until.is_some_and(|until| Instant::now() >= until) => {
                    Ok(Waited::Expired)
                }
                os::Polled::Nothing => Ok(Waited::Woken),
                _ => Ok(Waited::Ready),
            };
        };
        if new {
            // A deadline may have been set after this call read it and before there was anything to wake it with.
            return Ok(Waited::Woken);
        }
        match os::poll(fd, Some(signal.fd()), until)? {
            os::Polled::Nothing => Ok(Waited::Expired),
            os::Polled::Main => Ok(Waited::Ready),
            os::Polled::Signal => {
                signal.lower();
                Ok(Waited::Woken)
            }
        }
    }
}

impl Waker for Waiter {
    fn wake(&self) {
        if let Some(signal) = self.0.get() {
            signal.raise();
        }
    }
}
