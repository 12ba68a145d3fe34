//! How a client comes to its stream: attempts, what they tell, and what is waited for in between.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::stream::Directions;
use crate::sys::{Connector, Stream};
use crate::{ConnectOptions, PipeMode, PipeName, error};

const OPERATION: &str = "connect";

/// What came of one attempt to connect.
#[derive(Debug)]
pub(crate) enum Attempt {
    Connected(Connected),
    /// There is a server, and it has no room at the moment.
    Busy(io::Error),
    /// There is no server.
    Absent {
        why: &'static str,
        error: io::Error,
    },
    /// Waiting would not help.
    Failed(io::Error),
}

/// A client's end, and what kind of pipe it found.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) mode: PipeMode,
    pub(crate) directions: Directions,
}

/// Connects, waiting as `options` say.
pub(crate) fn connect(name: &PipeName, options: &ConnectOptions) -> io::Result<Connected> {
    let fail = |e| error::from_os(OPERATION, name, e);
    // A timeout that lies beyond what the clock can hold is none.
    let until = options
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let within = || match options.timeout.unwrap_or_default() {
        // Debug has the unit that fits, but for nothing at all.
        Duration::ZERO => "0s".to_owned(),
        time => format!("{time:?}"),
    };
    let cancel = options.cancel.as_ref();
    let mut connector = Connector::new(name, options).map_err(fail)?;
    loop {
        if cancel.is_some_and(|token| token.is_cancelled()) {
            return Err(error::because(
                ErrorKind::ConnectionAborted,
                OPERATION,
                name,
                "cancelled before a connection was made",
            ));
        }
        let attempt = connector.attempt(until, cancel.is_some());
        let expired = || until.is_some_and(|until| Instant::now() >= until);
        let waited = match attempt {
            Attempt::Connected(connected) => return Ok(connected),
            Attempt::Busy(source) if expired() => {
                return Err(error::explained(
                    ErrorKind::TimedOut,
                    OPERATION,
                    name,
                    format!(
                        "the server is there, but every instance of its pipe stayed busy for {}",
                        within()
                    ),
                    source,
                ));
            }
            Attempt::Absent { why, error: source } if !options.wait_for_server => {
                return Err(error::explained(
                    ErrorKind::NotFound,
                    OPERATION,
                    name,
                    format!(
                        "{why}; start the server first, or wait for it (ConnectOptions::wait_for_server)"
                    ),
                    source,
                ));
            }
            Attempt::Absent { error: source, .. } if expired() => {
                return Err(error::explained(
                    ErrorKind::TimedOut,
                    OPERATION,
                    name,
                    format!("no server came within {}", within()),
                    source,
                ));
            }
            Attempt::Failed(source)
                if source.kind() == ErrorKind::PermissionDenied
                    && source.raw_os_error().is_some() =>
            {
                return Err(error::explained(
                    ErrorKind::PermissionDenied,
                    OPERATION,
                    name,
                    "the pipe is there, and its security does not let this user in (or it goes one way alone, and not this one)",
                    source,
                ));
            }
            Attempt::Failed(source) => return Err(fail(source)),
            Attempt::Busy(_) => {
                let event = cancel
                    .map(|token| token.event())
                    .transpose()
                    .map_err(fail)?;
                connector.wait_free(until, event)
            }
            Attempt::Absent { .. } => {
                let event = cancel
                    .map(|token| token.event())
                    .transpose()
                    .map_err(fail)?;
                connector.wait_server(until, event)
            }
        };
        waited.map_err(fail)?;
    }
}
