//! The one form of this crate's errors: a kind, a sentence that names the operation and the pipe, the OS error as source.
//!
//! What fails far from the name of its pipe makes a [`Fault`]; whoever knows the name gives it its place
//! ([`Fault::of`], [`named`]).

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

/// Why a call failed, for programs to decide by. From [`PipeError::reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nobody serves this name.
    NoSuchPipe,
    /// The server is there, and every instance of its pipe stayed busy until the timeout.
    Busy,
    /// The call waited for a server, and none came until the timeout.
    NoServerCame,
    /// Another server has the name.
    NameTaken,
    /// Unix: what is at the path is not a pipe's socket.
    NotASocket,
    /// Unix: a socket is at the path, and its server is gone.
    StaleSocket,
    /// Unix: the directory of the path does not exist, or is not a directory.
    NoDirectory,
    /// The system does not let this user do it.
    NotAllowed,
    /// The server is not the expected one.
    UnexpectedServer,
    /// A [`CancelToken`](crate::CancelToken) ended the wait.
    Cancelled,
    /// A deadline or timeout passed.
    DeadlinePassed,
    /// The call would have to wait, and the pipe is non-blocking.
    WouldBlock,
    /// An earlier write timed out, and nobody knows how much of it went out.
    WriteLost,
    /// The listener is closed.
    Closed,
    /// This side has closed its writing half.
    HalfClosed,
    /// The other side has closed the pipe.
    PeerClosed,
    /// The name is not valid, or has no meaning on this system.
    WrongName,
    /// An option or argument is out of range.
    WrongOption,
    /// The call is for a message pipe, and this is a byte pipe.
    WrongMode,
    /// The call is for the other end of the pipe.
    WrongRole,
    /// The call goes against the direction that this end was opened for.
    WrongDirection,
    /// A message is longer than the limit.
    TooLong,
    /// The peer sent what this library never sends.
    Malformed,
    /// Unix: another user could replace the socket in its directory.
    OpenDirectory,
    /// A handle that is not an overlapped, blocking end of a pipe, or a state that cannot be carried over.
    WrongHandle,
    /// A call that needs a runtime was made outside one.
    NoRuntime,
    /// This system lacks the feature.
    NotHere,
    /// The system's own error: see [`source`](std::error::Error::source) and [`PipeError::os_error`].
    System,
}

impl Reason {
    /// The kind of an error for this reason, where nothing else is said.
    fn kind(self) -> ErrorKind {
        match self {
            Reason::NoSuchPipe | Reason::NotASocket | Reason::StaleSocket | Reason::NoDirectory => {
                ErrorKind::NotFound
            }
            Reason::Busy | Reason::NoServerCame | Reason::DeadlinePassed | Reason::WriteLost => {
                ErrorKind::TimedOut
            }
            Reason::NameTaken => ErrorKind::AddrInUse,
            Reason::NotAllowed
            | Reason::UnexpectedServer
            | Reason::WrongDirection
            | Reason::OpenDirectory => ErrorKind::PermissionDenied,
            Reason::Cancelled | Reason::Closed => ErrorKind::ConnectionAborted,
            Reason::WouldBlock => ErrorKind::WouldBlock,
            Reason::HalfClosed | Reason::PeerClosed => ErrorKind::BrokenPipe,
            Reason::WrongName
            | Reason::WrongOption
            | Reason::WrongRole
            | Reason::TooLong
            | Reason::WrongHandle => ErrorKind::InvalidInput,
            Reason::Malformed => ErrorKind::InvalidData,
            Reason::WrongMode | Reason::NotHere => ErrorKind::Unsupported,
            Reason::System | Reason::NoRuntime => ErrorKind::Other,
        }
    }
}

