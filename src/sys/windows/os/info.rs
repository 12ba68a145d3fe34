//! What the system knows of an open end.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr::null_mut;

use windows_sys::Wdk::Storage::FileSystem::*;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Pipes::*;

use super::basics::{check, from_status};
use crate::info::PipeInfo;
use crate::kinds::{Peek, PipeMode};

/// What the system knows of an instance, without asking the other side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub(crate) server: bool,
    /// Both ends are there.
    pub(crate) connected: bool,
    pub(crate) mode: PipeMode,
    instances: u32,
    max_instances: u32,
    /// From the client to the server, and back.
    quotas: (u32, u32),
    /// The peer has no buffer to write to: each of its writes waits for a read.
    pub(crate) unbuffered: bool,
    /// All that was written has been read.
    pub(crate) drained: bool,
}

impl Local {
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

/// What NtCreateNamedPipeFile is given for no limit on instances. (CreateNamedPipe's 255 for it means 255 here.)
pub(super) const NO_LIMIT: u32 = u32::MAX;

/// A limit on instances, if it is one.
pub(crate) fn limit(max_instances: u32) -> Option<u32> {
    (max_instances != NO_LIMIT).then_some(max_instances)
}

pub(crate) fn local(pipe: &OwnedHandle) -> io::Result<Local> {
    let mut status = IO_STATUS_BLOCK::default();
    let mut info = FILE_PIPE_LOCAL_INFORMATION::default();
    // SAFETY: an open handle, and locals of the sizes that are said.
    let result = unsafe {
        NtQueryInformationFile(
            pipe.as_raw_handle(),
            &mut status,
            (&raw mut info).cast(),
            size_of::<FILE_PIPE_LOCAL_INFORMATION>() as u32,
            FilePipeLocalInformation,
        )
    };
    if result < 0 {
        return Err(from_status(result));
    }
    let server = info.NamedPipeEnd & FILE_PIPE_SERVER_END != 0;
    let quota = if server {
        info.OutboundQuota
    } else {
        info.InboundQuota
    };
    Ok(Local {
        server,
        connected: info.NamedPipeState == FILE_PIPE_CONNECTED_STATE,
        mode: if info.NamedPipeType & FILE_PIPE_MESSAGE_TYPE != 0 {
            PipeMode::Message
        } else {
            PipeMode::Byte
        },
        instances: info.CurrentInstances,
        max_instances: info.MaximumInstances,
        quotas: (info.InboundQuota, info.OutboundQuota),
        unbuffered: (if server {
            info.InboundQuota
        } else {
            info.OutboundQuota
        }) == 0,
        // Of a quota of 0 nothing can be used up.
        drained: quota > 0 && info.WriteQuotaAvailable == quota,
    })
}

/// `PeekNamedPipe`, of counts alone.
pub(crate) fn peek(pipe: &OwnedHandle) -> io::Result<Peek> {
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
        ended: false,
    })
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
