//! Events that a `poll` can wait on: sticky ones, and the wake-up of a lane.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fd::{BorrowedFd, OwnedFd};

use super::forks;
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
pub(crate) struct Waiter {
    signal: OnceLock<os::Signal>,
    /// Somebody has woken, or is about to wake, the call that waits.
    woken: AtomicBool,
    alarm: Mutex<Alarm>,
}

/// The limit of the call that waited last. A signal that keeps it by itself saves the next one a timeout of `poll(2)`, which
/// costs as much as a read; one that is another for each call is not worth it.
#[derive(Debug, Default)]
struct Alarm {
    until: Option<Instant>,
    /// The signal keeps it.
    set: bool,
    /// How many forks there were: a copy may have been set by another process.
    forks: usize,
}

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
        if let Some(signal) = self.signal.get() {
            os::replace(socket, signal);
        }
    }

    fn signal(&self) -> io::Result<(&os::Signal, bool)> {
        if let Some(signal) = self.signal.get() {
            return Ok((signal, false));
        }
        // The lane lets one call at a time come here.
        let _ = self.signal.set(os::Signal::new()?);
        let signal = self.signal.get().ok_or(io::ErrorKind::OutOfMemory)?;
        Ok((signal, true))
    }

    fn alarm(&self) -> MutexGuard<'_, Alarm> {
        self.alarm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a `poll` of the signal needs as its timeout, to end at `until`: nothing, where the signal rises then by itself.
    fn timeout(&self, signal: &os::Signal, until: Option<Instant>) -> Option<Instant> {
        let (end, Some(forks)) = (until?, forks::count()) else {
            return until;
        };
        let mut alarm = self.alarm();
        if (alarm.until, alarm.forks) != (until, forks) {
            *alarm = Alarm {
                until,
                set: false,
                forks,
            };
            return until;
        }
        if !alarm.set {
            alarm.set = signal.rise_in(end.saturating_duration_since(Instant::now()));
        }
        until.filter(|_| !alarm.set)
    }

    /// Why the signal was raised, and lowers it.
    fn lower(&self, signal: &os::Signal, until: Option<Instant>) -> Waited {
        self.alarm().set = false;
        signal.lower();
        // Who wakes says so before he raises it, so that nothing which is set here outlives that.
        if self.woken.swap(false, Ordering::SeqCst) {
            return Waited::Woken;
        }
        match until {
            Some(until) if Instant::now() >= until => Waited::Expired,
            _ => Waited::Woken,
        }
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
        let timeout = self.timeout(signal, until);
        // Who wakes now raises the signal after it was set here.
        if self.woken.load(Ordering::SeqCst) {
            return Ok(self.lower(signal, until));
        }
        Ok(match os::poll(fd, Some(signal.fd()), timeout)? {
            os::Polled::Nothing => Waited::Expired,
            os::Polled::Main => Waited::Ready,
            os::Polled::Signal => self.lower(signal, until),
        })
    }
}

impl Waker for Waiter {
    fn wake(&self) {
        if let Some(signal) = self.signal.get() {
            self.woken.store(true, Ordering::SeqCst);
            signal.raise();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use rustix::net::SocketType;

    use super::*;

    /// A wait of a socket that is about to be ready ends at its limit all the same, by a signal that keeps it, whatever
    /// `between` does to the waiter.
    fn ends_at_its_limit(between: impl FnOnce(&Waiter, &dyn Fn() -> Waited)) {
        let (socket, peer) = os::socket_pair(SocketType::STREAM).unwrap();
        let waiter = Waiter::ready().unwrap();
        let until = Instant::now() + Duration::from_secs(2); // not before the socket was ready twice
        let wait = || {
            let readable = (&socket, PollFlags::IN);
            waiter.wait(Some(readable), Some(until)).unwrap()
        };
        os::send(&peer, b".", os::Call::Returns).unwrap();
        for _ in 0..2 {
            assert_eq!(wait(), Waited::Ready);
        }
        assert_eq!(waiter.alarm().set, cfg!(target_os = "linux"));
        os::recv(&socket, &mut [0], os::Call::Returns).unwrap();
        between(&waiter, &wait);
        // A limit that nobody keeps would be waited for forever.
        let (done, ended) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                let _ = ended.recv_timeout(Duration::from_secs(20));
                drop(peer);
            });
            assert_eq!(wait(), Waited::Expired);
            assert!(Instant::now() >= until);
            drop(done);
        });
    }

    #[test]
    fn a_limit_that_stays_is_kept_by_the_signal() {
        ends_at_its_limit(|_, _| {});
    }

    #[test]
    fn a_wake_up_takes_no_limit_away() {
        ends_at_its_limit(|waiter, wait| {
            waiter.wake();
            assert_eq!(wait(), Waited::Woken);
        });
    }

    #[test]
    fn another_limit_meanwhile_takes_none_away() {
        ends_at_its_limit(|waiter, wait| {
            let soon = Instant::now() + Duration::from_millis(10);
            assert_eq!(waiter.wait(None, Some(soon)).unwrap(), Waited::Expired);
            waiter.wake();
            assert_eq!(wait(), Waited::Woken);
        });
    }
}
