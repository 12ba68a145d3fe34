//! What can be seen of a pipe without opening it: an open would take an instance away from a client.

mod facts;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::ffi::OsStr;
use std::io::ErrorKind;

use npipe::{PeerIdentity, PipeMode, PipeName, PipeState};

pub use facts::{Look, Place, Process};
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
        Err(error) if error.kind() == ErrorKind::NotFound => Place::Absent,
        Ok(PipeState::Unknown) | Err(_) => Place::Unknown,
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
pub fn identity(identity: &PeerIdentity) -> String {
    #[cfg(unix)]
    if let Some(id) = identity.uid() {
        return unix::user(id).to_string();
    }
    identity.to_string()
}

pub fn mode_word(mode: PipeMode) -> &'static str {
    match mode {
        PipeMode::Byte => "byte",
        PipeMode::Message => "message",
    }
}
