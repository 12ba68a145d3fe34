//! What the system knows of an open end.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr::null_mut;

use windows_sys::Wdk::Storage::FileSystem::*;
use windows_sys::Win32::Foundation::STATUS_BUFFER_OVERFLOW;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Pipes::*;

use super::basics::{check, from_status};
use crate::info::PipeInfo;
use crate::kinds::{Directions, Peek, PipeMode, Role};

/// What the system knows of an instance, without asking the other side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    /// Which end it is.
    pub(crate) role: Role,
    /// Both ends are there.
    pub(crate) connected: bool,
    /// No client has come yet.
    pub(crate) listening: bool,
    pub(crate) mode: PipeMode,
    /// What the server's end may do, by the pipe's configuration.
    pub(crate) directions: Directions,
    instances: u32,
    max_instances: u32,
    /// From the client to the server, and back.
    quotas: (u32, u32),
    /// The peer may have no buffer to write to: then each of its writes waits for a read.
    pub(crate) unbuffered: bool,
    /// How much can be written without waiting for a read, at least, where the system [tells](tells_room).
    pub(crate) room: u32,
}

impl Local {
    /// Of the two ways' quotas.
    pub(crate) fn smaller_quota(&self) -> u32 {
        self.quotas.0.min(self.quotas.1)
    }

    /// Whether all that was written has been read: where the system's counts do not say so for sure, false. They say
    /// nothing of empty messages, so that it matters whether one is `among` it.
    pub(crate) fn is_drained(&self, among: Empties) -> bool {
        among == Empties::None && drained(self.role, self.quotas, self.room)
    }

    pub(crate) fn info(&self) -> PipeInfo {
        PipeInfo {
            mode: self.mode,
            instances: Some(self.instances),
            max_instances: limit(self.max_instances),
            input_buffer_size: Some(self.quotas.0),
            output_buffer_size: Some(self.quotas.1),
        }
    }
}

/// Whether an empty message may be among what is unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empties {
    None,
    Some,
}

/// What NtCreateNamedPipeFile is given for no limit on instances. (CreateNamedPipe's 255 for it means 255 here.)
pub(super) const NO_LIMIT: u32 = u32::MAX;

/// A limit on instances, if it is one.
pub(crate) fn limit(max_instances: u32) -> Option<u32> {
    (max_instances != NO_LIMIT).then_some(max_instances)
}

/// Of a client's end the documentation leaves open whose inbound and outbound these are, and npfs's sources and libuv's
/// (`src/win/pipe.c`) take them for the client's own. So of the two either may be the one that is meant.
fn unbuffered(role: Role, (inbound, outbound): (u32, u32)) -> bool {
    inbound == 0 || role == Role::Client && outbound == 0
}

/// What is free of a quota equals it only if nothing is unread: unread bytes use it up. (So does a read that the peer has
/// pending, as Cygwin found, and Wine 10 says 0 of some pipes: then there is no telling.) Of a client's two quotas the larger
/// one can be free in full only if it is the one that is meant, or they are equal. A quota of 0 says nothing.
fn drained(role: Role, (inbound, outbound): (u32, u32), free: u32) -> bool {
    let quota = match role {
        Role::Server => outbound,
        Role::Client => inbound.max(outbound),
    };
    quota > 0 && free == quota
}

pub(crate) fn local(pipe: &OwnedHandle) -> io::Result<Local> {
    let mut info = FILE_PIPE_LOCAL_INFORMATION::default();
    // SAFETY: the class's structure.
    unsafe { ask(pipe, FilePipeLocalInformation, &mut info) }?;
    let role = match info.NamedPipeEnd & FILE_PIPE_SERVER_END {
        0 => Role::Client,
        _ => Role::Server,
    };
    let quotas = (info.InboundQuota, info.OutboundQuota);
    Ok(Local {
        role,
        connected: info.NamedPipeState == FILE_PIPE_CONNECTED_STATE,
        listening: info.NamedPipeState == FILE_PIPE_LISTENING_STATE,
        mode: if info.NamedPipeType & FILE_PIPE_MESSAGE_TYPE != 0 {
            PipeMode::Message
        } else {
            PipeMode::Byte
        },
        instances: info.CurrentInstances,
        max_instances: info.MaximumInstances,
        directions: Directions {
            read: info.NamedPipeConfiguration != FILE_PIPE_OUTBOUND,
            write: info.NamedPipeConfiguration != FILE_PIPE_INBOUND,
        },
        quotas,
        unbuffered: unbuffered(role, quotas),
        room: info.WriteQuotaAvailable,
    })
}

/// `PeekNamedPipe`, of counts alone.
pub(crate) fn peek(pipe: &OwnedHandle, mode: PipeMode) -> io::Result<Peek> {
    let (mut available, mut message) = (0, 0);
    // SAFETY: an open handle, and locals to be written to.
    check(unsafe {
        PeekNamedPipe(
            pipe.as_raw_handle(),
            null_mut(),
            0,
            null_mut(),
            &mut available,
            &mut message,
        )
    })?;
    Ok(Peek {
        available: available as usize,
        message: message as usize,
        ended: mode == PipeMode::Message && available == 0 && messages(pipe)? > 0,
    })
}

