//! What a pipe and its ends can be: the small types that every other module needs.

use std::fmt;

/// Whether a pipe keeps the boundaries of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum PipeMode {
    /// A stream of bytes.
    Byte,
    /// Messages.
    Message,
}

impl fmt::Display for PipeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PipeMode::Byte => "byte",
            PipeMode::Message => "message",
        })
    }
}

/// Which end of the pipe a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Role {
    /// Made by [`PipeListener::accept`](crate::PipeListener::accept).
    Server,
    /// Made by [`PipeStream::connect`](crate::PipeStream::connect).
    Client,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Server => "server",
            Role::Client => "client",
        })
    }
}

/// What one read of a message brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// How many bytes of the buffer were filled.
    pub len: usize,
    /// Whether the message ends here.
    pub complete: bool,
}

/// What waits in a pipe, from [`PipeStream::peek`](crate::PipeStream::peek).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peek {
    /// How many bytes can be read without waiting. Linux, message pipe: those of the next message alone, and of a
    /// message of several packets those of its next packet.
    pub available: usize,
    /// How many bytes are left in the next message, or in the one that is half read. 0 on a byte pipe.
    pub message: usize,
    /// The peer's close, or its half close, is next: a read now is the end.
    pub ended: bool,
}

/// Which ways an end of a pipe was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directions {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Directions {
    pub(crate) const BOTH: Directions = Directions {
        read: true,
        write: true,
    };
}
