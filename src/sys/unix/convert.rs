//! A stream as the system's socket, and back.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::os;
use super::stream::Stream;
use crate::kinds::PipeMode;
use crate::stream::PipeStream;

impl AsFd for PipeStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io().fd().as_fd()
    }
}

impl AsRawFd for PipeStream {
    fn as_raw_fd(&self) -> RawFd {
        self.io().fd().as_raw_fd()
    }
}

/// Takes a connected Unix socket. Its name is the socket's own or its peer's.
impl From<OwnedFd> for PipeStream {
    fn from(fd: OwnedFd) -> PipeStream {
        let mode = if os::is_packets(&fd) {
            PipeMode::Message
        } else {
            PipeMode::Byte
        };
        PipeStream::adopt(Stream::new(fd, mode))
    }
}

/// Takes a connected socket. Its name is the socket's own or its peer's.
impl From<UnixStream> for PipeStream {
    fn from(stream: UnixStream) -> PipeStream {
        OwnedFd::from(stream).into()
    }
}

/// The socket, without this crate's deadlines. Clones of the stream keep a descriptor of their own.
impl From<PipeStream> for OwnedFd {
    fn from(stream: PipeStream) -> OwnedFd {
        let mut stream = stream;
        loop {
            stream = match stream.into_io() {
                Ok((_, io)) => {
                    let fd = io.into_fd();
                    // Left over from connecting; std's blocking writes would heed it.
                    let _ = os::set_send_timeout(&fd, None);
                    return fd;
                }
                Err(shared) => match shared.io().fd().try_clone() {
                    Ok(fd) => return fd,
                    // No descriptor is free: until one is, or the clones are gone.
                    Err(_) => {
                        std::thread::sleep(Duration::from_millis(1));
                        shared
                    }
                },
            };
        }
    }
}

/// The socket as `std` knows it, without this crate's deadlines.
impl From<PipeStream> for UnixStream {
    fn from(stream: PipeStream) -> UnixStream {
        OwnedFd::from(stream).into()
    }
}
