//! Event objects, and waiting for them.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Threading::*;

use super::basics::{count, millis, owned};

/// An event object.
#[derive(Debug)]
pub(crate) struct Event(pub(super) OwnedHandle);

impl Event {
    pub(crate) fn try_clone(&self) -> io::Result<Event> {
        self.0.try_clone().map(Event)
    }

    /// One that stays set once it is: every wait sees it from then on.
    pub(crate) fn new() -> io::Result<Event> {
        Event::with(true)
    }

    /// One that is reset by the wait that sees it.
    pub(crate) fn for_one_wait() -> io::Result<Event> {
        Event::with(false)
    }

    fn with(manual: bool) -> io::Result<Event> {
        // SAFETY: no pointers are given, and the result is a new handle or null.
        unsafe { owned(CreateEventW(null(), manual.into(), 0, null())) }.map(Event)
    }

    pub(crate) fn set(&self) {
        count!();
        // SAFETY: an open event handle. It cannot fail for one.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// Waits until it is set (true), or until `until`.
    pub(crate) fn wait(&self, until: Option<Instant>) -> bool {
        loop {
            count!();
            // SAFETY: an open event handle.
            let waited = unsafe { WaitForSingleObject(self.0.as_raw_handle(), millis(until)) };
            if waited == WAIT_OBJECT_0 {
                return true;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
        }
    }
}

/// Waits for one of two events (true), or until `until`. With none of them it is a plain sleep.
pub(crate) fn wait_either(a: Option<&Event>, b: Option<&Event>, until: Option<Instant>) -> bool {
    let mut handles = [null_mut(); 2];
    let mut count = 0;
    for event in [a, b].into_iter().flatten() {
        handles[count] = event.0.as_raw_handle();
        count += 1;
    }
    if count == 0 {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        std::thread::sleep(left.unwrap_or(Duration::MAX));
        return false;
    }
    loop {
        // SAFETY: `count` open event handles.
        let waited =
            unsafe { WaitForMultipleObjects(count as u32, handles.as_ptr(), 0, millis(until)) };
        if (WAIT_OBJECT_0..WAIT_OBJECT_0 + count as u32).contains(&waited) {
            return true;
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return false;
        }
    }
}
