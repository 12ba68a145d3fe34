//! The system calls of the Unix half: numbers become types and errors, and nothing is decided.

use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};

/// A thing to be polled that one thread raises and another lowers: an eventfd where there is one, else a pipe.
#[derive(Debug)]
pub(super) struct Signal {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

impl Signal {
    #[cfg(target_os = "linux")]
    pub(super) fn new() -> io::Result<Signal> {
        use rustix::event::EventfdFlags;
        let read = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Signal { read })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn new() -> io::Result<Signal> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(Signal { read, write })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Raising what is raised already is no error, and nothing else can fail.
    pub(super) fn raise(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::io::write(&self.read, &1u64.to_ne_bytes());
        #[cfg(not(target_os = "linux"))]
        let _ = rustix::io::write(&self.write, &[1]);
    }

    pub(super) fn lower(&self) {
        let mut drain = [0; 64];
        let _ = rustix::io::read(&self.read, &mut drain);
    }
}

/// What a `poll` saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Nothing,
    Main,
    Signal,
}

/// `poll(2)` of one thing of interest and a signal that goes before it, until a moment.
pub(super) fn poll(
    main: Option<(&OwnedFd, PollFlags)>,
    signal: Option<BorrowedFd<'_>>,
    until: Option<Instant>,
) -> io::Result<Polled> {
    loop {
        let left = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        let signal = signal.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let main = main.map(|(fd, flags)| PollFd::new(fd, flags));
        let poll = |fds: &mut [PollFd<'_>]| rustix::event::poll(fds, left.as_ref());
        let polled = match (signal, main) {
            (Some(signal), Some(main)) => {
                let mut fds = [signal, main];
                poll(&mut fds).map(|ready| (ready, !fds[0].revents().is_empty()))
            }
            (Some(signal), None) => poll(&mut [signal]).map(|ready| (ready, true)),
            (None, Some(main)) => poll(&mut [main]).map(|ready| (ready, false)),
            (None, None) => poll(&mut []).map(|ready| (ready, false)),
        };
        match polled {
            Ok((0, _)) => return Ok(Polled::Nothing),
            Ok((_, true)) => return Ok(Polled::Signal),
            Ok((_, false)) => return Ok(Polled::Main),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// A close-on-exec socket of the local family that raises no SIGPIPE.
pub(super) fn socket(kind: SocketType) -> io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    #[cfg(target_vendor = "apple")]
    let socket = {
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::empty(), None)?;
        settle(&socket)?;
        socket
    };
    Ok(socket)
}

/// What macOS cannot set while it makes a socket.
#[cfg(target_vendor = "apple")]
fn settle(socket: &OwnedFd) -> io::Result<()> {
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC)?;
    sockopt::set_socket_nosigpipe(socket, true)?;
    Ok(())
}

/// `accept(2)`: a blocking, close-on-exec socket.
pub(super) fn accept(listener: &OwnedFd) -> Result<OwnedFd, Errno> {
    #[cfg(not(target_vendor = "apple"))]
    let stream = rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?;
    #[cfg(target_vendor = "apple")]
    let stream = {
        let stream = rustix::net::accept(listener)?;
        settle(&stream).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
        stream
    };
    // Linux gives a blocking socket, the BSDs one that is like its listener.
    #[cfg(not(target_os = "linux"))]
    rustix::io::ioctl_fionbio(&stream, false)?;
    Ok(stream)
}

pub(super) fn address(path: &Path) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new(path)?)
}

pub(super) fn recv(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            other => return other.map(|(_, length)| length),
        }
    }
}

pub(super) fn send(socket: &OwnedFd, buffer: &[u8]) -> Result<usize, Errno> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::DONTWAIT;
    loop {
        match rustix::net::send(socket, buffer, flags) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// How long a blocking `connect` of this socket waits for room in the server's queue (None: for ever).
pub(super) fn set_send_timeout(socket: &OwnedFd, timeout: Option<Duration>) -> io::Result<()> {
    Ok(sockopt::set_socket_timeout(
        socket,
        sockopt::Timeout::Send,
        timeout,
    )?)
}

/// The error that the socket holds, once.
pub(super) fn take_error(socket: &OwnedFd) -> io::Result<Option<io::Error>> {
    Ok(sockopt::socket_error(socket)?.err().map(io::Error::from))
}

/// How many bytes the peer has not read yet.
#[cfg(target_os = "linux")]
pub(super) fn unread_by_peer(socket: &OwnedFd) -> io::Result<usize> {
    use rustix::ioctl::{Getter, Opcode, ioctl};
    // asm-generic/ioctls.h, and in number the same wherever that header is not used.
    const TIOCOUTQ: Opcode = 0x5411;
    // SAFETY: TIOCOUTQ (unix(7) by the name of SIOCOUTQ) writes one int, which is what this getter has room for.
    let unread: i32 = unsafe { ioctl(socket, Getter::<TIOCOUTQ, i32>::new()) }?;
    Ok(usize::try_from(unread).unwrap_or(0))
}

/// The watch of a directory for what is created in it or moved to it.
#[cfg(target_os = "linux")]
pub(super) fn watch(directory: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::inotify;
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(
        &watch,
        directory,
        inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::ATTRIB,
    )?;
    Ok(watch)
}

/// Empties a watch.
#[cfg(target_os = "linux")]
pub(super) fn drain(watch: &OwnedFd) {
    let mut events = [MaybeUninit::<u8>::uninit(); 4096];
    while rustix::io::read(watch, &mut events[..]).is_ok_and(|(read, _)| !read.is_empty()) {}
}
