//! What there is to know of a pipe, its owner and its server.

use std::fmt;

use npipe::PipeMode;
use serde::Serialize;

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
    pub fn of(place: Place) -> Look {
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
}

/// Somebody's account, on Unix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    #[serde(rename = "uid")]
    pub id: u32,
    pub name: Option<String>,
}

/// Anybody's account. In JSON `{"uid": …, "name": …}`, on Windows `{"sid": …, "name": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Account {
    #[cfg_attr(windows, allow(dead_code))]
    User(User),
    Sid {
        sid: String,
        name: Option<String>,
    },
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::User(user) => user.fmt(f),
            Account::Sid {
                sid,
                name: Some(name),
            } => write!(f, "{name} ({sid})"),
            Account::Sid { sid, name: None } => f.write_str(sid),
        }
    }
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

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => write!(f, "process {}, {program}", self.id),
            None => write!(f, "process {}", self.id),
        }
    }
}

/// Who serves a pipe, and who that belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub process: Process,
    pub user: Option<User>,
}
