//! Streams and listeners as the system's sockets, and back.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::listener::Listener;
use super::stream::Stream;
use crate::error;
use crate::listener::PipeListener;
use crate::stream::PipeStream;

impl AsFd for PipeStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io().shown().as_fd()
    }
}

impl AsRawFd for PipeStream {
    fn as_raw_fd(&self) -> RawFd {
        self.io().shown().as_raw_fd()
    }
}

/// Takes a connected Unix socket. Its name is the socket's own or its peer's.
impl From<OwnedFd> for PipeStream {
    fn from(fd: OwnedFd) -> PipeStream {
        PipeStream::adopt(Stream::adopted(fd))
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
                Ok((_, io)) => return io.into_fd(),
                Err(shared) => match shared.io().shown().try_clone() {
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

/// Takes a connected Unix socket, as `From<OwnedFd>` does.
impl FromRawFd for PipeStream {
    unsafe fn from_raw_fd(fd: RawFd) -> PipeStream {
        // SAFETY: the caller's promise: an open descriptor that nobody else closes.
        unsafe { OwnedFd::from_raw_fd(fd) }.into()
    }
}

/// Gives the socket away: its new owner closes it.
impl IntoRawFd for PipeStream {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

/// For an event loop: it is readable once a client has come. After [`close`](PipeListener::close) no client comes.
impl AsFd for PipeListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sys().socket().as_fd()
    }
}

impl AsRawFd for PipeListener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Takes a socket that is already listening, such as one that systemd or launchd hands over. It becomes non-blocking, its
/// file is left alone, and everything but its kind is as by the defaults of [`ListenOptions`](crate::ListenOptions).
///
/// # Errors
///
/// `InvalidInput`: it is not a listening local socket.
///
/// # Examples
///
/// ```no_run
/// use std::os::fd::{FromRawFd, OwnedFd};
/// use npipe::PipeListener;
///
/// // The first socket of a systemd service (sd_listen_fds(3)), once LISTEN_PID says that it is this process's.
/// // SAFETY: descriptor 3 is that socket, and nothing else in this process has it.
/// let socket = unsafe { OwnedFd::from_raw_fd(3) };
/// let listener = PipeListener::try_from(socket)?;
/// # std::io::Result::Ok(())
/// ```
impl TryFrom<OwnedFd> for PipeListener {
    type Error = io::Error;

    fn try_from(socket: OwnedFd) -> io::Result<PipeListener> {
        let shown = format!("descriptor {}", socket.as_raw_fd());
        let (listener, name, options, lane) =
            Listener::adopt(socket).map_err(|e| error::named("listen on", shown, e))?;
        Ok(PipeListener::make(listener, name, &options, lane))
    }
}

/// Takes a listener of `std`, as `TryFrom<OwnedFd>` does: its file is left alone.
///
/// # Examples
///
/// ```no_run
/// use std::os::unix::net::UnixListener;
/// use npipe::PipeListener;
///
/// let listener = PipeListener::try_from(UnixListener::bind("/run/app.sock")?)?;
/// println!("{}", listener.local_addr());
/// # std::io::Result::Ok(())
/// ```
impl TryFrom<UnixListener> for PipeListener {
    type Error = io::Error;

    fn try_from(listener: UnixListener) -> io::Result<PipeListener> {
        OwnedFd::from(listener).try_into()
    }
}
