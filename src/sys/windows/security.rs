//! Who may talk to a pipe, as a security descriptor.

use std::io;

use super::os::{self, SecurityDescriptor};
use crate::error::{self, Fault, Reason};
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::sddl;
use crate::security::Security;

const OPERATION: &str = "bind";

/// Reading and writing without FILE_CREATE_PIPE_INSTANCE (0x4), which would let others add instances to the pipe and
/// take its clients. GENERIC_WRITE contains it; the system asks a client that opens with GENERIC_WRITE for the rest only.
const READ_WRITE: &str = "0x12019b";

/// The descriptor of a new pipe.
pub(super) fn descriptor(
    options: &ListenOptions,
    name: &PipeName,
) -> io::Result<SecurityDescriptor> {
    let fail = |e| error::named(OPERATION, name, e);
    let wrong = |why: String| Fault::new(Reason::WrongOption, why);
    let server = || Server::of(&os::Token::current()?);
    let sddl = match &options.security {
        Security::Sddl(_) if options.current_user_clients_only => {
            let why = "current_user_clients_only is a security of its own on Windows, and does not go with SDDL: \
                       leave one of them out";
            return Err(wrong(why.to_owned()).of(OPERATION, name));
        }
        _ if options.current_user_clients_only => server().map_err(fail)?.user_only(),
        Security::OsDefault => return os::system_default_security().map_err(fail),
        Security::OwnerOnly => server().map_err(fail)?.owner_only(),
        Security::Everyone => server().map_err(fail)?.everyone(),
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

/// Who the server is, as far as the DACL of its pipe depends on it.
#[derive(Debug)]
struct Server {
    user: String,
    /// Elevated: the Administrators are the owner of what it makes.
    administrator: bool,
    /// By which SIDs it is confined, as an AppContainer or by a restricted token: it passes only where one of them does too.
    confined_by: Vec<String>,
}

impl Server {
    fn of(token: &os::Token) -> io::Result<Server> {
        let confined_by = [os::container_sid(token), os::restricted_logon_sid(token)];
        Ok(Server {
            user: os::user_sid(token)?,
            administrator: os::is_administrator()?,
            confined_by: confined_by.into_iter().flatten().collect(),
        })
    }

    fn confinement(&self) -> String {
        let entry = |sid: &String| format!("(A;;FA;;;{sid})");
        self.confined_by.iter().map(entry).collect()
    }

    /// The server itself, the system and the administrators; and what it lets other processes of its user do.
    ///
    /// The user stands there by their own SID: OW, the owner's rights, would be the Administrators' where the process is
    /// elevated. Then the Administrators' entry is the server's own, and the user's other processes, which are not elevated,
    /// may talk and no more: none of them could add an instance, and so take the clients of a server that may do more than
    /// they do.
    fn owner_only(&self) -> String {
        let rights = if self.administrator { READ_WRITE } else { "FA" };
        format!(
            "D:P(A;;{rights};;;{}){}(A;;FA;;;SY)(A;;FA;;;BA)",
            self.user,
            self.confinement()
        )
    }

    fn everyone(&self) -> String {
        format!("{}(A;;{READ_WRITE};;;WD)", self.owner_only())
    }

    /// The user alone. An elevated server's instances are the user's too, since nobody else is there.
    fn user_only(&self) -> String {
        format!("D:P(A;;FA;;;{}){}", self.user, self.confinement())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "S-1-5-21-1-2-3-1001";
    const CONTAINER: &str = "S-1-15-2-1-2-3-4-5-6-7";
    const LOGON: &str = "S-1-5-5-0-4711";

    fn server(administrator: bool, confined_by: &[&str]) -> Server {
        Server {
            user: USER.to_owned(),
            administrator,
            confined_by: confined_by.iter().map(|&sid| sid.to_owned()).collect(),
        }
    }

    #[test]
    fn a_confined_server_has_an_entry_of_its_own() {
        for (administrator, confined_by, own) in [
            (false, &[][..], format!("(A;;FA;;;{USER})")),
            (true, &[], format!("(A;;0x12019b;;;{USER})")),
            (
                false,
                &[CONTAINER],
                format!("(A;;FA;;;{USER})(A;;FA;;;{CONTAINER})"),
            ),
            (
                true,
                &[LOGON],
                format!("(A;;0x12019b;;;{USER})(A;;FA;;;{LOGON})"),
            ),
            (
                false,
                &[CONTAINER, LOGON],
                format!("(A;;FA;;;{USER})(A;;FA;;;{CONTAINER})(A;;FA;;;{LOGON})"),
            ),
        ] {
            let server = server(administrator, confined_by);
            let owner_only = format!("D:P{own}(A;;FA;;;SY)(A;;FA;;;BA)");
            assert_eq!(server.owner_only(), owner_only);
            assert_eq!(server.everyone(), format!("{owner_only}(A;;0x12019b;;;WD)"));
            // Nobody else is there, so that an elevated server needs the user's entry for itself.
            let user_only = format!("D:P{own}").replace("0x12019b", "FA");
            assert_eq!(server.user_only(), user_only);
            for sddl in [server.owner_only(), server.everyone(), server.user_only()] {
                SecurityDescriptor::parse(&sddl).unwrap();
            }
        }
    }

    #[test]
    fn this_process_is_a_server_of_its_user() {
        let token = os::Token::current().unwrap();
        let server = Server::of(&token).unwrap();
        assert_eq!(server.user, os::user_sid(&token).unwrap());
        assert!(server.confined_by.is_empty(), "{server:?}");
    }

    // The access check for a restricted token is made twice, the second time by its restricting SIDs alone, and both have to
    // pass: https://learn.microsoft.com/windows/win32/secauthz/restricted-tokens. FILE_CREATE_PIPE_INSTANCE is what an
    // instance beside the first is checked for: .../ipc/named-pipe-security-and-access-rights.
    #[test]
    #[ignore = "real Windows only: Wine checks no access"]
    fn real_windows_a_server_with_a_restricted_token_adds_instances_by_its_own_entry() {
        let instance = |sddl: &str| os::Instance {
            path: os::nt_path(std::path::Path::new(&os::random_path())),
            mode: crate::kinds::PipeMode::Byte,
            directions: crate::kinds::Directions::BOTH,
            accept_remote: false,
            input_buffer_size: 4096,
            output_buffer_size: 4096,
            security: SecurityDescriptor::parse(sddl).unwrap(),
        };
        let token = os::confine();
        let server = Server::of(&token).unwrap();
        assert_eq!(server.confined_by.len(), 1, "{server:?}");
        let ourselves = os::AsOurselves::begin().unwrap();
        let unaware = Server {
            user: server.user.clone(),
            administrator: server.administrator,
            confined_by: Vec::new(),
        };
        for (server, passes) in [(&server, true), (&unaware, false)] {
            for sddl in [server.owner_only(), server.user_only()] {
                let instance = instance(&sddl);
                let _first = instance.create(&ourselves, true).unwrap();
                let second = os::acting_as(&token, || instance.create(&ourselves, false).map(drop));
                match second {
                    Ok(()) => assert!(passes, "{sddl}"),
                    Err(error) => {
                        assert!(!passes, "{sddl}: {error}");
                        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                    }
                }
            }
        }
    }
}
