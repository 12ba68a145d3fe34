//! Operations whose end a completion port tells, and what stands in where a handle is bound to another port.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null_mut, without_provenance};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::Threading::*;

use super::basics::{check, from_status};
use super::event::Event;
use super::overlapped::Overlapped;
use super::port::Key;
use crate::kinds::Part;

/// `SetFileCompletionNotificationModes`: what is done at once needs no packet.
pub(crate) fn skip_packets(handle: &OwnedHandle) -> io::Result<()> {
    const FILE_SKIP_COMPLETION_PORT_ON_SUCCESS: u8 = 1; // winbase.h
    // SAFETY: an open handle.
    check(unsafe {
        SetFileCompletionNotificationModes(
            handle.as_raw_handle(),
            FILE_SKIP_COMPLETION_PORT_ON_SUCCESS,
        )
    })
}

/// The system writes here from another thread, and last of all: what it has written before is seen once this has been.
///
/// # Safety
///
/// `overlapped` is there, and initialised.
unsafe fn status_word<'a>(overlapped: *mut Overlapped) -> &'a AtomicUsize {
    // SAFETY: the caller's promise; an aligned number, that is looked at in no other way meanwhile.
    unsafe { AtomicUsize::from_ptr(&raw mut (*overlapped).0.Internal) }
}

/// How far an operation has come, by its status word alone: no handle is needed, and no call made. The count is
/// `InternalHigh`, as in [`progress`](super::overlapped::progress).
///
/// # Safety
///
/// `overlapped` is that of an operation that was started without an error.
pub(crate) unsafe fn outcome(overlapped: *mut Overlapped) -> Poll<io::Result<Part>> {
    // SAFETY: the caller's promise.
    let status = unsafe { status_word(overlapped) }.load(Ordering::Acquire) as NTSTATUS;
    if status == STATUS_PENDING {
        return Poll::Pending;
    }
    // SAFETY: it is over, so that the system writes here no more.
    let len = unsafe { (*overlapped).0.InternalHigh };
    let part = |complete| Poll::Ready(Ok(Part { len, complete }));
    match status {
        STATUS_BUFFER_OVERFLOW => part(false),
        STATUS_CANCELLED if len > 0 => part(true),
        done if done >= 0 => part(true),
        failed => Poll::Ready(Err(from_status(failed))),
    }
}

/// A wait of the system's pool for an event, whose every setting it tells. Nothing is left of it once it is dropped, but
/// for what it is just telling.
#[derive(Debug)]
pub(crate) struct Watch {
    wait: HANDLE,
    // Closed after the wait has ended.
    event: Event,
}

// SAFETY: the handle of a wait may be used from any thread.
unsafe impl Send for Watch {}
// SAFETY: as above; nothing but its end is asked of it.
unsafe impl Sync for Watch {}

impl Watch {
    /// `RegisterWaitForSingleObject`: `tell`, the same for all, is called with `key`, on a thread that waits for others
    /// too.
    pub(crate) fn new(key: Key, tell: fn(Key)) -> io::Result<Watch> {
        static TELL: OnceLock<fn(Key)> = OnceLock::new();

        unsafe extern "system" fn call(context: *mut c_void, _timed_out: bool) {
            if let Some(tell) = TELL.get() {
                tell(Key(context.addr()));
            }
        }

        TELL.get_or_init(|| tell);
        // One that stays set would be reported for ever.
        let event = Event::for_one_wait()?;
        let mut wait = null_mut();
        // SAFETY: an open event, which is closed after the wait has ended. The context is a number.
        let registered = check(unsafe {
            RegisterWaitForSingleObject(
                &mut wait,
                event.0.as_raw_handle(),
                Some(call),
                without_provenance(key.0),
                INFINITE,
                WT_EXECUTEINWAITTHREAD,
            )
        });
        registered.map(|()| Watch { wait, event })
    }

    pub(crate) fn event(&self) -> &Event {
        &self.event
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: a wait that was registered, ended once. It may be telling at this moment, which uses nothing of this.
        unsafe { UnregisterWaitEx(self.wait, null_mut()) };
    }
}
