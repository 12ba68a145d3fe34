//! Who is at the other end of a pipe, and whom a client takes for its server.

use std::io;
use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_CANNOT_IMPERSONATE, ERROR_CANT_OPEN_ANONYMOUS,
};

use super::os;
use crate::error::{Fault, Reason};
use crate::identity::{ExpectServer, PeerIdentity};
use crate::kinds::Role;

/// Who is at the other end.
pub(super) fn identity(pipe: &OwnedHandle, role: Role) -> io::Result<PeerIdentity> {
    let sid = match role {
        Role::Server => match os::Impersonation::begin(pipe) {
            Ok(_as_client) => {
                let token = os::Token::of_thread().map_err(|error| match os::code(&error) {
                    ERROR_CANT_OPEN_ANONYMOUS => {
                        let why =
                            "the client lets nobody know who it is (ImpersonationLevel::Anonymous)";
                        Fault::new(Reason::NotAllowed, why).into()
                    }
                    _ => error,
                })?;
                os::user_sid(&token)?
            }
            // Nothing was read from it yet. The number of a process on another machine means nothing here.
            Err(error) if os::code(&error) == ERROR_CANNOT_IMPERSONATE && os::is_local(pipe) => {
                os::user_sid(&os::Token::of_process(os::peer_pid(pipe, role)?)?)?
            }
            Err(error) => return Err(error),
        },
        Role::Client => {
            let token = os::peer_pid(pipe, role).and_then(os::Token::of_process);
            match token.and_then(|token| os::user_sid(&token)) {
                Ok(sid) => sid,
                Err(error) if os::code(&error) == ERROR_ACCESS_DENIED => os::owner(pipe)?,
                Err(error) => return Err(error),
            }
        }
    };
    Ok(PeerIdentity {
        sid: Some(sid),
        session: os::peer_session(pipe, role).ok(),
        ..PeerIdentity::default()
    })
}

/// The account of a SID, as `DOMAIN\user`. It may have to be asked for on another machine.
pub(crate) fn account(sid: &str) -> Option<String> {
    os::account(sid).ok()
}

/// Whether the server's process runs as `user`, and `owner` is whom it makes the owner of what it creates: of an elevated
/// process the Administrators. The owner is looked at too, because the process may have ended, and its number be another's.
fn acts_for(pipe: &OwnedHandle, user: &str, owner: &str) -> bool {
    let is_it = || -> io::Result<bool> {
        let token = os::Token::of_process(os::peer_pid(pipe, Role::Client)?)?;
        Ok(os::user_sid(&token)? == user && os::owner_sid(&token)? == owner)
    };
    // What cannot be looked at is not expected.
    is_it().unwrap_or(false)
}

/// Refuses a server that is not the expected one.
pub(super) fn check_server(
    pipe: &OwnedHandle,
    expected: &ExpectServer,
    remote: bool,
) -> io::Result<()> {
    let owner = os::owner(pipe)?;
    let (fits, wanted) = match expected {
        ExpectServer::CurrentUser => {
            let token = os::Token::current()?;
            let user = os::user_sid(&token)?;
            // What an elevated process creates is the Administrators'.
            let fits = owner == user || owner == os::owner_sid(&token)?;
            (fits, user)
        }
        ExpectServer::Sid(sid) => {
            let sid = os::sid_of(sid).map_err(|source| {
                let why = format!(
                    "{sid:?} is no SID, and no account of this name is known: \
                     give for example S-1-5-18, SY or DOMAIN\\user"
                );
                io::Error::from(Fault::new(Reason::WrongOption, why).source(source))
            })?;
            // The number of a process on another machine means nothing here.
            (owner == sid || !remote && acts_for(pipe, &sid, &owner), sid)
        }
        ExpectServer::Uid(_) => {
            let why = "a uid is Unix's: on Windows say ExpectServer::Sid or CurrentUser";
            return Err(Fault::new(Reason::NotHere, why).into());
        }
    };
    if fits {
        return Ok(());
    }
    let why = format!("the pipe is owned by {owner}, and {wanted} was expected");
    Err(Fault::new(Reason::UnexpectedServer, why).into())
}
