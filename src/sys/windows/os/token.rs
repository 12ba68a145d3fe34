//! Access tokens, and acting as a client.

use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Security::*;
use windows_sys::Win32::System::Pipes::*;
use windows_sys::Win32::System::Threading::*;

use super::basics::{check, code, owned};
use super::security::{SecurityDescriptor, Sid, sid_text};

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

    /// The one that this thread acts with, to be acted with again; None where it acts as the process.
    fn acting() -> io::Result<Option<Token>> {
        match Token::of_thread_for(TOKEN_IMPERSONATE) {
            Ok(token) => Ok(Some(token)),
            Err(error) if code(&error) == ERROR_NO_TOKEN => Ok(None),
            Err(error) => Err(error),
        }
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

    /// What the token says of itself, in a block that is aligned for pointers.
    fn ask(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
        let mut block = vec![0u64; 32];
        loop {
            let mut length = 0;
            // SAFETY: an open token, and a block of the size that is said.
            let asked = check(unsafe {
                GetTokenInformation(
                    self.0.as_raw_handle(),
                    class,
                    block.as_mut_ptr().cast(),
                    size_of_val(&block[..]) as u32,
                    &mut length,
                )
            });
            let room = (length as usize).div_ceil(size_of::<u64>());
            match asked {
                Err(error) if code(&error) == ERROR_INSUFFICIENT_BUFFER && room > block.len() => {
                    block.resize(room, 0);
                }
                asked => return asked.map(|()| block),
            }
        }
    }

    /// A SID of the token's, as text, if it has one. `class` is one whose structure begins with a pointer to a SID.
    fn sid(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<Option<String>> {
        let block = self.ask(class)?;
        // SAFETY: TOKEN_USER, TOKEN_OWNER and TOKEN_APPCONTAINER_INFORMATION, the classes that are asked for here, begin
        // with a pointer to a SID, which lies in the same block, or null.
        unsafe {
            let sid = *block.as_ptr().cast::<PSID>();
            if sid.is_null() {
                return Ok(None);
            }
            sid_text(sid).map(Some)
        }
    }
}

/// The SID of the token's user, as text.
pub(crate) fn user_sid(token: &Token) -> io::Result<String> {
    token
        .sid(TokenUser)?
        .ok_or_else(|| ErrorKind::NotFound.into())
}

/// The SID of whom it makes the owner of what it creates, as text.
pub(crate) fn owner_sid(token: &Token) -> io::Result<String> {
    token
        .sid(TokenOwner)?
        .ok_or_else(|| ErrorKind::NotFound.into())
}

/// The SID of the AppContainer that the token is confined to, if it is.
pub(crate) fn container_sid(token: &Token) -> Option<String> {
    token.sid(TokenAppContainerSid).ok().flatten()
}

/// Of a restricted token, the logon session among the SIDs that it is restricted to, if it is there.
pub(crate) fn restricted_logon_sid(token: &Token) -> Option<String> {
    let block = token.ask(TokenRestrictedSids).ok()?;
    let groups: *const TOKEN_GROUPS = block.as_ptr().cast();
    // SAFETY: the class's structure: a count, and as many SIDs with their attributes, all in the block.
    let sids = unsafe {
        std::slice::from_raw_parts(
            (&raw const (*groups).Groups).cast::<SID_AND_ATTRIBUTES>(),
            (*groups).GroupCount as usize,
        )
    };
    sids.iter()
        // SAFETY: a valid SID in the block.
        .filter_map(|sid| unsafe { sid_text(sid.Sid) }.ok())
        .find(|sid| sid.starts_with("S-1-5-5-"))
}

/// [`SecurityDescriptor::system_default`], of which the process is the owner.
pub(crate) fn system_default_security() -> io::Result<SecurityDescriptor> {
    let _as_ourselves = AsOurselves::begin()?;
    SecurityDescriptor::system_default(&user_sid(&Token::current()?)?)
}

/// Whether this process has the rights of an administrator: of the members of that group, an elevated one.
pub(crate) fn is_administrator() -> io::Result<bool> {
    let _as_ourselves = AsOurselves::begin()?;
    let administrators = Sid::parse("BA")?;
    let mut is_member = 0;
    // SAFETY: no token, which stands for this thread's or process's; a valid SID, and a local to be written to.
    check(unsafe { CheckTokenMembership(null_mut(), administrators.0, &mut is_member) })?;
    Ok(is_member != 0)
}

/// This thread as the process itself, even if it acts as somebody else. On drop it is what it was before.
#[derive(Debug)]
pub(crate) struct AsOurselves {
    before: Option<Token>,
    /// Of the thread that it began on.
    _here: PhantomData<*const ()>,
}

impl AsOurselves {
    pub(crate) fn begin() -> io::Result<AsOurselves> {
        let before = Token::acting()?;
        if before.is_some() {
            // SAFETY: no pointers are given: this thread, and no token.
            check(unsafe { SetThreadToken(null(), null_mut()) })?;
        }
        Ok(AsOurselves {
            before,
            _here: PhantomData,
        })
    }
}

impl Drop for AsOurselves {
    fn drop(&mut self) {
        if self.before.is_some() {
            act_as(self.before.as_ref());
        }
    }
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
        let before = Token::acting()?;
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
        act_as(self.before.as_ref());
    }
}

