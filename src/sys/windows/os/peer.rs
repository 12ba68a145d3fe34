//! The process at the other end.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::ERROR_PIPE_LOCAL;
use windows_sys::Win32::System::Pipes::*;

use super::basics::{check, code};
use super::instance::knows_remote_clients;
use crate::kinds::Role;

/// The process at the other end than `ours`.
pub(crate) fn peer_pid(pipe: &OwnedHandle, ours: Role) -> io::Result<u32> {
    let mut pid = 0;
    // SAFETY: an open handle, and a local to be written to.
    check(unsafe {
        match ours {
            Role::Server => GetNamedPipeClientProcessId(pipe.as_raw_handle(), &mut pid),
            Role::Client => GetNamedPipeServerProcessId(pipe.as_raw_handle(), &mut pid),
        }
    })?;
    Ok(pid)
}

/// Whether a server's client is on this machine. Where the system does not tell, it is not.
pub(crate) fn is_local(pipe: &OwnedHandle) -> bool {
    // A system without remote clients may be without the call below too (Wine 10 ends the process for it).
    if knows_remote_clients().is_ok_and(|knows| !knows) {
        return true;
    }
    let mut name = [0u16; 256];
    // SAFETY: an open handle, and a buffer of the size that is said, in bytes.
    let told = unsafe {
        GetNamedPipeClientComputerNameW(
            pipe.as_raw_handle(),
            name.as_mut_ptr(),
            size_of_val(&name) as u32,
        )
    };
    told == 0 && code(&io::Error::last_os_error()) == ERROR_PIPE_LOCAL
}

/// The session of the process at the other end than `ours`.
pub(crate) fn peer_session(pipe: &OwnedHandle, ours: Role) -> io::Result<u32> {
    let mut session = 0;
    // SAFETY: an open handle, and a local to be written to.
    check(unsafe {
        match ours {
            Role::Server => GetNamedPipeClientSessionId(pipe.as_raw_handle(), &mut session),
            Role::Client => GetNamedPipeServerSessionId(pipe.as_raw_handle(), &mut session),
        }
    })?;
    Ok(session)
}
