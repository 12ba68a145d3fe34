//! What one attempt to connect comes to: what the systems tell, and what `connect` decides by.

use std::io;
use std::time::Duration;

use crate::error::Reason;
use crate::kinds::Directions;

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

/// A client's end, and which ways it goes.
#[derive(Debug)]
pub(crate) struct Connected<S> {
    pub(crate) stream: S,
    pub(crate) directions: Directions,
}

/// How long a client waits before its next attempt, where nothing signals a change: 1 ms, and longer each time, up to 50.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff(Duration::from_millis(1))
    }

    pub(crate) fn time(&self) -> Duration {
        self.0
    }

    /// It has gone by, and nothing has come.
    pub(crate) fn grow(&mut self) {
        self.0 = (self.0 * 2).min(Duration::from_millis(50));
    }
}
