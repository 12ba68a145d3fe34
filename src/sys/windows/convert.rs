//! A stream as the system's handle, and back.

use std::io;
use std::os::windows::io::{
    AsHandle, AsRawHandle, BorrowedHandle, IntoRawHandle, OwnedHandle, RawHandle,
};

use windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED;

use super::aside::HalfClose;
use super::into_handle::IntoHandleError;
use super::os::{self, Manners};
use super::stream::Stream;
use crate::error::{self, Fault, Reason};
use crate::kinds::PipeMode;
use crate::stream::PipeStream;

impl AsHandle for PipeStream {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.io().handle().as_handle()
    }
}

impl AsRawHandle for PipeStream {
    fn as_raw_handle(&self) -> RawHandle {
        self.io().handle().as_raw_handle()
    }
}

/// Takes one end of a pipe that was opened with `FILE_FLAG_OVERLAPPED`.
///
/// # Errors
///
/// `InvalidInput` for a handle that is not a pipe's; for a synchronous one, on which no deadline could end a call and a
/// waiting read holds up all writes; and for one in `PIPE_NOWAIT` mode, on which calls never wait. The system's error where
/// the handle cannot be examined.
///
/// # Examples
///
/// ```no_run
/// use std::fs::OpenOptions;
/// use std::os::windows::fs::OpenOptionsExt;
/// use std::os::windows::io::OwnedHandle;
/// use npipe::{PipeError, PipeStream, Reason};
///
/// const FILE_FLAG_OVERLAPPED: u32 = 0x4000_0000;
/// let file = OpenOptions::new()
///     .read(true)
///     .write(true)
///     .custom_flags(FILE_FLAG_OVERLAPPED)
///     .open(r"\\.\pipe\mypipe")?;
/// match PipeStream::try_from(OwnedHandle::from(file)) {
///     Ok(stream) => println!("{}", stream.peer_addr()),
///     Err(error) => match PipeError::of(&error).map(PipeError::reason) {
///         Some(Reason::WrongHandle) => println!("not overlapped, or no pipe: {error}"),
///         _ => return Err(error),
///     },
/// }
/// # std::io::Result::Ok(())
/// ```
impl TryFrom<OwnedHandle> for PipeStream {
    type Error = io::Error;

    fn try_from(handle: OwnedHandle) -> io::Result<PipeStream> {
        const OPERATION: &str = "make a stream of";
        let path = os::path_of(&handle).unwrap_or_default();
        let wrong = |why: &str| Fault::new(Reason::WrongHandle, why).of(OPERATION, path.display());
        let local = os::local(&handle).map_err(|error| match os::code(&error) {
            ERROR_ACCESS_DENIED => error::named(OPERATION, path.display(), error),
            _ => {
                let why = "the handle is no end of a named pipe";
                Fault::new(Reason::WrongHandle, why)
                    .source(error)
                    .of(OPERATION, path.display())
            }
        })?;
        let manners =
            os::manners(&handle).map_err(|error| error::named(OPERATION, path.display(), error))?;
        match manners {
            Manners::Overlapped => {}
            Manners::Synchronous => {
                return Err(wrong(
                    "the handle is a synchronous one: open it with FILE_FLAG_OVERLAPPED",
                ));
            }
            Manners::NoWait => {
                return Err(wrong(
                    "the handle is in PIPE_NOWAIT mode: set PIPE_WAIT (SetNamedPipeHandleState)",
                ));
            }
        }
        if local.mode == PipeMode::Message {
            // A client's end reads bytes until it is told otherwise. One that may not be told is read as it is.
            let _ = os::set_message_read_mode(&handle);
        }
        Ok(PipeStream::adopt(Stream::adopted(handle, &local)))
    }
}

/// The overlapped handle, without this crate's deadlines. If the stream has clones, it is a duplicate.
///
/// A server's handle leaves its listener's completion port (Windows 8.1 and later; before, it stays bound to that port).
///
/// # Errors
///
/// Gives the stream back where something would be lost. On a pipe with buffers of 0 a write that had to wait may have read
/// ahead, and the stream's next reads return that; and a half close ([`close_write`](PipeStream::close_write)) may be under
/// way, which goes out once the peer has read what is ahead of it.
///
/// # Examples
///
/// ```no_run
/// use std::os::windows::io::OwnedHandle;
/// use npipe::PipeStream;
///
/// let stream = PipeStream::connect("mypipe")?;
/// match OwnedHandle::try_from(stream) {
///     Ok(handle) => println!("{handle:?}"),
///     Err(refused) => {
///         println!("{refused}");
///         let stream = refused.into_stream(); // read what there is, and try again
///     }
/// }
/// # std::io::Result::Ok(())
/// ```
impl TryFrom<PipeStream> for OwnedHandle {
    type Error = IntoHandleError;

    fn try_from(stream: PipeStream) -> Result<OwnedHandle, IntoHandleError> {
        const OPERATION: &str = "take the handle of";
        let why = if stream.io().has_read_ahead() {
            "the stream has read ahead while a write waited: read what there is first"
        } else if stream.half_close().is_some_and(HalfClose::is_under_way) {
            "a half close is under way: it goes out once the peer has read everything"
        } else {
            return hand_over(stream).map_err(|(stream, error)| IntoHandleError {
                error: error::named(OPERATION, stream.local_addr(), error),
                stream,
            });
        };
        let error = Fault::new(Reason::WrongHandle, why).of(OPERATION, stream.local_addr());
        Err(IntoHandleError { stream, error })
    }
}

/// As `OwnedHandle::try_from`, but drops what would be lost. Null where the system has no handles left.
impl IntoRawHandle for PipeStream {
    fn into_raw_handle(self) -> RawHandle {
        hand_over(self).map_or(std::ptr::null_mut(), OwnedHandle::into_raw_handle)
    }
}

fn hand_over(stream: PipeStream) -> Result<OwnedHandle, (PipeStream, io::Error)> {
    match stream.into_io() {
        Ok((_hold, io)) => {
            let handle = io.into_handle();
            // Its packets are of no use there. Where the system does not know how, they go there and nobody minds.
            let _ = os::leave_port(&handle);
            Ok(handle)
        }
        Err(shared) => match shared.io().handle().try_clone() {
            Ok(handle) => Ok(handle),
            Err(error) => Err((shared, error)),
        },
    }
}
