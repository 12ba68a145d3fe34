//! The system calls of the Unix half: numbers become types and errors, and nothing is decided.

mod signal;

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
#[cfg(any(target_os = "linux", feature = "tokio"))]
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags,
    SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};

pub(super) use self::signal::Signal;
pub(super) use rustix::net::sockopt::Timeout;

/// What a `poll` saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Nothing,
    Main,
    Signal,
}

/// `poll(2)` of one thing of interest and a signal that goes before it, until a moment.
#[inline(always)]
pub(super) fn poll(
    main: Option<(&OwnedFd, PollFlags)>,
    signal: Option<BorrowedFd<'_>>,
    until: Option<Instant>,
) -> io::Result<Polled> {
    loop {
        let left = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        let signal = signal.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let main = main.map(|(fd, flags)| PollFd::new(fd, flags));
        let signalled = signal.is_some();
        let (mut both, mut one);
        let fds: &mut [PollFd<'_>] = match (signal, main) {
            (Some(signal), Some(main)) => {
                both = [signal, main];
                &mut both
            }
            (Some(it), None) | (None, Some(it)) => {
                one = [it];
                &mut one
            }
            (None, None) => &mut [],
        };
        match rustix::event::poll(fds, left.as_ref()) {
            Ok(0) => return Ok(Polled::Nothing),
            Ok(_) if signalled && !fds[0].revents().is_empty() => return Ok(Polled::Signal),
            Ok(_) => return Ok(Polled::Main),
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

/// Two connected sockets of that kind.
pub(super) fn socket_pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = SocketFlags::CLOEXEC;
    #[cfg(target_vendor = "apple")]
    let flags = SocketFlags::empty();
    let pair = rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?;
    #[cfg(target_vendor = "apple")]
    for end in [&pair.0, &pair.1] {
        settle(end)?;
    }
    Ok(pair)
}

/// What macOS cannot set while it makes a socket.
#[cfg(target_vendor = "apple")]
fn settle(socket: &OwnedFd) -> io::Result<()> {
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC)?;
    without_sigpipe(socket)
}

/// `SO_NOSIGPIPE`, where a single call cannot say so. EINVAL once the peer of a stream has left.
#[cfg(target_vendor = "apple")]
pub(super) fn without_sigpipe(socket: &OwnedFd) -> io::Result<()> {
    Ok(sockopt::set_socket_nosigpipe(socket, true)?)
}

/// The same, one that does not wait.
pub(super) fn nonblocking_socket(kind: SocketType) -> io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    {
        let flags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);
        Ok(rustix::net::socket_with(
            AddressFamily::UNIX,
            kind,
            flags,
            None,
        )?)
    }
    #[cfg(target_vendor = "apple")]
    {
        let socket = socket(kind)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}

pub(super) fn connect(socket: &OwnedFd, address: &SocketAddrUnix) -> Result<(), Errno> {
    rustix::net::connect(socket, address)
}

/// Makes `socket` another descriptor for what `signal` is one for: the socket is released, and its number stays ours.
pub(super) fn replace(socket: &OwnedFd, signal: &Signal) {
    // SAFETY: two open descriptors of our own. What the first one stood for is closed, and the number stays open, so that
    // whoever has borrowed it still has an open descriptor.
    #[cfg(target_os = "linux")]
    let done = unsafe { libc::dup3(signal.fd().as_raw_fd(), socket.as_raw_fd(), libc::O_CLOEXEC) };
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    let done = unsafe { libc::dup2(signal.fd().as_raw_fd(), socket.as_raw_fd()) };
    #[cfg(not(target_os = "linux"))]
    let _ = rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC);
    // It needs no new descriptor, and there is nothing else that it could fail of.
    debug_assert!(done >= 0);
}

/// Whether a socket is one that clients connect to.
pub(super) fn is_listening(socket: &OwnedFd) -> bool {
    #[cfg(not(target_vendor = "apple"))]
    return sockopt::socket_acceptconn(socket) == Ok(true);
    // There the system does not tell (SO_ACCEPTCONN is declared and not there); one that is bound and has no peer can.
    #[cfg(target_vendor = "apple")]
    return matches!(
        rustix::net::getpeername(socket),
        Ok(None) | Err(Errno::NOTCONN)
    ) && rustix::net::listen(socket, i32::MAX).is_ok();
}

