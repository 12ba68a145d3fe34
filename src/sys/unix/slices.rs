//! Calls that wait in the kernel under a limit, on a socket that nobody else can reach.
//!
//! The timeouts of a socket cost nothing, while a `poll(2)` beside each call, with a timeout of its own, costs as much as
//! the call. But they stay on the socket. So they are taken off for good before anybody else gets to see its descriptor,
//! and are of no more use once the process has forked, since a copy might have been given away. They are not exact, and a
//! write has one for each of the kernel's buffers: near its limit a call goes the common way.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;

use super::os;

/// How long a call waits in the kernel. One that waits longer does so in the common way.
const SLICE: Duration = Duration::from_millis(50);

/// The most that is written at a time.
const MOST: usize = 65536;

/// How many buffers of the kernel's so much may need: the smallest send buffer makes them a little larger than 2 KiB.
const BUFFERS: u32 = 32;

/// How many forks there were, as both sides see them.
static FORKS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Whether forks are counted from now on.
fn count_forks() -> bool {
    static COUNTED: AtomicBool = AtomicBool::new(false);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic number, which it may do in whatever state a fork finds the process.
        let refused = unsafe { libc::pthread_atfork(None, Some(forked), Some(forked)) };
        COUNTED.store(refused == 0, Ordering::Relaxed);
    });
    COUNTED.load(Ordering::Relaxed)
}

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

    /// Whether a call may wait in the kernel, that has to end at `until` (None: never). For the one owner of the socket.
    pub(super) fn may_wait(&self, socket: &OwnedFd, side: Side, until: Option<Instant>) -> bool {
        let set = self.is_set(side).load(Ordering::Relaxed);
        let Some(until) = until else {
            return !set || self.take_off(socket, side);
        };
        let longest = match side {
            Side::Read => SLICE * 2,
            Side::Write => SLICE * BUFFERS * 5 / 4,
        };
        if !cfg!(target_os = "linux")
            || self.shown.load(Ordering::Relaxed)
            || until.saturating_duration_since(Instant::now()) < longest
        {
            return false;
        }
        let forks = FORKS.load(Ordering::Relaxed);
        if self.read.load(Ordering::Relaxed) || self.write.load(Ordering::Relaxed) {
            if self.forks.load(Ordering::Relaxed) != forks {
                self.show(socket);
                return false;
            }
        } else {
            self.forks.store(forks, Ordering::Relaxed);
        }
        set || (count_forks() && self.put_on(socket, side))
    }

    /// How much of `length` bytes a write under a limit may take.
    pub(super) fn room(length: usize) -> usize {
        length.min(MOST)
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
