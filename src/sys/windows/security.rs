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
        _ if options.current_user_clients_only => {
            format!("D:P(A;;FA;;;{})", user().map_err(fail)?)
        }
        Security::OsDefault => os_default().map_err(fail)?,
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

/// This user by their own SID (OW, the owner's rights, would be the Administrators' where the process is elevated), the
/// system and the administrators.
fn owner_only() -> io::Result<String> {
    Ok(format!("D:P(A;;FA;;;{})(A;;FA;;;SY)(A;;FA;;;BA)", user()?))
}

/// What CreateNamedPipe gives a pipe of which nothing is said: full access for the system, the administrators and the
/// owner, reading for everyone and the anonymous. (NtCreateNamedPipeFile would take the token's own default instead.)
fn os_default() -> io::Result<String> {
    Ok(format!(
        "D:(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;{})(A;;FR;;;WD)(A;;FR;;;AN)",
        user()?
    ))
}

fn user() -> io::Result<String> {
    os::user_sid(&os::Token::current()?)
}
