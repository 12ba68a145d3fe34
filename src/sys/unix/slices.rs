//! Calls that wait in the kernel under a limit, on a socket that nobody else can reach.
//!
//! The timeouts of a socket cost nothing, while a `poll(2)` beside each call, with a timeout of its own, costs as much as
//! the call. But they stay on the socket. So they are taken off for good before anybody else gets to see its descriptor,
//! and are of no more use once the process has forked, since a copy might have been given away. They are not exact, and a
//! write has one for each of the kernel's buffers: near its limit a call goes the common way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;

use super::forks;
use super::os;

/// How long a call waits in the kernel. One that waits longer does so in the common way.
const SLICE: Duration = Duration::from_millis(50);

/// The least of the kernel's buffers that a write fills, each of which may wait for a slice: the smallest send buffer makes
/// them a little larger.
const BUFFER: usize = 2048;

/// A write that may take less than this goes the common way.
const LEAST: usize = 65536;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Read,
    Write,
}

impl Side {
    fn timeout(self) -> os::Timeout {
        match self {
            Side::Read => os::Timeout::Recv,
            Side::Write => os::Timeout::Send,
        }
    }
}

/// Which timeouts are on a socket.
#[derive(Debug, Default)]
pub(super) struct Slices {
    read: AtomicBool,
    write: AtomicBool,
    /// How many forks there were when the first of them was set.
    forks: AtomicUsize,
    /// Others may have the descriptor.
    shown: AtomicBool,
}

impl Slices {
    fn is_set(&self, side: Side) -> &AtomicBool {
        match side {
            Side::Read => &self.read,
            Side::Write => &self.write,
        }
    }

    /// How many bytes a call may take that waits in the kernel, and has to end at `until` (None: never). For the one owner of
    /// the socket. 0: it may not wait.
    pub(super) fn room(&self, socket: &OwnedFd, side: Side, until: Option<Instant>) -> usize {
        let set = self.is_set(side).load(Ordering::Relaxed);
        let Some(until) = until else {
            let free = !set || self.take_off(socket, side);
            return if free { usize::MAX } else { 0 };
        };
        let left = until.saturating_duration_since(Instant::now());
        let room = match side {
            Side::Read if left < SLICE * 2 => 0,
            Side::Read => usize::MAX,
            // As many buffers as there is time for, and a quarter of it to spare.
            Side::Write => {
                let slices = left.as_millis() / (SLICE * 5 / 4).as_millis();
                usize::try_from(slices).map_or(usize::MAX, |slices| slices.saturating_mul(BUFFER))
            }
        };
        if !cfg!(target_os = "linux") || self.shown.load(Ordering::Relaxed) || room < LEAST {
            return 0;
        }
        let Some(forks) = forks::count() else {
            return 0;
        };
        if self.read.load(Ordering::Relaxed) || self.write.load(Ordering::Relaxed) {
            if self.forks.load(Ordering::Relaxed) != forks {
                self.show(socket);
                return 0;
            }
        } else {
            self.forks.store(forks, Ordering::Relaxed);
        }
        match set || self.put_on(socket, side) {
            true => room,
            false => 0,
        }
    }

    fn put_on(&self, socket: &OwnedFd, side: Side) -> bool {
        let done = os::set_timeout(socket, side.timeout(), Some(SLICE)).is_ok();
        self.is_set(side).store(done, Ordering::Relaxed);
        done
    }

    fn take_off(&self, socket: &OwnedFd, side: Side) -> bool {
        let done = os::set_timeout(socket, side.timeout(), None).is_ok();
        self.is_set(side).store(!done, Ordering::Relaxed);
        done
    }

    /// Others get to see the descriptor: nothing of ours is on it now, nor will be.
    pub(super) fn show(&self, socket: &OwnedFd) {
        self.shown.store(true, Ordering::Relaxed);
        for side in [Side::Read, Side::Write] {
            if self.is_set(side).load(Ordering::Relaxed) {
                self.take_off(socket, side);
            }
        }
    }
}
