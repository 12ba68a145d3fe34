//! What the system knows of an open pipe, and of all existing ones.

use std::fmt;

use crate::kinds::PipeMode;
use crate::name::PipeName;

/// What a pipe is like, as far as the system tells. From [`PipeStream::info`](crate::PipeStream::info) and
/// [`PipeListener::info`](crate::PipeListener::info).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipeInfo {
    pub(crate) mode: PipeMode,
    pub(crate) instances: Option<u32>,
    pub(crate) max_instances: Option<u32>,
    pub(crate) input_buffer_size: Option<u32>,
    pub(crate) output_buffer_size: Option<u32>,
}

impl PipeInfo {
    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.mode
    }

    /// Windows: how many instances of the pipe there are, those that wait for a client included.
    pub fn instances(&self) -> Option<u32> {
        self.instances
    }

    /// How many streams of the listener, or instances of the pipe, there may be; None where there is no limit, or none is
    /// known.
    ///
    /// Of a listener: what [`ListenOptions::max_instances`](crate::ListenOptions::max_instances) asked for, which the
    /// system is not told. Of a stream, Windows: the system's number, which other servers set.
    pub fn max_instances(&self) -> Option<u32> {
        self.max_instances
    }

    /// How many bytes the client can write ahead of the server's reads; None where the system does not tell.
    pub fn input_buffer_size(&self) -> Option<u32> {
        self.input_buffer_size
    }

    /// How many bytes the server can write ahead of the client's reads; None where the system does not tell.
    pub fn output_buffer_size(&self) -> Option<u32> {
        self.output_buffer_size
    }
}

/// Whether anybody serves a pipe. From [`state`](crate::state) and [`PipeEntry::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum PipeState {
    /// A server has it.
    Live,
    /// Unix: a socket file whose server is gone.
    Stale,
    /// Unix: this user may not find out.
    Unknown,
}

impl fmt::Display for PipeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PipeState::Live => "live",
            PipeState::Stale => "stale",
            PipeState::Unknown => "unknown",
        })
    }
}

/// A pipe that was found by [`list`](crate::list).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipeEntry {
    pub(crate) name: String,
    pub(crate) address: PipeName,
    pub(crate) state: PipeState,
    pub(crate) instances: Option<u32>,
    pub(crate) max_instances: Option<u32>,
}

impl PipeEntry {
    /// The name that [`PipeStream::connect`](crate::PipeStream::connect) takes: `mypipe`.
    ///
    /// What is not Unicode in it shows as U+FFFD, and such a name leads nowhere: [`path`](PipeEntry::path) and
    /// [`address`](PipeEntry::address) are exact.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The full address.
    pub fn address(&self) -> &PipeName {
        &self.address
    }

    /// The path that is passed to the system.
    pub fn path(&self) -> &std::path::Path {
        self.address.os_path()
    }

    /// Whether anybody serves it.
    pub fn state(&self) -> PipeState {
        self.state
    }

    /// Windows: how many instances there are.
    pub fn instances(&self) -> Option<u32> {
        self.instances
    }

    /// Windows: how many there may be; None for no limit.
    pub fn max_instances(&self) -> Option<u32> {
        self.max_instances
    }
}
