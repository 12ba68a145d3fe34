//! Who may talk to a pipe, as a security descriptor.

use std::io;

use super::os::{self, SecurityDescriptor};
use crate::error::{self, Fault, Reason};
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::sddl;
use crate::security::Security;

const OPERATION: &str = "bind";

/// Reading and writing without FILE_CREATE_PIPE_INSTANCE (0x4), which would let others put up instances of the pipe and
/// take its clients. GENERIC_WRITE contains it; the system asks a client that opens with GENERIC_WRITE for the rest only.
const READ_WRITE: &str = "0x12019b";

/// The descriptor of a new pipe.
pub(super) fn descriptor(
    options: &ListenOptions,
    name: &PipeName,
) -> io::Result<SecurityDescriptor> {
    let fail = |e| error::named(OPERATION, name, e);
    let wrong = |why: String| Fault::new(Reason::WrongOption, why);
    let sddl = match &options.security {
        Security::Sddl(_) if options.current_user_clients_only => {
            let why = "current_user_clients_only is a security of its own on Windows, and does not go with SDDL: \
                       leave one of them out";
            return Err(wrong(why.to_owned()).of(OPERATION, name));
        }
        _ if options.current_user_clients_only => user_only().map_err(fail)?,
        Security::OsDefault => return os::system_default_security().map_err(fail),
        Security::OwnerOnly => owner_only().map_err(fail)?,
        Security::Everyone => {
            format!("{}(A;;{READ_WRITE};;;WD)", owner_only().map_err(fail)?)
        }
        Security::Sddl(sddl) => sddl.clone(),
        Security::Mode(mode) => {
            let why = format!(
                "mode {mode:#o} is Unix's: on Windows say Security::Sddl, OwnerOnly or Everyone"
            );
            return Err(Fault::new(Reason::NotHere, why).of(OPERATION, name));
        }
    };
    if sddl.contains('\0') {
        let why = "the SDDL has a NUL character in it";
        return Err(wrong(why.to_owned()).of(OPERATION, name));
    }
    let mistake = || sddl::find_mistake(&sddl, |part| SecurityDescriptor::parse(part).is_ok());
    if sddl.trim().is_empty() {
        // The system takes it for a descriptor that says nothing, which nobody means.
        return Err(wrong(mistake()).of(OPERATION, name));
    }
    match SecurityDescriptor::parse(&sddl) {
        Ok(descriptor) => Ok(descriptor),
        Err(source) => Err(wrong(mistake()).source(source).of(OPERATION, name)),
    }
}

/// Who the server itself is, as entries of a DACL that let it add instances, and what it lets other processes of its user do.
///
/// The user stands there by their own SID: OW, the owner's rights, would be the Administrators' where the process is
/// elevated. Then the Administrators' entry is the server's own, and the user's other processes, which are not elevated,
/// may talk and no more: none of them could add an instance, and so take the clients of a server that may do more than
/// they do. A server that is confined (an AppContainer, a restricted token) passes only by an entry of its own.
fn own_entries() -> io::Result<String> {
    let token = os::Token::current()?;
    let user = os::user_sid(&token)?;
    let rights = if os::is_administrator()? {
        READ_WRITE
    } else {
        "FA"
    };
    Ok(format!("(A;;{rights};;;{user}){}", confinement(&token)))
}

fn confinement(token: &os::Token) -> String {
    [os::container_sid(token), os::restricted_logon_sid(token)]
        .into_iter()
        .flatten()
        .map(|own| format!("(A;;FA;;;{own})"))
        .collect()
}

/// The server itself, the system and the administrators.
fn owner_only() -> io::Result<String> {
    Ok(format!("D:P{}(A;;FA;;;SY)(A;;FA;;;BA)", own_entries()?))
}

/// The user alone. An elevated server's instances are the user's too, since nobody else is there.
fn user_only() -> io::Result<String> {
    let token = os::Token::current()?;
    Ok(format!(
        "D:P(A;;FA;;;{}){}",
        os::user_sid(&token)?,
        confinement(&token)
    ))
}
