//! What one attempt to connect comes to: what the systems tell, and what `connect` decides by.

use std::io;

use crate::error::Reason;
use crate::kinds::{Directions, PipeMode};

/// What came of one attempt to connect. `S` is the system's stream.
#[derive(Debug)]
pub(crate) enum Attempt<S> {
    Connected(Connected<S>),
    /// There is a server, and it has no room at the moment.
    Busy(io::Error),
    /// There is no server.
    Absent {
        reason: Reason,
        why: &'static str,
        error: io::Error,
    },
    /// Waiting would not help.
    Failed(io::Error),
}

/// A client's end, and what kind of pipe it found.
#[derive(Debug)]
pub(crate) struct Connected<S> {
    pub(crate) stream: S,
    pub(crate) mode: PipeMode,
    pub(crate) directions: Directions,
}
