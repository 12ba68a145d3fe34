//! What can be seen of a pipe without opening it: an open would take an instance away from a client.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;

use npipe::{PeerIdentity, PipeMode, PipeName, PipeState};

#[cfg(unix)]
pub use unix::{Barrier, barrier, elsewhere, me};

/// What is at a pipe's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Absent,
    Live,
    /// Unix: a socket whose server is gone.
    Stale,
    /// Something is there, and more than that cannot be seen.
    Unknown,
    /// Unix: something that is no socket.
    #[cfg_attr(windows, allow(dead_code))]
    NotASocket,
}

#[derive(Clone, Debug)]
pub struct Look {
    pub place: Place,
    pub owner: Option<User>,
    /// Unix: the permission bits.
    pub permissions: Option<u32>,
    pub mode: Option<PipeMode>,
    pub instances: Option<u32>,
    pub max_instances: Option<u32>,
    pub server: Option<Process>,
}

impl Look {
    fn of(place: Place) -> Look {
        Look {
            place,
            owner: None,
            permissions: None,
            mode: None,
            instances: None,
            max_instances: None,
            server: None,
        }
    }

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
}

/// Somebody's account, on Unix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: u32,
    pub name: Option<String>,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.id),
            None => write!(f, "user {}", self.id),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub id: u32,
    /// Its program, where one may know it.
    pub program: Option<String>,
}

impl Process {
    pub fn of(id: u32) -> Process {
        Process {
            id,
            program: system::program(id),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => write!(f, "process {}, {program}", self.id),
            None => write!(f, "process {}", self.id),
        }
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

/// A name as it can be shown: whoever made it may have put a terminal's commands into it.
pub fn plain(name: &str) -> String {
    name.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_a_terminal_no_commands() {
        assert_eq!(plain("my pipe ü"), "my pipe ü");
        assert_eq!(plain("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
    }
}
