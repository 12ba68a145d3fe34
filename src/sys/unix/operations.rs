//! What a lane drives on a socket: calls that are tried, and the waits before they are tried again.

use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;

use super::event::Waiter;
use crate::kinds::Part;
use crate::lane::{Cancelled, Operation, Waited, earlier};

/// A call that is tried, and tried again once the socket is ready: `recv` or `send`.
pub(super) struct Attempts<'a, F> {
    fd: &'a OwnedFd,
    waiter: &'a Waiter,
    ready: PollFlags,
    call: F,
}

impl<'a, F> Attempts<'a, F> {
    pub(super) fn new(fd: &'a OwnedFd, waiter: &'a Waiter, ready: PollFlags, call: F) -> Self {
        Attempts {
            fd,
            waiter,
            ready,
            call,
        }
    }
}

impl<F: FnMut() -> Poll<io::Result<Part>>> Operation for Attempts<'_, F> {
    type Output = Part;

    #[inline(always)]
    fn poll(&mut self) -> Poll<io::Result<Part>> {
        (self.call)()
    }

    #[inline(always)]
    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        self.waiter.wait(Some((self.fd, self.ready)), until)
    }

    fn cancel(&mut self) -> Cancelled<Part> {
        // Between two attempts the system holds nothing.
        Cancelled::Nothing
    }
}

/// Looks until the peer has read everything. No event tells when, so it looks in growing intervals, of 10 ms at most,
/// and at once when the peer closes.
pub(super) struct Drain<'a, F> {
    fd: &'a OwnedFd,
    look: F,
    waiter: &'a Waiter,
    slice: Duration,
    /// Both sides have closed their writing halves; it says so forever, and is no longer worth waiting for.
    hung_up: bool,
}

impl<'a, F> Drain<'a, F> {
    pub(super) fn new(fd: &'a OwnedFd, waiter: &'a Waiter, look: F) -> Self {
        Drain {
            fd,
            look,
            waiter,
            slice: Duration::from_micros(50),
            hung_up: false,
        }
    }
}

impl<F: FnMut() -> Poll<io::Result<()>>> Operation for Drain<'_, F> {
    type Output = ();

    fn poll(&mut self) -> Poll<io::Result<()>> {
        (self.look)()
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        let next = earlier(until, self.slice);
        self.slice = (self.slice * 2).min(Duration::from_millis(10));
        let hang_up = (!self.hung_up).then_some((self.fd, PollFlags::empty()));
        match self.waiter.wait(hang_up, next)? {
            Waited::Ready => {
                self.hung_up = true;
                Ok(Waited::Ready)
            }
            Waited::Expired if until.is_none_or(|until| Instant::now() < until) => {
                Ok(Waited::Ready)
            }
            waited => Ok(waited),
        }
    }

    fn cancel(&mut self) -> Cancelled<()> {
        Cancelled::Nothing
    }
}