/// FSCTL_PIPE_PEEK: how many messages there are, empty ones too, which PeekNamedPipe leaves out. (Wine 10 says 0.)
fn messages(pipe: &OwnedHandle) -> io::Result<u32> {
    let mut status = IO_STATUS_BLOCK::default();
    let mut found = FILE_PIPE_PEEK_BUFFER::default();
    // SAFETY: an open handle, and locals of the sizes that are said. A peek never waits, so that the system is done with
    // them; without a context it posts nothing to a port.
    let result = unsafe {
        NtFsControlFile(
            pipe.as_raw_handle(),
            null_mut(),
            None,
            null_mut(),
            &mut status,
            FSCTL_PIPE_PEEK,
            null_mut(),
            0,
            (&raw mut found).cast(),
            size_of::<FILE_PIPE_PEEK_BUFFER>() as u32,
        )
    };
    match result {
        // There is data by now, which did not fit.
        STATUS_BUFFER_OVERFLOW => Ok(0),
        failed if failed < 0 => Err(from_status(failed)),
        _ => Ok(found.NumberOfMessages),
    }
}

/// `FileNameInfo`: where the pipe of a handle is, as `\\.\pipe\NAME`.
pub(crate) fn path_of(pipe: &OwnedHandle) -> io::Result<PathBuf> {
    // A pipe's name has at most 256 characters.
    let mut block = [0u32; 256];
    // SAFETY: an open handle, and a block of the size that is said, aligned for a FILE_NAME_INFO.
    check(unsafe {
        GetFileInformationByHandleEx(
            pipe.as_raw_handle(),
            FileNameInfo,
            block.as_mut_ptr().cast(),
            size_of_val(&block) as u32,
        )
    })?;
    let info: *const FILE_NAME_INFO = block.as_ptr().cast();
    // SAFETY: the call has put a length in bytes there and, behind it, as many bytes of the name, all in the block.
    let name = unsafe {
        std::slice::from_raw_parts(
            (&raw const (*info).FileName).cast::<u16>(),
            (*info).FileNameLength as usize / 2,
        )
    };
    let mut path = OsString::from(r"\\.\pipe");
    path.push(OsString::from_wide(name));
    Ok(path.into())
}

/// How calls on a handle behave, as whoever opened it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Overlapped, and what has to wait does.
    Overlapped,
    /// Opened without FILE_FLAG_OVERLAPPED.
    Synchronous,
    /// In PIPE_NOWAIT mode.
    NoWait,
}

/// `FileModeInformation`, `FilePipeInformation`.
pub(crate) fn manners(pipe: &OwnedHandle) -> io::Result<Manners> {
    let mut mode = FILE_MODE_INFORMATION::default();
    // SAFETY: the class's structure.
    unsafe { ask(pipe, FileModeInformation, &mut mode) }?;
    if mode.Mode & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT) != 0 {
        return Ok(Manners::Synchronous);
    }
    let mut info = FILE_PIPE_INFORMATION::default();
    // SAFETY: as above.
    unsafe { ask(pipe, FilePipeInformation, &mut info) }?;
    Ok(match info.CompletionMode {
        FILE_PIPE_COMPLETE_OPERATION => Manners::NoWait,
        _ => Manners::Overlapped,
    })
}

/// `NtQueryInformationFile`.
///
/// # Safety
///
/// `T` is the structure of `class`, of numbers alone.
unsafe fn ask<T>(
    pipe: &OwnedHandle,
    class: FILE_INFORMATION_CLASS,
    info: &mut T,
) -> io::Result<()> {
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: an open handle, and locals of the sizes that are said.
    let result = unsafe {
        NtQueryInformationFile(
            pipe.as_raw_handle(),
            &mut status,
            (&raw mut *info).cast(),
            size_of::<T>() as u32,
            class,
        )
    };
    if result < 0 {
        Err(from_status(result))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sure_is_drained() {
        let (server, client) = (Role::Server, Role::Client);
        for (role, quotas, room, sure) in [
            (server, (64, 32), 32, true),
            (server, (64, 32), 31, false),
            (server, (64, 0), 0, false),
            // As much as the other way's: of a client it may be that one's.
            (client, (64, 32), 32, false),
            (client, (64, 32), 64, true),
            (client, (32, 64), 64, true),
            (client, (64, 64), 64, true),
            (client, (64, 64), 0, false),
            (client, (0, 0), 0, false),
        ] {
            let local = Local {
                role,
                connected: true,
                listening: false,
                mode: PipeMode::Message,
                directions: Directions::BOTH,
                instances: 1,
                max_instances: NO_LIMIT,
                quotas,
                unbuffered: false,
                room,
            };
            assert_eq!(local.is_drained(Empties::None), sure, "{local:?}");
            assert!(!local.is_drained(Empties::Some), "{local:?}");
        }
        assert!(unbuffered(server, (0, 64)) && !unbuffered(server, (64, 0)));
        assert!(unbuffered(client, (0, 64)) && unbuffered(client, (64, 0)));
    }
}