/// `accept(2)`: a blocking, close-on-exec socket.
pub(super) fn accept(listener: &OwnedFd) -> Result<OwnedFd, Errno> {
    #[cfg(not(target_vendor = "apple"))]
    let stream = rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?;
    #[cfg(target_vendor = "apple")]
    let stream = {
        // SO_NOSIGPIPE comes from the listener (sonewconn of XNU); to set it is EINVAL once the client has left.
        let stream = rustix::net::accept(listener)?;
        rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::CLOEXEC)?;
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

/// Whether a call waits in the kernel, until a signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Waits,
    Returns,
}

impl Call {
    fn receives(self) -> RecvFlags {
        match self {
            Call::Waits => RecvFlags::empty(),
            Call::Returns => RecvFlags::DONTWAIT,
        }
    }

    fn sends(self) -> SendFlags {
        match self {
            Call::Waits => SEND.difference(SendFlags::DONTWAIT),
            Call::Returns => SEND,
        }
    }

    /// Makes the call again after a signal, where it is not to wait.
    #[inline(always)]
    fn make<T>(self, mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
        loop {
            match call() {
                Err(Errno::INTR) if self == Call::Returns => {}
                other => return other,
            }
        }
    }
}

#[inline(always)]
pub(super) fn recv(socket: &OwnedFd, buffer: &mut [u8], call: Call) -> Result<usize, Errno> {
    let received = call.make(|| rustix::net::recv(socket, &mut *buffer, call.receives()));
    received.map(|(_, length)| length)
}

/// The same, without a wait, into memory that need not be initialized.
#[cfg(feature = "tokio")]
pub(super) fn recv_uninit(
    socket: &OwnedFd,
    buffer: &mut [MaybeUninit<u8>],
) -> Result<usize, Errno> {
    Call::Returns.make(|| {
        let received = rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT);
        received.map(|(_, length)| length)
    })
}

#[inline(always)]
pub(super) fn send(socket: &OwnedFd, buffer: &[u8], call: Call) -> Result<usize, Errno> {
    call.make(|| rustix::net::send(socket, buffer, call.sends()))
}

/// The flags of everything that is sent: it neither blocks nor kills.
#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::DONTWAIT;

/// A packet that was received: its length, and whether it fitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) length: usize,
    pub(super) whole: bool,
}

/// One packet into several buffers, one behind the other: `recvmsg(2)`, or, which is faster, `recv(2)` into one.
#[inline(always)]
pub(super) fn recv_packet<const N: usize>(
    socket: &OwnedFd,
    buffers: &mut [&mut [u8]; N],
    call: Call,
) -> Result<Received, Errno> {
    if let [buffer] = &mut buffers[..] {
        let flags = call.receives();
        // MSG_TRUNC has the call return the packet's own length (of Linux, which alone has packets here).
        #[cfg(target_os = "linux")]
        let flags = flags | RecvFlags::TRUNC;
        let (_, length) = call.make(|| rustix::net::recv(socket, &mut **buffer, flags))?;
        return Ok(Received {
            length,
            whole: length <= buffer.len(),
        });
    }
    let mut buffers = buffers.each_mut().map(|buffer| IoSliceMut::new(buffer));
    recv_vectored(socket, &mut buffers, call)
}

/// How many buffers one call takes (IOV_MAX of Linux, macOS and the BSDs).
pub(super) const MOST_SLICES: usize = 1024;

/// `recvmsg(2)` into several buffers, one behind the other.
pub(super) fn recv_vectored(
    socket: &OwnedFd,
    slices: &mut [IoSliceMut<'_>],
    call: Call,
) -> Result<Received, Errno> {
    let most = slices.len().min(MOST_SLICES);
    let received = call.make(|| {
        let mut none = RecvAncillaryBuffer::default();
        rustix::net::recvmsg(socket, &mut slices[..most], &mut none, call.receives())
    })?;
    Ok(Received {
        length: received.bytes,
        whole: !received.flags.contains(ReturnFlags::TRUNC),
    })
}

/// The first bytes of the next packet, which stays where it is, and its whole length (MSG_TRUNC of Linux, which alone has
/// packets here).
pub(super) fn peek_packet(socket: &OwnedFd, head: &mut [u8]) -> Result<usize, Errno> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
    #[cfg(target_os = "linux")]
    let flags = flags | RecvFlags::TRUNC;
    let peeked = Call::Returns.make(|| rustix::net::recv(socket, &mut *head, flags));
    peeked.map(|(_, length)| length)
}