/// What is inside every [`io::Error`] that this crate makes.
///
/// Its `Display` and its `Debug` are the sentence: what failed, on which pipe, why, and what to do.
///
/// # Examples
///
/// ```
/// use npipe::{PipeError, PipeStream, Reason};
///
/// let error = PipeStream::connect("a pipe that nobody serves").unwrap_err();
/// let inside = PipeError::of(&error).unwrap();
/// assert_eq!(inside.reason(), Reason::NoSuchPipe);
/// assert_eq!(inside.operation(), "connect");
/// ```
pub struct PipeError {
    operation: &'static str,
    pipe: String,
    reason: Reason,
    why: String,
    source: Option<io::Error>,
}

impl PipeError {
    /// What is inside an error of this crate; None for any other.
    pub fn of(error: &io::Error) -> Option<&PipeError> {
        error.get_ref()?.downcast_ref()
    }

    /// Why it failed.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What failed: `connect`, `bind`, `read from`.
    pub fn operation(&self) -> &str {
        self.operation
    }

    /// The address of the pipe, or the name as it was given where it is not valid.
    pub fn pipe(&self) -> &str {
        &self.pipe
    }

    /// The system's number for it (`errno`, `GetLastError`), where the system refused something.
    pub fn os_error(&self) -> Option<i32> {
        self.source.as_ref()?.raw_os_error()
    }
}

impl fmt::Display for PipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operation.is_empty() {
            return f.write_str(&self.why);
        }
        write!(f, "{} {}: {}", self.operation, self.pipe, self.why)
    }
}

/// The sentence: it is what a `main` that returns the error prints.
impl fmt::Debug for PipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for PipeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|e| e as &(dyn Error + 'static))
    }
}

/// A failure on its way to becoming an error: it may not know its pipe yet.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: ErrorKind,
    reason: Reason,
    why: String,
    source: Option<io::Error>,
}

impl Fault {
    /// With the kind that goes with the reason.
    pub(crate) fn new(reason: Reason, why: impl Into<String>) -> Fault {
        Fault {
            kind: reason.kind(),
            reason,
            why: why.into(),
            source: None,
        }
    }

    /// With another kind than the reason's.
    pub(crate) fn kind(self, kind: ErrorKind) -> Fault {
        Fault { kind, ..self }
    }

    /// With the system's error behind it.
    pub(crate) fn source(self, source: impl Into<io::Error>) -> Fault {
        let source = source.into();
        // The sentence of another error of ours is in `why` already: only the system's own is a source.
        let source = match source.raw_os_error() {
            Some(_) => Some(source),
            None => source
                .into_inner()
                .and_then(|inner| inner.downcast::<PipeError>().ok()?.source),
        };
        Fault { source, ..self }
    }

    /// The error, of `operation` on `pipe`.
    pub(crate) fn of(self, operation: &'static str, pipe: impl fmt::Display) -> io::Error {
        io::Error::new(
            self.kind,
            PipeError {
                operation,
                pipe: pipe.to_string(),
                reason: self.reason,
                why: self.why,
                source: self.source,
            },
        )
    }
}

/// A fault that goes up to where its pipe is known.
impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        fault.of("", "")
    }
}

/// Gives an error its operation and pipe. One that has them stays as it is; the system's own is its own explanation.
pub(crate) fn named(
    operation: &'static str,
    pipe: impl fmt::Display,
    error: io::Error,
) -> io::Error {
    match PipeError::of(&error) {
        Some(known) if !known.operation.is_empty() => return error,
        Some(_) => {}
        None => {
            let why = error.to_string();
            let reason = match error.kind() {
                ErrorKind::PermissionDenied => Reason::NotAllowed,
                _ => Reason::System,
            };
            let kind = error.kind();
            return Fault::new(reason, why)
                .kind(kind)
                .source(error)
                .of(operation, pipe);
        }
    }
    let kind = error.kind();
    match error
        .into_inner()
        .map(|inner| inner.downcast::<PipeError>())
    {
        Some(Ok(fault)) => io::Error::new(
            kind,
            PipeError {
                operation,
                pipe: pipe.to_string(),
                ..*fault
            },
        ),
        _ => kind.into(), // it was looked at above
    }
}
