//! How a client connects: attempts, what they mean, and the waits in between.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attempt::{Attempt, Connected};
use crate::error::{self, Fault, Reason};
use crate::kinds::Role;
use crate::name::PipeName;
use crate::options::ConnectOptions;
use crate::stream::{Kind, PipeStream};
use crate::sys::{Connector, Stream};

pub(crate) const OPERATION: &str = "connect";

impl PipeStream {
    /// Connects to the pipe `name`, in any of the spellings of [`PipeName`], with the defaults of [`ConnectOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`ConnectOptions::connect`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::ErrorKind;
    /// use npipe::PipeStream;
    ///
    /// match PipeStream::connect("mypipe") {
    ///     Ok(stream) => println!("connected to {}", stream.peer_addr()),
    ///     Err(e) if e.kind() == ErrorKind::NotFound => println!("start the server first ({e})"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect(name: impl AsRef<OsStr>) -> io::Result<PipeStream> {
        ConnectOptions::new().connect(name)
    }
}

impl ConnectOptions {
    /// Connects to the pipe `name`.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`, `Unsupported`: a wrong name (see [`PipeName::new`]) or option.
    /// * `NotFound`: no such pipe, and `wait_for_server` was not asked for.
    /// * `TimedOut`: the server stayed busy, or none came, until the timeout.
    /// * `PermissionDenied`: the pipe's security does not let this user in, or its server is not the expected one.
    /// * `ConnectionAborted`: cancelled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use npipe::{ConnectOptions, PipeError, Reason};
    ///
    /// let connected = ConnectOptions::new()
    ///     .timeout(Duration::from_secs(5))
    ///     .wait_for_server(true)
    ///     .connect("mypipe");
    /// match connected {
    ///     Ok(stream) => println!("connected to {}", stream.peer_addr()),
    ///     Err(error) => match PipeError::of(&error).map(PipeError::reason) {
    ///         Some(Reason::NoServerCame) => println!("no server within 5 s"),
    ///         Some(Reason::Busy) => println!("it serves others, and did so for 5 s"),
    ///         Some(Reason::NotAllowed) => println!("it is there, and not for this user"),
    ///         _ => return Err(error),
    ///     },
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect(&self, name: impl AsRef<OsStr>) -> io::Result<PipeStream> {
        let name = PipeName::new(name)?;
        self.check().map_err(|fault| fault.of(OPERATION, &name))?;
        let connected = connect(&name, self)?;
        let kind = kind_of(&connected, self);
        Ok(PipeStream::new(connected.stream, kind, Arc::new(name)))
    }
}

/// What a client's stream is.
pub(crate) fn kind_of(connected: &Connected<Stream>, options: &ConnectOptions) -> Kind {
    Kind {
        role: Role::Client,
        mode: connected.stream.mode(),
        directions: connected.directions,
        max_message_size: options.max_message_size,
    }
}

/// What the time that was given is called in an error.
pub(crate) fn within(timeout: Option<Duration>) -> String {
    match timeout.unwrap_or_default() {
        // Debug has the unit that fits, but for nothing at all.
        Duration::ZERO => "0s".to_owned(),
        time => format!("{time:?}"),
    }
}

/// What an attempt means for a client whose time is up or not: its stream, an error, or (None) that it waits on.
pub(crate) fn judge(
    attempt: Attempt<Stream>,
    name: &PipeName,
    options: &ConnectOptions,
    expired: bool,
) -> Option<io::Result<Connected<Stream>>> {
    let fault = match attempt {
        Attempt::Connected(connected) => return Some(Ok(connected)),
        Attempt::Busy(source) if expired => {
            let why = format!(
                "the server is there, but every instance of its pipe stayed busy for {}",
                within(options.timeout)
            );
            Fault::new(Reason::Busy, why).source(source)
        }
        Attempt::Absent { reason, why, error } if !options.wait_for_server => {
            let why = format!(
                "{why}; start the server first, or wait for it (ConnectOptions::wait_for_server)"
            );
            Fault::new(reason, why).source(error)
        }
        Attempt::Absent { error: source, .. } if expired => {
            let why = format!("no server came within {}", within(options.timeout));
            Fault::new(Reason::NoServerCame, why).source(source)
        }
        Attempt::Failed(source)
            if source.kind() == ErrorKind::PermissionDenied && source.raw_os_error().is_some() =>
        {
            let why = "the pipe is there, and its security does not let this user in \
                       (or it goes one way alone, and not this one)";
            Fault::new(Reason::NotAllowed, why).source(source)
        }
        Attempt::Failed(source) => return Some(Err(error::named(OPERATION, name, source))),
        Attempt::Busy(_) | Attempt::Absent { .. } => return None,
    };
    Some(Err(fault.of(OPERATION, name)))
}

/// The error of a wait that a token has ended.
pub(crate) fn cancelled(name: &PipeName) -> io::Error {
    Fault::new(Reason::Cancelled, "cancelled before a connection was made").of(OPERATION, name)
}

/// Connects, waiting as `options` say.
fn connect(name: &PipeName, options: &ConnectOptions) -> io::Result<Connected<Stream>> {
    let fail = |e| error::named(OPERATION, name, e);
    // A timeout that lies beyond what the clock can hold is none.
    let until = options
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let cancel = options.cancel.as_ref();
    let mut connector = Connector::new(name, options).map_err(fail)?;
    loop {
        if cancel.is_some_and(|token| token.is_cancelled()) {
            return Err(cancelled(name));
        }
        let attempt = connector.attempt();
        let busy = matches!(attempt, Attempt::Busy(_));
        let expired = until.is_some_and(|until| Instant::now() >= until);
        if let Some(judged) = judge(attempt, name, options, expired) {
            return judged;
        }
        let event = cancel
            .map(|token| token.event())
            .transpose()
            .map_err(fail)?;
        let waited = if busy {
            connector.wait_free(until, event)
        } else {
            connector.wait_server(until, event)
        };
        waited.map_err(fail)?;
    }
}
