//! The server's end: instances of a pipe.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::*;
use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Pipes::*;

use super::basics::{check, from_status, owned, wide};
use super::info::{NO_LIMIT, local};
use super::open::open;
use super::overlapped::Overlapped;
use super::security::SecurityDescriptor;
use super::token::AsOurselves;
use crate::kinds::{Directions, PipeMode};

// What windows-sys does not have (ntifs.h).
//
// On 32-bit Windows a `system` function is imported as `_NAME@BYTES` unless told otherwise, and ntdll exports it as NAME.
#[cfg_attr(
    target_arch = "x86",
    link(name = "ntdll", kind = "raw-dylib", import_name_type = "undecorated")
)]
#[cfg_attr(not(target_arch = "x86"), link(name = "ntdll", kind = "raw-dylib"))]
unsafe extern "system" {
    fn NtCreateNamedPipeFile(
        handle: *mut HANDLE,
        access: u32,
        attributes: *const OBJECT_ATTRIBUTES,
        status: *mut IO_STATUS_BLOCK,
        share: u32,
        disposition: u32,
        options: u32,
        pipe_type: u32,
        read_mode: u32,
        completion_mode: u32,
        instances: u32,
        inbound_quota: u32,
        outbound_quota: u32,
        timeout: *const i64,
    ) -> NTSTATUS;
}

/// The path of a local pipe as the object manager has it, to whom the DOS devices (`\\.\`) are `\??\`.
pub(crate) fn nt_path(path: &Path) -> Vec<u16> {
    r"\??\"
        .encode_utf16()
        .chain(path.as_os_str().encode_wide().skip(r"\\.\".len()))
        .collect()
}

/// Whether this system has remote clients, and a bit to refuse them. Wine 10 takes FILE_PIPE_REJECT_REMOTE_CLIENTS for the
/// message type, as it does any bit there.
pub(super) fn knows_remote_clients() -> io::Result<bool> {
    Ok(Probe::of_this_system()?.knows_remote_clients)
}

/// Whether this system tells how much room there is for a write. Wine 10 says 0, whatever there is.
pub(crate) fn tells_room() -> io::Result<bool> {
    Ok(Probe::of_this_system()?.tells_room)
}

/// What a system can do, as far as a pipe of our own shows, which is gone at once.
#[derive(Clone, Copy, Debug)]
struct Probe {
    knows_remote_clients: bool,
    tells_room: bool,
}

impl Probe {
    fn of_this_system() -> io::Result<Probe> {
        static KNOWN: OnceLock<Probe> = OnceLock::new();
        if let Some(&known) = KNOWN.get() {
            return Ok(known);
        }
        let path = random_path();
        let instance = Instance {
            path: nt_path(Path::new(&path)),
            mode: PipeMode::Byte,
            directions: Directions::BOTH,
            accept_remote: false,
            input_buffer_size: PROBE_QUOTA,
            output_buffer_size: PROBE_QUOTA,
            security: SecurityDescriptor::parse("D:P(A;;GA;;;OW)")?,
        };
        let server = instance.make(true, true)?;
        let _client = open(&wide(&path), GENERIC_READ, SECURITY_ANONYMOUS)?;
        let local = local(&server)?;
        let probe = Probe {
            knows_remote_clients: local.mode == PipeMode::Byte,
            tells_room: local.room > 0,
        };
        let _ = KNOWN.set(probe);
        Ok(probe)
    }
}

const PROBE_QUOTA: u32 = 4096;

/// The path of a pipe that nobody has or could guess.
pub(crate) fn random_path() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!(r"\\.\pipe\npipe-{:016x}{:016x}", random(), random())
}

/// How an instance of a pipe is made.
#[derive(Debug)]
pub(crate) struct Instance {
    /// From [`nt_path`].
    pub(crate) path: Vec<u16>,
    pub(crate) mode: PipeMode,
    /// What the server does.
    pub(crate) directions: Directions,
    pub(crate) accept_remote: bool,
    pub(crate) input_buffer_size: u32,
    pub(crate) output_buffer_size: u32,
    pub(crate) security: SecurityDescriptor,
}

impl Instance {
    /// `NtCreateNamedPipeFile`: makes one more instance, the `first` of its name only where nobody has it.
    ///
    /// CreateNamedPipe could do as much, but for Wine: that ignores FILE_FLAG_FIRST_PIPE_INSTANCE, and keeps to
    /// FILE_CREATE (Wine 10).
    ///
    /// A thread that acts as a client at the moment makes it as itself, for as long as it has `_as_ourselves`: the client need
    /// not be allowed to add instances.
    pub(crate) fn create(
        &self,
        _as_ourselves: &AsOurselves,
        first: bool,
    ) -> io::Result<OwnedHandle> {
        #[cfg(test)]
        faults::met()?;
        self.make(first, !self.accept_remote && knows_remote_clients()?)
    }

    fn make(&self, first: bool, reject_remote: bool) -> io::Result<OwnedHandle> {
        let bytes = (self.path.len() * 2) as u16;
        let name = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: self.path.as_ptr().cast_mut(),
        };
        let attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: null_mut(),
            ObjectName: &name,
            Attributes: OBJ_CASE_INSENSITIVE,
            SecurityDescriptor: self.security.0.cast(),
            SecurityQualityOfService: null(),
        };
        // To look at the pipe, whichever way it goes.
        let mut access = SYNCHRONIZE | FILE_READ_ATTRIBUTES;
        let mut share = 0;
        if self.directions.read {
            access |= GENERIC_READ;
            share |= FILE_SHARE_WRITE;
        }
        if self.directions.write {
            access |= GENERIC_WRITE;
            share |= FILE_SHARE_READ;
        }
        let (mut kind, read_mode) = match self.mode {
            PipeMode::Byte => (FILE_PIPE_BYTE_STREAM_TYPE, FILE_PIPE_BYTE_STREAM_MODE),
            PipeMode::Message => (FILE_PIPE_MESSAGE_TYPE, FILE_PIPE_MESSAGE_MODE),
        };
        if reject_remote {
            kind |= FILE_PIPE_REJECT_REMOTE_CLIENTS;
        }
        // What WaitNamedPipe with NMPWAIT_USE_DEFAULT_WAIT waits: CreateNamedPipe's own default, 50 ms in 100 ns.
        let timeout: i64 = -500_000;
        let mut handle = null_mut();
        let mut status = IO_STATUS_BLOCK::default();
        // SAFETY: the pointers are to locals that outlive the call, the name's buffer to `self.path`, the descriptor to
        // `self.security`'s; without a synchronous option the handle is an overlapped one.
        let result = unsafe {
            NtCreateNamedPipeFile(
                &mut handle,
                access,
                &attributes,
                &mut status,
                share,
                if first { FILE_CREATE } else { FILE_OPEN },
                0,
                kind,
                read_mode,
                FILE_PIPE_QUEUE_OPERATION,
                NO_LIMIT,
                self.input_buffer_size,
                self.output_buffer_size,
                &timeout,
            )
        };
        if result < 0 {
            return Err(from_status(result));
        }
        // SAFETY: a new handle that the call has just made.
        unsafe { owned(handle) }
    }
}

