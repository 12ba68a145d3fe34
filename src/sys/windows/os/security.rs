//! Security descriptors and SIDs.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Security::Authorization::*;
use windows_sys::Win32::Security::*;
use windows_sys::Win32::System::Memory::{GetProcessHeap, HeapFree, LMEM_FIXED, LocalAlloc};

use super::basics::{check, from_status, last, take_text, wide};

// What windows-sys does not have. On 32-bit Windows a `system` function is imported as `_NAME@BYTES` unless told otherwise,
// and ntdll exports it as NAME.
#[cfg_attr(
    target_arch = "x86",
    link(name = "ntdll", kind = "raw-dylib", import_name_type = "undecorated")
)]
#[cfg_attr(not(target_arch = "x86"), link(name = "ntdll", kind = "raw-dylib"))]
unsafe extern "system" {
    fn RtlDefaultNpAcl(acl: *mut *mut ACL) -> NTSTATUS;
}

/// A security descriptor that the system made, or a block of LocalAlloc's with all that belongs to one.
#[derive(Debug)]
pub(crate) struct SecurityDescriptor(pub(super) PSECURITY_DESCRIPTOR);

// SAFETY: a block of memory that is nobody else's and that nothing writes to.
unsafe impl Send for SecurityDescriptor {}
// SAFETY: as above.
unsafe impl Sync for SecurityDescriptor {}

impl SecurityDescriptor {
    pub(crate) fn parse(sddl: &str) -> io::Result<SecurityDescriptor> {
        let sddl = wide(sddl);
        let mut descriptor = null_mut();
        // SAFETY: a string that ends with NUL, and a local to be written to.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                sddl.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                null_mut(),
            )
        })?;
        Ok(SecurityDescriptor(descriptor))
    }

    /// `RtlDefaultNpAcl`: what the system gives a pipe of which nothing is said. (The call that makes instances would take
    /// the token's own default instead.)
    ///
    /// Wine 10 says that it has succeeded, and has made nothing: then it is what the manual of CreateNamedPipe says, for
    /// `user`.
    pub(super) fn system_default(user: &str) -> io::Result<SecurityDescriptor> {
        const SECURITY_DESCRIPTOR_REVISION: u32 = 1; // winnt.h
        let mut acl: *mut ACL = null_mut();
        // SAFETY: a local to be written to.
        let status = unsafe { RtlDefaultNpAcl(&mut acl) };
        if status < 0 {
            return Err(from_status(status));
        }
        if acl.is_null() {
            return SecurityDescriptor::parse(&format!(
                "D:(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;{user})(A;;FR;;;WD)(A;;FR;;;AN)"
            ));
        }
        // SAFETY: the call has made an ACL, as long as it says, on the process's heap, to be freed once. The block has room
        // for a descriptor and, behind it, aligned as an ACL has to be, for a copy.
        unsafe {
            let length = usize::from((*acl).AclSize);
            let head = size_of::<SECURITY_DESCRIPTOR>().next_multiple_of(align_of::<u64>());
            let block = LocalAlloc(LMEM_FIXED, head + length);
            let made = if block.is_null() {
                last()
            } else {
                let descriptor = SecurityDescriptor(block);
                let copy: *mut ACL = block.byte_add(head).cast();
                copy.cast::<u8>()
                    .copy_from_nonoverlapping(acl.cast(), length);
                check(InitializeSecurityDescriptor(
                    block,
                    SECURITY_DESCRIPTOR_REVISION,
                ))
                .and_then(|()| check(SetSecurityDescriptorDacl(block, 1, copy, 0)))
                .map(|()| descriptor)
            };
            HeapFree(GetProcessHeap(), 0, acl.cast());
            made
        }
    }
}

impl Drop for SecurityDescriptor {
    fn drop(&mut self) {
        // SAFETY: from LocalAlloc, as ConvertStringSecurityDescriptorToSecurityDescriptor says, and freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// What `GetSecurityInfo` allocates.
struct Security {
    descriptor: SecurityDescriptor,
    owner: PSID,
}

fn security_info(pipe: &OwnedHandle, parts: u32) -> io::Result<Security> {
    let (mut owner, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: an open handle, and locals to be written to.
    let code = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            parts,
            &mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &mut descriptor,
        )
    };
    if code != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(code as i32));
    }
    Ok(Security {
        descriptor: SecurityDescriptor(descriptor),
        owner,
    })
}

