//! Overlapped operations: begun, looked at, given up.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::null_mut;
use std::task::Poll;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::*;

use super::basics::{code, count};
use super::event::Event;
use crate::kinds::Part;

/// What the system fills in for an operation on its way.
#[repr(transparent)]
pub(crate) struct Overlapped(pub(super) OVERLAPPED);

impl std::fmt::Debug for Overlapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Overlapped")
    }
}

impl Default for Overlapped {
    /// One whose completion goes to the handle's port.
    fn default() -> Overlapped {
        Overlapped(OVERLAPPED::default())
    }
}

impl Overlapped {
    /// One whose completion sets `event`, and goes to no port (GetQueuedCompletionStatus: the low bit of `hEvent`).
    pub(crate) fn with_event(event: &Event) -> Overlapped {
        Overlapped(OVERLAPPED {
            hEvent: (event.0.as_raw_handle() as usize | 1) as HANDLE,
            ..OVERLAPPED::default()
        })
    }
}

/// Fills in an operation that needs no system call, with its result.
///
/// # Safety
///
/// `overlapped` is initialised, and of no operation that is pending.
pub(crate) unsafe fn finish(overlapped: *mut Overlapped, part: Part) -> Started {
    let status = match part.complete {
        true => STATUS_SUCCESS,
        false => STATUS_BUFFER_OVERFLOW, // ERROR_MORE_DATA, once it is asked for
    };
    // SAFETY: the caller's promise.
    unsafe {
        (*overlapped).0.Internal = status as usize;
        (*overlapped).0.InternalHigh = part.len;
    }
    Started::Finished
}

/// How a system call began an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// It is over; `progress` has the result.
    Finished,
    Pending,
}

fn started(done: i32) -> io::Result<Started> {
    if done != 0 {
        return Ok(Started::Finished);
    }
    // SAFETY: reads a number of this thread's.
    match unsafe { GetLastError() } {
        ERROR_IO_PENDING => Ok(Started::Pending),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    }
}

/// `ReadFile`.
///
/// # Safety
///
/// `overlapped` is initialised and nobody else's; it and `buffer` stay where they are until `progress` is ready.
pub(crate) unsafe fn read(
    pipe: &OwnedHandle,
    buffer: *mut u8,
    length: usize,
    overlapped: *mut Overlapped,
) -> io::Result<Started> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    count!();
    // SAFETY: the caller's promise; the handle is open.
    let read = started(unsafe {
        ReadFile(
            pipe.as_raw_handle(),
            buffer,
            length,
            null_mut(),
            overlapped.cast(),
        )
    });
    match read {
        // A part of a message: a success that has its count in the OVERLAPPED, not in the call's own count.
        Err(error) if code(&error) == ERROR_MORE_DATA => Ok(Started::Finished),
        read => read,
    }
}

/// `WriteFile`. ERROR_MORE_DATA is an error here: the peer takes less than was given (KB 119218).
///
/// # Safety
///
/// As for [`read`].
pub(crate) unsafe fn write(
    pipe: &OwnedHandle,
    bytes: *const u8,
    length: usize,
    overlapped: *mut Overlapped,
) -> io::Result<Started> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    count!();
    // SAFETY: the caller's promise; the handle is open.
    started(unsafe {
        WriteFile(
            pipe.as_raw_handle(),
            bytes,
            length,
            null_mut(),
            overlapped.cast(),
        )
    })
}

/// How far an operation has come. `InternalHigh` is the count: right in every case, where the others are not (the count
/// of a partial message, and of a cancelled operation that had moved something).
///
/// # Safety
///
/// `overlapped` is that of an operation on `pipe` that was started without an error.
pub(crate) unsafe fn progress(
    pipe: &OwnedHandle,
    overlapped: *mut Overlapped,
) -> Poll<io::Result<Part>> {
    let mut unused = 0;
    // SAFETY: the caller's promise. Without waiting this only reads the OVERLAPPED.
    let done =
        unsafe { GetOverlappedResult(pipe.as_raw_handle(), overlapped.cast(), &mut unused, 0) };
    let code = if done != 0 {
        ERROR_SUCCESS
    } else {
        // SAFETY: reads a number of this thread's.
        unsafe { GetLastError() }
    };
    if code == ERROR_IO_INCOMPLETE {
        return Poll::Pending;
    }
    // SAFETY: it is over, so that the system writes here no more.
    let len = unsafe { (*overlapped).0.InternalHigh };
    Poll::Ready(match code {
        ERROR_SUCCESS => Ok(Part {
            len,
            complete: true,
        }),
        ERROR_MORE_DATA => Ok(Part {
            len,
            complete: false,
        }),
        ERROR_OPERATION_ABORTED if len > 0 => Ok(Part {
            len,
            complete: true,
        }),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    })
}

/// `CancelIoEx`: asks for an end. Whether there was one, `progress` tells.
///
/// # Safety
///
/// As for [`progress`].
pub(crate) unsafe fn cancel(pipe: &OwnedHandle, overlapped: *mut Overlapped) {
    count!();
    // SAFETY: the caller's promise. An operation that has ended already is no failure worth a word.
    unsafe { CancelIoEx(pipe.as_raw_handle(), overlapped.cast()) };
}
