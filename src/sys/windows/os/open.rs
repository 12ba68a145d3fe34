//! The client's end: paths, opening, waiting for a free instance.

use std::ffi::OsStr;
use std::io;
use std::mem::offset_of;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::time::Duration;

use windows_sys::Wdk::Storage::FileSystem::*;
use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::Pipes::*;

use super::basics::{check, code, from_status, last, owned, wide};
use super::overlapped::{Overlapped, Started};

/// `GetFullPathName`: a path as the system reads it.
pub(crate) fn full_path(path: &str) -> io::Result<String> {
    let given = wide(path);
    let mut full = vec![0u16; given.len() + 16];
    loop {
        // SAFETY: a string that ends with NUL, and a buffer of the length that is said.
        let length = unsafe {
            GetFullPathNameW(
                given.as_ptr(),
                full.len() as u32,
                full.as_mut_ptr(),
                null_mut(),
            )
        } as usize;
        match length {
            0 => return last(),
            fits if fits < full.len() => return Ok(String::from_utf16_lossy(&full[..fits])),
            more => full.resize(more, 0),
        }
    }
}

/// Whether there is a pipe at `path`, found out without opening an instance.
pub(crate) fn exists(path: &Path) -> bool {
    match wait_named_pipe(path) {
        Ok(()) => true,
        Err(error) => !matches!(code(&error), ERROR_FILE_NOT_FOUND | ERROR_BAD_PATHNAME),
    }
}

/// WaitNamedPipe, for the shortest time that there is: whether an instance of the pipe at `path` is free. It opens none.
pub(crate) fn wait_named_pipe(path: &Path) -> io::Result<()> {
    const MILLISECOND: u32 = 1; // 0 would be the server's own choice
    let path = wide(path);
    // SAFETY: a path that ends with NUL.
    check(unsafe { WaitNamedPipeW(path.as_ptr(), MILLISECOND) })
}

/// `CreateFile` of a pipe's client end: overlapped, with a quality of service.
pub(crate) fn open(path: &[u16], access: u32, quality: u32) -> io::Result<OwnedHandle> {
    // SAFETY: the path ends with NUL.
    unsafe {
        owned(CreateFileW(
            path.as_ptr(),
            access,
            0,
            null(),
            OPEN_EXISTING,
            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | quality,
            null_mut(),
        ))
    }
}

/// Makes reads of a client's end keep the boundaries of messages.
pub(crate) fn set_message_read_mode(pipe: &OwnedHandle) -> io::Result<()> {
    let mode = PIPE_READMODE_MESSAGE;
    // SAFETY: an open handle, and a local that is read.
    check(unsafe { SetNamedPipeHandleState(pipe.as_raw_handle(), &mode, null(), null()) })
}

/// The device that waits for instances: `\\.\pipe\`, or another machine's.
pub(crate) fn open_root(root: &str) -> io::Result<OwnedHandle> {
    let root = wide(root);
    // SAFETY: a path that ends with NUL.
    unsafe {
        owned(CreateFileW(
            root.as_ptr(),
            FILE_READ_ATTRIBUTES | SYNCHRONIZE,
            FILE_SHARE_READ | FILE_SHARE_WRITE,
            null(),
            OPEN_EXISTING,
            // It is a directory, which CreateFile opens with FILE_FLAG_BACKUP_SEMANTICS alone.
            FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS,
            null_mut(),
        ))
    }
}

/// What FSCTL_PIPE_WAIT is given, as a block of memory with the alignment that it needs.
#[derive(Debug)]
pub(crate) struct WaitBuffer(Vec<i64>, u32);

impl WaitBuffer {
    /// For an instance of the pipe `name` (without its root), within `timeout`.
    pub(crate) fn new(name: &OsStr, timeout: Duration) -> WaitBuffer {
        let name: Vec<u16> = name.encode_wide().collect();
        let head = offset_of!(FILE_PIPE_WAIT_FOR_BUFFER, Name);
        let length = head + name.len() * 2;
        let mut block = vec![
            0i64;
            length
                .div_ceil(8)
                .max(size_of::<FILE_PIPE_WAIT_FOR_BUFFER>().div_ceil(8))
        ];
        let start: *mut FILE_PIPE_WAIT_FOR_BUFFER = block.as_mut_ptr().cast();
        // SAFETY: the block is large enough for the head and the name, and aligned for its i64; zeroes are valid for
        // every field.
        unsafe {
            // Relative, in units of 100 ns.
            (*start).Timeout = -i64::try_from(timeout.as_nanos() / 100).unwrap_or(i64::MAX);
            (*start).TimeoutSpecified = true;
            (*start).NameLength = (name.len() * 2) as u32;
            (&raw mut (*start).Name)
                .cast::<u16>()
                .copy_from_nonoverlapping(name.as_ptr(), name.len());
        }
        WaitBuffer(block, length as u32)
    }
}

/// FSCTL_PIPE_WAIT: ends when an instance is free. By NtFsControlFile, since DeviceIoControl sends this code, whose device is
/// the pipes' own, to where no file system listens. (Wine does not tell the two apart.)
///
/// # Safety
///
/// As for [`read`], `buffer` being what is read.
pub(crate) unsafe fn wait_instance(
    root: &OwnedHandle,
    buffer: &WaitBuffer,
    overlapped: *mut Overlapped,
) -> io::Result<Started> {
    // SAFETY: the caller's promise; the block is as long as it says. An OVERLAPPED begins with an IO_STATUS_BLOCK.
    let status = unsafe {
        (*overlapped).0.Internal = STATUS_PENDING as usize;
        NtFsControlFile(
            root.as_raw_handle(),
            (*overlapped).0.hEvent,
            None,
            // What a completion port's packet carries: without it none is posted. (DeviceIoControl does the same.)
            overlapped.cast(),
            overlapped.cast(),
            FSCTL_PIPE_WAIT,
            buffer.0.as_ptr().cast(),
            buffer.1,
            null_mut(),
            0,
        )
    };
    match status {
        STATUS_PENDING => Ok(Started::Pending),
        failed if failed < 0 => Err(from_status(failed)),
        _ => Ok(Started::Finished),
    }
}