/// The SID of the pipe's owner, as text.
pub(crate) fn owner(pipe: &OwnedHandle) -> io::Result<String> {
    let security = security_info(pipe, OWNER_SECURITY_INFORMATION)?;
    if security.owner.is_null() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the system does not tell the pipe's owner",
        ));
    }
    // SAFETY: a SID in the descriptor, which is still there.
    unsafe { sid_text(security.owner) }
}

/// The pipe's security descriptor, in SDDL.
pub(crate) fn security(pipe: &OwnedHandle) -> io::Result<String> {
    #[cfg(test)]
    super::faults::hidden()?;
    const PARTS: u32 = OWNER_SECURITY_INFORMATION
        | GROUP_SECURITY_INFORMATION
        | DACL_SECURITY_INFORMATION
        | LABEL_SECURITY_INFORMATION;
    let security = security_info(pipe, PARTS)?;
    let mut text = null_mut();
    // SAFETY: a descriptor, and a local to be written to.
    check(unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            security.descriptor.0,
            SDDL_REVISION_1,
            PARTS,
            &mut text,
            null_mut(),
        )
    })?;
    // SAFETY: the call has made a string.
    Ok(unsafe { take_text(text) })
}

/// The SID in the form of S-1-… of what is given as a SID, in either form, or as an account, `DOMAIN\user` or `user`.
pub(crate) fn sid_of(text: &str) -> io::Result<String> {
    match Sid::parse(text) {
        // SAFETY: a valid SID.
        Ok(sid) => unsafe { sid_text(sid.0) },
        Err(_) => sid_of_account(text),
    }
}

fn sid_of_account(account: &str) -> io::Result<String> {
    let account = wide(account);
    // Its parts are u32.
    let mut sid = [0u32; (SECURITY_MAX_SID_SIZE as usize).div_ceil(4)];
    let mut domain = [0u16; 260];
    let (mut sid_length, mut domain_length) = (size_of_val(&sid) as u32, domain.len() as u32);
    let mut kind = 0;
    // SAFETY: a string that ends with NUL, and buffers of the lengths that are said.
    check(unsafe {
        LookupAccountNameW(
            null(),
            account.as_ptr(),
            sid.as_mut_ptr().cast(),
            &mut sid_length,
            domain.as_mut_ptr(),
            &mut domain_length,
            &mut kind,
        )
    })?;
    // SAFETY: the call has made it.
    unsafe { sid_text(sid.as_mut_ptr().cast()) }
}

/// A SID that the system made.
pub(super) struct Sid(pub(super) PSID);

impl Sid {
    pub(super) fn parse(text: &str) -> io::Result<Sid> {
        let text = wide(text);
        let mut sid = null_mut();
        // SAFETY: a string that ends with NUL, and a local to be written to.
        check(unsafe { ConvertStringSidToSidW(text.as_ptr(), &mut sid) })?;
        Ok(Sid(sid))
    }
}

impl Drop for Sid {
    fn drop(&mut self) {
        // SAFETY: from LocalAlloc, as ConvertStringSidToSid says, and freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// # Safety
///
/// `sid` is a valid SID.
pub(super) unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: the caller's promise, and a local to be written to.
    check(unsafe { ConvertSidToStringSidW(sid, &mut text) })?;
    // SAFETY: the call has made a string.
    Ok(unsafe { take_text(text) })
}

/// The account of a SID, as `DOMAIN\user`.
pub(crate) fn account(sid: &str) -> io::Result<String> {
    let sid = Sid::parse(sid)?;
    // The longest that there are have 256 characters (UNLEN, DNLEN).
    let (mut name, mut domain) = ([0u16; 260], [0u16; 260]);
    let (mut name_length, mut domain_length) = (name.len() as u32, domain.len() as u32);
    let mut kind = 0;
    // SAFETY: a valid SID, and buffers of the lengths that are said.
    check(unsafe {
        LookupAccountSidW(
            null(),
            sid.0,
            name.as_mut_ptr(),
            &mut name_length,
            domain.as_mut_ptr(),
            &mut domain_length,
            &mut kind,
        )
    })?;
    let text = |buffer: &[u16], length: u32| {
        String::from_utf16_lossy(buffer.get(..length as usize).unwrap_or(buffer))
    };
    let name = text(&name, name_length);
    Ok(match text(&domain, domain_length) {
        domain if domain.is_empty() => name,
        domain => format!(r"{domain}\{name}"),
    })
}