/// Makes this thread act with `token`, or as the process.
fn act_as(token: Option<&Token>) {
    // SAFETY: no pointers but to an open token. SetThreadToken without a thread is this one's.
    let done = unsafe {
        match token {
            Some(token) => SetThreadToken(null(), token.0.as_raw_handle()),
            None => RevertToSelf(),
        }
    };
    if done == 0 {
        // RevertToSelf: "your application should shut down": it would go on as somebody else.
        std::process::abort();
    }
}

/// A token that is this process's, restricted to Everyone and the logon session.
#[cfg(test)]
pub(crate) fn confine() -> Token {
    let (mut token, mut restricted) = (null_mut(), null_mut());
    // SAFETY: the pseudo handle of this process, and a local to be written to.
    let opened =
        check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &mut token) });
    // SAFETY: a new handle.
    let token = Token(opened.and_then(|()| unsafe { owned(token) }).unwrap());
    let everyone = Sid::parse("WD").unwrap();
    let block = token.ask(TokenLogonSid).unwrap();
    let logon: *const TOKEN_GROUPS = block.as_ptr().cast();
    // SAFETY: the class's structure, with one SID, which lies in the same block.
    let logon = unsafe { (*logon).Groups[0].Sid };
    let only = [everyone.0, logon].map(|sid| SID_AND_ATTRIBUTES {
        Sid: sid,
        Attributes: 0,
    });
    // SAFETY: an open token, SIDs that are there, and a local to be written to.
    let made = check(unsafe {
        CreateRestrictedToken(
            token.0.as_raw_handle(),
            0,
            0,
            null(),
            0,
            null(),
            only.len() as u32,
            only.as_ptr(),
            &mut restricted,
        )
    });
    // SAFETY: a new handle.
    Token(made.and_then(|()| unsafe { owned(restricted) }).unwrap())
}

/// Does `work` as whom `token` stands for.
#[cfg(test)]
pub(crate) fn acting_as<T>(token: &Token, work: impl FnOnce() -> T) -> T {
    // SAFETY: an open token; it is this thread's until the call below.
    check(unsafe { ImpersonateLoggedOnUser(token.0.as_raw_handle()) }).unwrap();
    let done = work();
    act_as(None);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_acts_as_another_is_itself_for_a_moment() {
        // SAFETY: no pointers; ends below.
        check(unsafe { ImpersonateSelf(SecurityImpersonation) }).unwrap();
        let acts = || Token::acting().unwrap().is_some();
        assert!(acts());
        let as_ourselves = AsOurselves::begin().unwrap();
        assert!(!acts());
        // What begins meanwhile ends where it began.
        drop(AsOurselves::begin().unwrap());
        assert!(!acts());
        drop(as_ourselves);
        assert!(acts());
        act_as(None);
        assert!(!acts());
        drop(AsOurselves::begin().unwrap());
        assert!(!acts());
    }
}
