//! What the other files share: how a system call says that it failed, handles that are new, strings.

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::time::Instant;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Threading::INFINITE;

/// Counts the system calls of this thread for the tests, which hold the path of a read and a write short.
macro_rules! count {
    () => {
        #[cfg(test)]
        super::basics::calls::COUNT.set(super::basics::calls::COUNT.get() + 1);
    };
}

pub(super) use count;

pub(super) fn last<T>() -> io::Result<T> {
    Err(io::Error::last_os_error())
}

pub(super) fn check(done: i32) -> io::Result<()> {
    if done == 0 { last() } else { Ok(()) }
}

pub(super) fn from_status(status: NTSTATUS) -> io::Error {
    // SAFETY: a table look-up.
    let code = unsafe { RtlNtStatusToDosError(status) };
    io::Error::from_raw_os_error(code as i32)
}

pub(crate) fn code(error: &io::Error) -> u32 {
    error.raw_os_error().unwrap_or(0) as u32
}

/// Takes a handle that a system call has just made; null and INVALID_HANDLE_VALUE are its failures.
///
/// # Safety
///
/// Otherwise it is open, and nobody else's.
pub(super) unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return last();
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

pub(crate) fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}

/// Milliseconds until a moment, rounded up: a wait that ends early would be tried again at once.
pub(super) fn millis(until: Option<Instant>) -> u32 {
    let Some(until) = until else {
        return INFINITE;
    };
    let left = until.saturating_duration_since(Instant::now());
    let millis = left.as_nanos().div_ceil(1_000_000);
    // A longer wait than that is taken up again by whoever sees that it is not over.
    u32::try_from(millis).unwrap_or(INFINITE).min(INFINITE - 1)
}

/// Copies a string that the system made, and frees it.
///
/// # Safety
///
/// It ends with NUL, is from LocalAlloc, and nobody else's.
pub(super) unsafe fn take_text(text: *mut u16) -> String {
    // SAFETY: the caller's promise.
    unsafe {
        let length = (0..).take_while(|&i| *text.add(i) != 0).count();
        let copy = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        copy
    }
}

pub(crate) fn is_cancelled(error: &io::Error) -> bool {
    code(error) == ERROR_OPERATION_ABORTED
}

/// The errors that mean that the other side has gone.
pub(crate) const ENDS: &[i32] = &[
    ERROR_BROKEN_PIPE as i32,
    ERROR_NO_DATA as i32,
    ERROR_PIPE_NOT_CONNECTED as i32,
    // Of a server's end that was disconnected, some calls say this.
    ERROR_BAD_PIPE as i32,
];

pub(crate) fn is_end(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| ENDS.contains(&code))
}

#[cfg(test)]
#[allow(clippy::missing_const_for_thread_local)] // it is const; clippy 1.96 does not see it here
pub(crate) mod calls {
    use std::cell::Cell;

    thread_local! {
        pub(crate) static COUNT: Cell<usize> = const { Cell::new(0) };
    }
}
