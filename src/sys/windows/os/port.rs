//! Completion ports, and the keys by which their packets are told apart.

use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use windows_sys::Wdk::Storage::FileSystem::*;
use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::IO::*;

use super::basics::{check, code, last, millis, owned};
use super::overlapped::Overlapped;

/// A completion port. One that is dropped is kept for the next [`new`](Port::new), and never closed. (It saves little; but
/// Wine 10's server dies of it: closing a port on which a thread has waited, it may write to a table of handles that it has
/// just freed, `close_handle` in `server/handle.c`.)
#[derive(Debug)]
pub(crate) struct Port(ManuallyDrop<OwnedHandle>);

/// The ports that nobody uses: never more than were in use at one time.
static KEPT: Mutex<Vec<Port>> = Mutex::new(Vec::new());

/// What the packets of one handle bear. Whoever has a handle can make packets with any OVERLAPPED come to its port, and
/// none with another handle's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) usize);

impl Key {
    /// Of the packets that complete no operation.
    pub(crate) const NONE: Key = Key(0);

    /// One that no handle of this process has had yet. (After 2^32 of them on a 32-bit system they begin again.)
    pub(crate) fn new() -> Key {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        loop {
            let key = Key(NEXT.fetch_add(1, Ordering::Relaxed));
            if key != Key::NONE {
                return key;
            }
        }
    }
}

/// What came out of a port.
#[derive(Debug)]
pub(crate) enum Packet {
    /// The operation of this OVERLAPPED, on the handle of this key, has ended, and so. (The packet tells it in every case.
    /// Wine does not fill in the OVERLAPPED of an operation whose thread has ended.)
    Completion(Key, *mut Overlapped, io::Result<()>),
    /// `Port::wake`.
    Wake,
    /// Nothing until the deadline.
    Nothing,
}

impl Port {
    pub(crate) fn new() -> io::Result<Port> {
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(port) = kept {
            // What has come meanwhile is for nobody.
            while !matches!(port.get(Some(Instant::now()))?, Packet::Nothing) {}
            return Ok(port);
        }
        // Any number of threads: at a lower one, packets would wait for a thread that has accepted and now computes.
        // SAFETY: makes a new port.
        unsafe {
            owned(CreateIoCompletionPort(
                INVALID_HANDLE_VALUE,
                null_mut(),
                0,
                i32::MAX as u32,
            ))
        }
        .map(|handle| Port(ManuallyDrop::new(handle)))
    }

    /// The completions of `handle` come here from now on, with `key`.
    pub(crate) fn add(&self, handle: &OwnedHandle, key: Key) -> io::Result<()> {
        // SAFETY: two open handles; what is returned is the port's own handle again.
        let port = unsafe {
            CreateIoCompletionPort(handle.as_raw_handle(), self.0.as_raw_handle(), key.0, 0)
        };
        if port.is_null() { last() } else { Ok(()) }
    }

    pub(crate) fn wake(&self) {
        // Without memory for a packet there is no way left to tell.
        let _ = self.post(Key::NONE, null_mut());
    }

    /// Puts in a packet as the completion of `overlapped` would be. It is only ever compared, never looked into.
    pub(crate) fn post(&self, key: Key, overlapped: *mut Overlapped) -> io::Result<()> {
        // SAFETY: an open port; the pointer is passed through as it is.
        check(unsafe {
            PostQueuedCompletionStatus(self.0.as_raw_handle(), 0, key.0, overlapped.cast())
        })
    }

    pub(crate) fn get(&self, until: Option<Instant>) -> io::Result<Packet> {
        loop {
            let (mut length, mut key) = (0, 0);
            let mut overlapped: *mut OVERLAPPED = null_mut();
            // SAFETY: an open port, and locals to be written to.
            let got = unsafe {
                GetQueuedCompletionStatus(
                    self.0.as_raw_handle(),
                    &mut length,
                    &mut key,
                    &mut overlapped,
                    millis(until),
                )
            };
            let result = if got != 0 { Ok(()) } else { last() };
            if key != Key::NONE.0 {
                // Also where it failed: then the operation has. The OVERLAPPED may be anything that somebody gave.
                return Ok(Packet::Completion(Key(key), overlapped.cast(), result));
            }
            let Err(error) = result else {
                return Ok(Packet::Wake);
            };
            if code(&error) != WAIT_TIMEOUT {
                return Err(error);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Packet::Nothing);
            }
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // SAFETY: taken once, and not used here again.
        let handle = unsafe { ManuallyDrop::take(&mut self.0) };
        KEPT.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Port(ManuallyDrop::new(handle)));
    }
}

/// `FileReplaceCompletionInformation` (Windows 8.1 and later; Wine 10 does not have it): the completions of `handle` go to
/// no port any more.
pub(crate) fn leave_port(handle: &OwnedHandle) -> io::Result<()> {
    let none = FILE_COMPLETION_INFORMATION {
        Port: null_mut(),
        Key: without_provenance_mut(Key::NONE.0),
    };
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: an open handle, and locals of the sizes that are said.
    let result = unsafe {
        NtSetInformationFile(
            handle.as_raw_handle(),
            &mut status,
            (&raw const none).cast(),
            size_of_val(&none) as u32,
            FileReplaceCompletionInformation,
        )
    };
    match result {
        failed if failed < 0 => Err(super::basics::from_status(failed)),
        _ => Ok(()),
    }
}
