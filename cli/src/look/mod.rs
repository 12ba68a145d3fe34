//! What can be seen of a pipe without opening it: an open would take an instance away from a client.

mod changes;
mod facts;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use npipe::{PeerIdentity, PipeError, PipeMode, PipeName, PipeState, Reason};

pub use changes::Changes;
pub use facts::{Account, Look, Place, Process, Server, User};
#[cfg(unix)]
use unix as system;
#[cfg(unix)]
pub use unix::{Barrier, barrier, elsewhere, me};
#[cfg(windows)]
use windows as system;

/// What can be seen of `name`, whose address is `address`.
pub fn at(name: &OsStr, address: &PipeName) -> Look {
    let mut look = Look::of(match npipe::state(name) {
        Ok(PipeState::Live) => Place::Live,
        Ok(PipeState::Stale) => Place::Stale,
        Err(error) => match PipeError::of(&error).map(PipeError::reason) {
            Some(Reason::NoSuchPipe) => Place::Absent,
            Some(Reason::NotASocket) => Place::NotASocket,
            _ if error.kind() == ErrorKind::NotFound => Place::Absent,
            _ => Place::Unknown,
        },
        Ok(PipeState::Unknown) => Place::Unknown,
    });
    system::look_closer(address, &mut look);
    look
}

/// The process of this number.
pub fn process(id: u32) -> Process {
    Process {
        id,
        program: system::program(id),
    }
}

/// Who is at the other end, as well as it can be said.
pub fn account(identity: &PeerIdentity) -> Option<Account> {
    #[cfg(unix)]
    if let Some(id) = identity.uid() {
        return Some(Account::User(unix::user(id)));
    }
    Some(Account::Sid {
        sid: identity.sid()?.to_owned(),
        name: identity.account(),
    })
}

/// Who serves each of these sockets, without connecting to any: on Linux, and of the processes that this user may look
/// at. Elsewhere only a connection tells.
#[cfg_attr(windows, allow(unused_variables))]
pub fn servers(paths: &[&Path]) -> HashMap<PathBuf, Server> {
    #[cfg(unix)]
    return unix::servers(paths);
    #[cfg(windows)]
    HashMap::new()
}

/// Who owns a pipe's file, on Unix.
#[cfg_attr(windows, allow(unused_variables))]
pub fn owner(path: &Path) -> Option<User> {
    #[cfg(unix)]
    return unix::owner(path);
    #[cfg(windows)]
    None
}

pub fn mode_word(mode: PipeMode) -> &'static str {
    match mode {
        PipeMode::Byte => "byte",
        PipeMode::Message => "message",
    }
}

/// Who we are, on Unix.
pub fn current_user() -> Option<User> {
    #[cfg(unix)]
    return Some(unix::me());
    #[cfg(windows)]
    None
}
