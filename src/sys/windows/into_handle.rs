//! Why a stream stays what it is. No system is asked here, so that the documentation shows it on all of them.

use std::fmt;
use std::io;

use crate::stream::PipeStream;

/// Why a stream did not become a handle. It contains the stream. Windows only.
///
/// # Examples
///
/// ```no_run
/// use std::os::windows::io::OwnedHandle;
/// use npipe::PipeStream;
///
/// let stream = PipeStream::connect("mypipe")?;
/// match OwnedHandle::try_from(stream) {
///     Ok(handle) => println!("{handle:?} is mine"),
///     Err(error) => {
///         eprintln!("{error}");
///         let stream = error.into_stream();
///         // Read what there is, and try again.
/// #       drop(stream);
///     }
/// }
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct IntoHandleError {
    pub(super) stream: PipeStream,
    pub(super) error: io::Error,
}

impl IntoHandleError {
    /// The stream as it was.
    pub fn into_stream(self) -> PipeStream {
        self.stream
    }

    /// What stands in the way.
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for IntoHandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for IntoHandleError {}

impl From<IntoHandleError> for io::Error {
    fn from(error: IntoHandleError) -> io::Error {
        error.error
    }
}
