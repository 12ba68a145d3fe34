//! All pipes that there are.

use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};

use windows_sys::Wdk::Storage::FileSystem::*;
use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

use super::basics::{from_status, owned, wide};

/// A pipe in the list of all.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) instances: u32,
    pub(crate) max_instances: u32,
}

/// `NtQueryDirectoryFile` of the file system that the pipes are: unlike FindFirstFile it tells the limits, and bears names
/// that no file could have.
pub(crate) fn list(mut each: impl FnMut(Found)) -> io::Result<()> {
    let root = wide(r"\\.\pipe\");
    // SAFETY: a path that ends with NUL. Without FILE_FLAG_OVERLAPPED the calls below wait for their end.
    let root = unsafe {
        owned(CreateFileW(
            root.as_ptr(),
            GENERIC_READ,
            FILE_SHARE_READ | FILE_SHARE_WRITE,
            null(),
            OPEN_EXISTING,
            FILE_FLAG_BACKUP_SEMANTICS,
            null_mut(),
        ))
    }?;
    let mut block = vec![0u64; 8192];
    let mut restart = true;
    loop {
        let mut status = IO_STATUS_BLOCK::default();
        let size = size_of_val(&block[..]);
        // SAFETY: an open synchronous handle, and a block of the size that is said, aligned for what it gets.
        let result = unsafe {
            NtQueryDirectoryFile(
                root.as_raw_handle(),
                null_mut(),
                None,
                null(),
                &mut status,
                block.as_mut_ptr().cast(),
                size as u32,
                FileDirectoryInformation,
                false,
                null(),
                restart,
            )
        };
        restart = false;
        if result == STATUS_NO_MORE_FILES {
            return Ok(());
        }
        if result < 0 {
            return Err(from_status(result));
        }
        let mut at = 0;
        while at + size_of::<FILE_DIRECTORY_INFORMATION>() <= size {
            // SAFETY: the system has put an entry here, in the block, and says where the next one is.
            let entry: *const FILE_DIRECTORY_INFORMATION =
                unsafe { block.as_ptr().cast::<u8>().add(at) }.cast();
            // SAFETY: as above; the name lies behind the entry, as long as it says.
            at += unsafe {
                let name = std::slice::from_raw_parts(
                    (&raw const (*entry).FileName).cast::<u16>(),
                    (*entry).FileNameLength as usize / 2,
                );
                each(Found {
                    name: String::from_utf16_lossy(name),
                    // The pipe file system has a use of its own for these (as pipelist shows).
                    instances: (*entry).EndOfFile as u32,
                    max_instances: (*entry).AllocationSize as u32,
                });
                match (*entry).NextEntryOffset {
                    0 => break,
                    next => next as usize,
                }
            };
        }
    }
}
