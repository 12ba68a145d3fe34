//! What a `poll` can be woken by.

use std::io;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::event::Timespec;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

/// A thing to be polled that one thread raises and another lowers: on Linux a timer, which can also rise by itself, else a
/// pipe.
#[derive(Debug)]
pub(in crate::sys::unix) struct Signal {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

impl Signal {
    #[cfg(target_os = "linux")]
    pub(in crate::sys::unix) fn new() -> io::Result<Signal> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let read = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Signal { read })
    }

    #[cfg(not(target_os = "linux"))]
    pub(in crate::sys::unix) fn new() -> io::Result<Signal> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(Signal { read, write })
    }

    pub(in crate::sys::unix) fn fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Raising what is raised already is no error, and nothing else can fail.
    pub(in crate::sys::unix) fn raise(&self) {
        #[cfg(target_os = "linux")]
        self.rise_in(Duration::ZERO);
        #[cfg(not(target_os = "linux"))]
        let _ = rustix::io::write(&self.write, &[1]);
    }

    /// Has it rise by itself, in the place of what was set before. False: it cannot.
    #[cfg(target_os = "linux")]
    pub(in crate::sys::unix) fn rise_in(&self, time: Duration) -> bool {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, timerfd_settime};
        // A time of 0 is never.
        let Ok(it_value) = time.max(Duration::from_nanos(1)).try_into() else {
            return false;
        };
        let set = Itimerspec {
            it_interval: Timespec::default(),
            it_value,
        };
        timerfd_settime(&self.read, TimerfdTimerFlags::empty(), &set).is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    pub(in crate::sys::unix) fn rise_in(&self, _time: Duration) -> bool {
        false
    }

    pub(in crate::sys::unix) fn lower(&self) {
        let mut drain = [0; 64];
        let _ = rustix::io::read(&self.read, &mut drain);
    }
}
