//! Windows's own calls, and nothing around them: the floor. On a handle whose calls block, and on an overlapped one.
//!
//! The server keeps one instance ready, as a program does that was written after the system's manual.

use std::io::{self, Read, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_PIPE_BUSY, ERROR_PIPE_CONNECTED, GENERIC_READ,
    GENERIC_WRITE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, PIPE_ACCESS_DUPLEX, ReadFile, WriteFile,
};
use windows_sys::Win32::System::IO::{GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE,
    PIPE_UNLIMITED_INSTANCES, WaitNamedPipeW,
};
use windows_sys::Win32::System::Threading::CreateEventW;

use crate::work::Pipes;

const BUFFER: u32 = 64 * 1024;

#[derive(Clone, Debug)]
pub struct Blocking;

#[derive(Clone, Debug)]
pub struct Overlapped;

/// An end of a pipe: for overlapped calls it has an event for reads and one for writes.
#[derive(Debug)]
pub struct Stream {
    handle: OwnedHandle,
    events: Option<[OwnedHandle; 2]>,
}

/// The instance that waits for the next client, and its address.
#[derive(Debug)]
pub struct Listener {
    next: Stream,
    address: Vec<u16>,
}

impl Pipes for Blocking {
    type Listener = Listener;
    type Stream = Stream;

    fn bind(&self, address: &str) -> io::Result<Listener> {
        Listener::bind(address, 0)
    }

    fn accept(&self, listener: &mut Listener) -> io::Result<Stream> {
        listener.accept(0)
    }

    fn connect(&self, address: &str) -> io::Result<Stream> {
        connect(address, 0)
    }
}

impl Pipes for Overlapped {
    type Listener = Listener;
    type Stream = Stream;

    fn bind(&self, address: &str) -> io::Result<Listener> {
        Listener::bind(address, FILE_FLAG_OVERLAPPED)
    }

    fn accept(&self, listener: &mut Listener) -> io::Result<Stream> {
        listener.accept(FILE_FLAG_OVERLAPPED)
    }

    fn connect(&self, address: &str) -> io::Result<Stream> {
        connect(address, FILE_FLAG_OVERLAPPED)
    }
}

impl Listener {
    fn bind(address: &str, flags: u32) -> io::Result<Listener> {
        let address = wide(address);
        let next = instance(&address, flags)?;
        Ok(Listener { next, address })
    }

    fn accept(&mut self, flags: u32) -> io::Result<Stream> {
        let handle = self.next.handle.as_raw_handle();
        self.next.call(0, |overlapped, _| {
            // SAFETY: an open handle, and an OVERLAPPED that outlives the call, or none.
            match unsafe { ConnectNamedPipe(handle, overlapped) } {
                0 if last_error() == ERROR_PIPE_CONNECTED => 1,
                result => result,
            }
        })?;
        let next = instance(&self.address, flags)?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

fn instance(address: &[u16], flags: u32) -> io::Result<Stream> {
    // SAFETY: the address ends with a zero.
    let handle = unsafe {
        CreateNamedPipeW(
            address.as_ptr(),
            PIPE_ACCESS_DUPLEX | flags,
            PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS,
            PIPE_UNLIMITED_INSTANCES,
            BUFFER,
            BUFFER,
            0,
            null(),
        )
    };
    Stream::new(handle, flags)
}

fn connect(address: &str, flags: u32) -> io::Result<Stream> {
    let address = wide(address);
    loop {
        // SAFETY: the address ends with a zero.
        let handle = unsafe {
            CreateFileW(
                address.as_ptr(),
                GENERIC_READ | GENERIC_WRITE,
                0,
                null(),
                OPEN_EXISTING,
                flags,
                null_mut(),
            )
        };
        if handle == INVALID_HANDLE_VALUE && last_error() == ERROR_PIPE_BUSY {
            // Not for ever: under load it does not always tell of a free instance.
            // SAFETY: as above. What it says matters little: the next attempt tells.
            unsafe { WaitNamedPipeW(address.as_ptr(), 50) };
            continue;
        }
        return Stream::new(handle, flags);
    }
}

impl Stream {
    fn new(handle: *mut core::ffi::c_void, flags: u32) -> io::Result<Stream> {
        if handle == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just opened, and nobody else has it.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        let events = match flags & FILE_FLAG_OVERLAPPED {
            0 => None,
            _ => Some([event()?, event()?]),
        };
        Ok(Stream { handle, events })
    }

    /// Makes a call, with the event of reads (0) or writes (1), and waits for its end.
    fn call(
        &self,
        which: usize,
        call: impl FnOnce(*mut OVERLAPPED, *mut u32) -> i32,
    ) -> io::Result<usize> {
        let mut moved = 0;
        let Some(events) = &self.events else {
            return match call(null_mut(), &mut moved) {
                0 => Err(io::Error::last_os_error()),
                _ => Ok(moved as usize),
            };
        };
        let mut overlapped = OVERLAPPED {
            hEvent: events[which].as_raw_handle(),
            ..Default::default()
        };
        if call(&mut overlapped, &mut moved) == 0 && last_error() != ERROR_IO_PENDING {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it waits until the system has released the OVERLAPPED, and with it of the caller's buffer.
        match unsafe {
            GetOverlappedResult(self.handle.as_raw_handle(), &overlapped, &mut moved, 1)
        } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(moved as usize),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let read = self.call(0, |overlapped, read| {
            // SAFETY: the buffer has the length, and is lent until the call has ended.
            unsafe {
                ReadFile(
                    self.handle.as_raw_handle(),
                    buffer.as_mut_ptr(),
                    length,
                    read,
                    overlapped,
                )
            }
        });
        match read {
            Err(error) if error.raw_os_error() == Some(ERROR_BROKEN_PIPE as i32) => Ok(0),
            read => read,
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.call(1, |overlapped, written| {
            // SAFETY: as for a read.
            unsafe {
                WriteFile(
                    self.handle.as_raw_handle(),
                    bytes.as_ptr(),
                    length,
                    written,
                    overlapped,
                )
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn event() -> io::Result<OwnedHandle> {
    // SAFETY: no pointers; what it returns is checked, and is nobody else's.
    unsafe {
        let event = CreateEventW(null(), 1, 0, null());
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedHandle::from_raw_handle(event))
    }
}

fn last_error() -> u32 {
    // SAFETY: it only reads what the last call left for this thread.
    unsafe { windows_sys::Win32::Foundation::GetLastError() }
}

fn wide(address: &str) -> Vec<u16> {
    address.encode_utf16().chain([0]).collect()
}
