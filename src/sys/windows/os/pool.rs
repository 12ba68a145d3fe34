//! Threads of the system's pool, and what blocks on them.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::null;

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

/// Runs `work` on a thread of the system's own pool.
pub(crate) fn run_aside(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    type Work = Box<dyn FnOnce() + Send>;

    unsafe extern "system" fn run(_: PTP_CALLBACK_INSTANCE, context: *mut c_void) {
        // SAFETY: the box that `run_aside` has given up, once.
        let work: Box<Work> = unsafe { Box::from_raw(context.cast()) };
        work();
    }

    let context = Box::into_raw(Box::new(work));
    // SAFETY: the callback takes over the box that `context` is.
    if unsafe { TrySubmitThreadpoolCallback(Some(run), context.cast(), null()) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    // SAFETY: nobody has taken it, and no callback ever will.
    drop(unsafe { Box::from_raw(context) });
    Err(error)
}