/// `sendmsg(2)` out of several buffers, one behind the other.
#[inline(always)]
pub(super) fn send_vectored(
    socket: &OwnedFd,
    slices: &[IoSlice<'_>],
    call: Call,
) -> Result<usize, Errno> {
    let slices = &slices[..slices.len().min(MOST_SLICES)];
    call.make(|| {
        let mut none = SendAncillaryBuffer::default();
        rustix::net::sendmsg(socket, slices, &mut none, call.sends())
    })
}

/// Whether a read would not wait: there is something, an end, or an error.
#[cfg(feature = "tokio")]
pub(super) fn has_news(socket: &OwnedFd) -> io::Result<bool> {
    Ok(!look(socket, PollFlags::IN)?.is_empty())
}

/// The path that a local socket is bound to, empty if it is to none; None of any other descriptor.
pub(super) fn local_path(socket: &OwnedFd) -> Option<PathBuf> {
    path_of(rustix::net::getsockname(socket).ok()?)
}

/// The path that a socket's peer is bound to.
pub(super) fn peer_path(socket: &OwnedFd) -> Option<PathBuf> {
    path_of(rustix::net::getpeername(socket).ok()??)
}

fn path_of(address: SocketAddrAny) -> Option<PathBuf> {
    let address = SocketAddrUnix::try_from(address).ok()?;
    let path = address.path_bytes().unwrap_or_default().to_vec();
    Some(PathBuf::from(OsString::from_vec(path)))
}

/// Whether the socket keeps the boundaries of what is sent.
pub(super) fn is_packets(socket: &OwnedFd) -> bool {
    sockopt::socket_type(socket) == Ok(SocketType::SEQPACKET)
}

/// Whether there are bytes to be read, or the end (false); `AGAIN` if there is neither. It takes nothing.
pub(super) fn has_bytes(socket: &OwnedFd) -> Result<bool, Errno> {
    Ok(peek_packet(socket, &mut [0])? > 0)
}

/// `FIONREAD`: how many bytes can be read.
pub(super) fn readable(socket: &OwnedFd) -> io::Result<usize> {
    Ok(usize::try_from(rustix::io::ioctl_fionread(socket)?).unwrap_or(usize::MAX))
}

/// `SO_SNDBUF`: a wish, as it is on every system, since the kernel has limits of its own.
pub(super) fn set_send_buffer_size(socket: &OwnedFd, bytes: u32) {
    let _ = sockopt::set_socket_send_buffer_size(socket, bytes as usize);
}

/// `SO_SNDBUF`. Linux counts its own overhead in, and says the double of what was asked for (socket(7)).
pub(super) fn send_buffer_size(socket: &OwnedFd) -> io::Result<usize> {
    Ok(sockopt::socket_send_buffer_size(socket)?)
}

/// How long a blocking call waits, to receive or to send (None: forever). On Linux `connect` counts as the latter.
pub(super) fn set_timeout(
    socket: &OwnedFd,
    which: Timeout,
    timeout: Option<Duration>,
) -> io::Result<()> {
    Ok(sockopt::set_socket_timeout(socket, which, timeout)?)
}

/// Whether the other end of a connected socket is still there.
#[cfg(target_os = "linux")]
pub(super) fn is_connected(socket: &OwnedFd) -> io::Result<bool> {
    // A hang-up is reported for both halves, never for one.
    Ok(!look(socket, PollFlags::empty())?.contains(PollFlags::HUP))
}

/// Whether the other end of a connected socket is still there.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_connected(socket: &OwnedFd) -> io::Result<bool> {
    match rustix::net::getpeername(socket) {
        Ok(_) => Ok(true),
        Err(Errno::NOTCONN | Errno::INVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether the other end of a connected socket sends no more.
pub(super) fn has_hung_up(socket: &OwnedFd) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    let hang_up = PollFlags::RDHUP;
    #[cfg(not(target_os = "linux"))]
    let hang_up = PollFlags::HUP;
    Ok(look(socket, hang_up)?.intersects(hang_up | PollFlags::HUP))
}

/// What a `poll` that does not wait sees.
fn look(socket: &OwnedFd, flags: PollFlags) -> io::Result<PollFlags> {
    let mut fds = [PollFd::new(socket, flags)];
    while let Err(error) = rustix::event::poll(&mut fds, Some(&Timespec::default())) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    Ok(fds[0].revents())
}

/// The error that the socket holds, once.
#[cfg(target_os = "linux")]
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
