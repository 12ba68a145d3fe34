//! A stream as the system's handle, and back.

use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};

use super::os;
use super::stream::Stream;
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

/// Takes one end of a pipe that was opened with `FILE_FLAG_OVERLAPPED`. (On one that was not, a call cannot be ended by
/// a deadline, and a read that waits holds up all writes.)
impl From<OwnedHandle> for PipeStream {
    fn from(handle: OwnedHandle) -> PipeStream {
        let local = os::local(&handle);
        let (mode, unbuffered) = local.map_or((PipeMode::Byte, false), |local| {
            (local.mode, local.unbuffered)
        });
        if mode == PipeMode::Message {
            // A client's end reads bytes until it is told otherwise. One that may not be told is read as it is.
            let _ = os::set_message_read_mode(&handle);
        }
        PipeStream::adopt(Stream::new(handle, mode, unbuffered))
    }
}

/// The overlapped handle, without this crate's deadlines. A server's is bound to its listener's completion port. (Where a
/// write on a pipe with buffers of 0 had to wait, the stream may have read ahead: read what there is before you take
/// the handle.)
impl From<PipeStream> for OwnedHandle {
    fn from(stream: PipeStream) -> OwnedHandle {
        let mut stream = stream;
        loop {
            stream = match stream.into_io() {
                Ok((_, io)) => return io.into_handle(),
                Err(shared) => match shared.io().handle().try_clone() {
                    Ok(handle) => return handle,
                    Err(_) => shared,
                },
            };
        }
    }
}
