//! Access tokens, and acting as a client.

use std::io;
use std::marker::PhantomData;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Security::*;
use windows_sys::Win32::System::Pipes::*;
use windows_sys::Win32::System::Threading::*;

use super::basics::{check, code, owned};
use super::security::sid_text;

/// An access token, to be asked who it is.
#[derive(Debug)]
pub(crate) struct Token(OwnedHandle);

impl Token {
    /// This process's.
    pub(crate) fn current() -> io::Result<Token> {
        let mut token = null_mut();
        // SAFETY: the pseudo handle of this process, and a local to be written to.
        check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) })?;
        // SAFETY: a new handle.
        unsafe { owned(token) }.map(Token)
    }

    /// The one that this thread acts with; the process itself asks for it, not whom it acts as.
    pub(crate) fn of_thread() -> io::Result<Token> {
        Token::of_thread_for(TOKEN_QUERY)
    }

    fn of_thread_for(access: u32) -> io::Result<Token> {
        let mut token = null_mut();
        // SAFETY: the pseudo handle of this thread, and a local to be written to.
        check(unsafe { OpenThreadToken(GetCurrentThread(), access, 1, &mut token) })?;
        // SAFETY: a new handle.
        unsafe { owned(token) }.map(Token)
    }

    pub(crate) fn of_process(pid: u32) -> io::Result<Token> {
        // SAFETY: makes a new handle, or null.
        let process = unsafe { owned(OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid)) }?;
        let mut token = null_mut();
        // SAFETY: an open process, and a local to be written to.
        check(unsafe { OpenProcessToken(process.as_raw_handle(), TOKEN_QUERY, &mut token) })?;
        // SAFETY: a new handle.
        unsafe { owned(token) }.map(Token)
    }

    /// A SID of the token's, as text. `class` is one whose structure begins with a pointer to a SID.
    fn sid(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<String> {
        // A SID has at most 68 bytes, and lies behind the structure that points to it.
        let mut block = [0u64; 32];
        let mut length = 0;
        // SAFETY: an open token, and a block of the size that is said, aligned for a pointer.
        check(unsafe {
            GetTokenInformation(
                self.0.as_raw_handle(),
                class,
                block.as_mut_ptr().cast(),
                size_of_val(&block) as u32,
                &mut length,
            )
        })?;
        // SAFETY: TOKEN_USER and TOKEN_OWNER, the classes that are asked for here, begin with a pointer to a SID, which
        // lies in the same block.
        unsafe { sid_text(*block.as_ptr().cast::<PSID>()) }
    }
}

/// The SID of the token's user, as text.
pub(crate) fn user_sid(token: &Token) -> io::Result<String> {
    token.sid(TokenUser)
}

/// The SID of whom it makes the owner of what it creates, as text.
pub(crate) fn owner_sid(token: &Token) -> io::Result<String> {
    token.sid(TokenOwner)
}

/// This thread acting as a pipe's client. On drop it is what it was before.
#[derive(Debug)]
pub(crate) struct Impersonation {
    before: Option<Token>,
    /// Of the thread that it began on.
    _here: PhantomData<*const ()>,
}

impl Impersonation {
    pub(crate) fn begin(pipe: &OwnedHandle) -> io::Result<Impersonation> {
        let before = match Token::of_thread_for(TOKEN_IMPERSONATE) {
            Ok(token) => Some(token),
            Err(error) if code(&error) == ERROR_NO_TOKEN => None,
            Err(error) => return Err(error),
        };
        // SAFETY: an open handle.
        check(unsafe { ImpersonateNamedPipeClient(pipe.as_raw_handle()) })?;
        Ok(Impersonation {
            before,
            _here: PhantomData,
        })
    }
}

impl Drop for Impersonation {
    fn drop(&mut self) {
        // SAFETY: no pointers but to an open token. SetThreadToken without a thread is this one's.
        let reverted = unsafe {
            match &self.before {
                Some(token) => SetThreadToken(null(), token.0.as_raw_handle()),
                None => RevertToSelf(),
            }
        };
        if reverted == 0 {
            // RevertToSelf: "your application should shut down": it would go on as somebody else.
            std::process::abort();
        }
    }
}
