//! Completion ports.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::null_mut;
use std::time::Instant;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::IO::*;

use super::basics::{check, code, last, millis, owned};
use super::overlapped::Overlapped;

/// A completion port.
#[derive(Debug)]
pub(crate) struct Port(OwnedHandle);

/// What came out of a port.
#[derive(Debug)]
pub(crate) enum Packet {
    /// The operation of this OVERLAPPED has ended, and so. (The packet tells it in every case. Wine does not fill in the
    /// OVERLAPPED of an operation whose thread has ended.)
    Completion(*mut Overlapped, io::Result<()>),
    /// `Port::wake`.
    Wake,
    /// Nothing until the deadline.
    Nothing,
}

impl Port {
    pub(crate) fn new() -> io::Result<Port> {
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
        .map(Port)
    }

    /// The completions of `handle` come here from now on.
    pub(crate) fn add(&self, handle: &OwnedHandle) -> io::Result<()> {
        // SAFETY: two open handles; what is returned is the port's own handle again.
        let port =
            unsafe { CreateIoCompletionPort(handle.as_raw_handle(), self.0.as_raw_handle(), 0, 0) };
        if port.is_null() { last() } else { Ok(()) }
    }

    pub(crate) fn wake(&self) {
        // Without memory for a packet there is no way left to tell.
        let _ = self.post(null_mut());
    }

    /// Puts in a packet as the completion of `overlapped` would be. It is only ever compared, never looked into.
    pub(crate) fn post(&self, overlapped: *mut Overlapped) -> io::Result<()> {
        // SAFETY: an open port; the pointer is passed through as it is.
        check(unsafe {
            PostQueuedCompletionStatus(self.0.as_raw_handle(), 0, 0, overlapped.cast())
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
            if !overlapped.is_null() {
                // Also where it failed: then the operation has.
                return Ok(Packet::Completion(overlapped.cast(), result));
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