/// How a client came to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listening {
    /// The instance waits; a packet comes to its port.
    Pending,
    /// A client is there, or was there and has left something to read. No packet comes.
    Connected,
}

/// `ConnectNamedPipe`.
///
/// # Safety
///
/// As for [`read`].
pub(crate) unsafe fn listen(
    pipe: &OwnedHandle,
    overlapped: *mut Overlapped,
) -> io::Result<Listening> {
    // SAFETY: the caller's promise.
    if unsafe { ConnectNamedPipe(pipe.as_raw_handle(), overlapped.cast()) } != 0 {
        // An overlapped call "returns zero"; if one ever did not, it would be a success with its packet.
        return Ok(Listening::Pending);
    }
    // SAFETY: reads a number of this thread's.
    match unsafe { GetLastError() } {
        ERROR_IO_PENDING => Ok(Listening::Pending),
        // NO_DATA: it came, wrote, and left. What it wrote is there.
        ERROR_PIPE_CONNECTED | ERROR_NO_DATA => Ok(Listening::Connected),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    }
}

pub(crate) fn disconnect(pipe: &OwnedHandle) -> io::Result<()> {
    // SAFETY: an open handle.
    check(unsafe { DisconnectNamedPipe(pipe.as_raw_handle()) })
}

/// A system that has no more instances to give, or does not tell, for the tests of what then becomes of a name.
#[cfg(test)]
#[allow(clippy::missing_const_for_thread_local)] // as in `basics`
pub(crate) mod faults {
    use std::cell::Cell;
    use std::io;

    use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_NO_SYSTEM_RESOURCES};

    thread_local! {
        /// How many of this thread's next instances fail.
        pub(in crate::sys::windows) static NEXT: Cell<usize> = const { Cell::new(0) };
        /// Whether this thread is let read no security.
        pub(in crate::sys::windows) static HIDDEN: Cell<bool> = const { Cell::new(false) };
    }

    pub(in crate::sys::windows::os) fn hidden() -> io::Result<()> {
        match HIDDEN.get() {
            true => Err(io::Error::from_raw_os_error(ERROR_ACCESS_DENIED as i32)),
            false => Ok(()),
        }
    }

    pub(super) fn met() -> io::Result<()> {
        match NEXT.get() {
            0 => Ok(()),
            left => {
                NEXT.set(left - 1);
                Err(io::Error::from_raw_os_error(
                    ERROR_NO_SYSTEM_RESOURCES as i32,
                ))
            }
        }
    }
}
