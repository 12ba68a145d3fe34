//! The one form of this crate's errors: a kind, a sentence that names the operation and the pipe, the OS error as source.

use std::error::Error;
use std::fmt;
use std::io;

use crate::PipeName;

/// What stands inside every `io::Error` that this crate makes.
#[derive(Debug)]
struct PipeError {
    operation: &'static str,
    pipe: String,
    why: String,
    source: Option<io::Error>,
}

impl fmt::Display for PipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.operation, self.pipe, self.why)
    }
}

impl Error for PipeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|e| e as &(dyn Error + 'static))
    }
}

/// An error of our own making: the sentence is all there is to know.
pub(crate) fn because(
    kind: io::ErrorKind,
    operation: &'static str,
    pipe: impl fmt::Display,
    why: impl Into<String>,
) -> io::Error {
    make(kind, operation, pipe, why, None)
}

/// An error of the system, explained: `kind` and `why` are ours, `source` keeps the system's own.
pub(crate) fn explained(
    kind: io::ErrorKind,
    operation: &'static str,
    pipe: &PipeName,
    why: impl Into<String>,
    source: io::Error,
) -> io::Error {
    make(kind, operation, pipe, why, Some(source))
}

fn make(
    kind: io::ErrorKind,
    operation: &'static str,
    pipe: impl fmt::Display,
    why: impl Into<String>,
    source: Option<io::Error>,
) -> io::Error {
    io::Error::new(
        kind,
        PipeError {
            operation,
            pipe: pipe.to_string(),
            why: why.into(),
            source,
        },
    )
}

/// An error of the system that needs no other words than the system's. One that already names its pipe stays as it is.
pub(crate) fn from_os(operation: &'static str, pipe: &PipeName, source: io::Error) -> io::Error {
    if source.get_ref().is_some_and(|e| e.is::<PipeError>()) {
        return source;
    }
    explained(source.kind(), operation, pipe, source.to_string(), source)
}

/// The error of a deadline that has passed.
pub(crate) fn timed_out(operation: &'static str, pipe: &PipeName) -> io::Error {
    because(
        io::ErrorKind::TimedOut,
        operation,
        pipe,
        "the deadline passed before it was done",
    )
}

/// The error of what this platform does not have.
pub(crate) fn unsupported(
    operation: &'static str,
    pipe: &PipeName,
    why: impl Into<String>,
) -> io::Error {
    because(io::ErrorKind::Unsupported, operation, pipe, why)
}
