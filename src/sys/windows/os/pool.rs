//! Threads of the system's pool, and what blocks on them.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};

use windows_sys::Win32::Storage::FileSystem::FlushFileBuffers;
use windows_sys::Win32::System::IO::CancelSynchronousIo;
use windows_sys::Win32::System::Threading::*;

use super::basics::{check, owned};

/// `FlushFileBuffers`: blocks until the other side has read everything or closed. It has no overlapped form; another
/// thread can end it by [`Thread::cancel_io`].
pub(crate) fn flush(pipe: &OwnedHandle) -> io::Result<()> {
    // SAFETY: an open handle.
    check(unsafe { FlushFileBuffers(pipe.as_raw_handle()) })
}

/// A thread, as somebody whose blocking calls can be ended.
#[derive(Debug)]
pub(crate) struct Thread(OwnedHandle);

impl Thread {
    pub(crate) fn current() -> io::Result<Thread> {
        // SAFETY: makes a new handle to the calling thread.
        unsafe { owned(OpenThread(THREAD_TERMINATE, 0, GetCurrentThreadId())) }.map(Thread)
    }

    /// `CancelSynchronousIo`: ends the blocking call that the thread is in, if it is in one.
    pub(crate) fn cancel_io(&self) {
        // SAFETY: an open thread handle.
        unsafe { CancelSynchronousIo(self.0.as_raw_handle()) };
    }
}

/// Runs `work` on a thread of the system's own pool, which is told that it may take long: it holds up nothing else there.
pub(crate) fn run_aside(work: fn()) -> io::Result<()> {
    /// The bit of `Flags` that SetThreadpoolCallbackRunsLong sets (winnt.h).
    const LONG_FUNCTION: u32 = 1;

    unsafe extern "system" fn run(_: PTP_CALLBACK_INSTANCE, context: *mut c_void) {
        // SAFETY: the function that `run_aside` was given: see there.
        let work: fn() = unsafe { std::mem::transmute(context) };
        work();
    }

    let environment = TP_CALLBACK_ENVIRON_V3 {
        Version: 3,
        CallbackPriority: TP_CALLBACK_PRIORITY_NORMAL,
        Size: size_of::<TP_CALLBACK_ENVIRON_V3>() as u32,
        u: TP_CALLBACK_ENVIRON_V3_0 {
            Flags: LONG_FUNCTION,
        },
        ..TP_CALLBACK_ENVIRON_V3::default()
    };
    // SAFETY: the environment is read by the call alone. A function is as large as a pointer on every Windows, and the
    // callback makes one of it again.
    check(unsafe { TrySubmitThreadpoolCallback(Some(run), work as *mut c_void, &environment) })
}
