//! The system calls of the Unix half: numbers become types and errors, and nothing is decided.

use std::io::{self, IoSlice, IoSliceMut};
#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags,
    SocketAddrUnix, SocketFlags, SocketType, sockopt,
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

/// `recv(2)` that waits.
pub(super) fn recv_blocking(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            other => return other.map(|(_, length)| length),
        }
    }
}

/// `send(2)` that waits.
pub(super) fn send_blocking(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match rustix::net::send(socket, bytes, SEND.difference(SendFlags::DONTWAIT)) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

pub(super) fn send(socket: &OwnedFd, buffer: &[u8]) -> Result<usize, Errno> {
    loop {
        match rustix::net::send(socket, buffer, SEND) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
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

/// `recvmsg(2)` of one packet into several buffers, one behind the other.
pub(super) fn recv_packet(
    socket: &OwnedFd,
    [a, b, c]: &mut [&mut [u8]; 3],
) -> Result<Received, Errno> {
    loop {
        let mut buffers = [IoSliceMut::new(a), IoSliceMut::new(b), IoSliceMut::new(c)];
        let mut none = RecvAncillaryBuffer::default();
        match rustix::net::recvmsg(socket, &mut buffers, &mut none, RecvFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            other => {
                return other.map(|received| Received {
                    length: received.bytes,
                    whole: !received.flags.contains(ReturnFlags::TRUNC),
                });
            }
        }
    }
}

/// The first bytes of the next packet, which stays where it is, and its whole length (MSG_TRUNC of Linux, which alone has
/// packets here).
pub(super) fn peek_packet(socket: &OwnedFd, head: &mut [u8]) -> Result<usize, Errno> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
    #[cfg(target_os = "linux")]
    let flags = flags | RecvFlags::TRUNC;
    loop {
        match rustix::net::recv(socket, &mut *head, flags) {
            Err(Errno::INTR) => {}
            other => return other.map(|(_, length)| length),
        }
    }
}

/// `sendmsg(2)` of one packet out of several buffers.
pub(super) fn send_packet(socket: &OwnedFd, [a, b]: &[&[u8]; 2]) -> Result<(), Errno> {
    let buffers = [IoSlice::new(a), IoSlice::new(b)];
    loop {
        let mut none = SendAncillaryBuffer::default();
        match rustix::net::sendmsg(socket, &buffers, &mut none, SEND) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// Whether a read would not wait: there is something, an end, or an error.
#[cfg(feature = "tokio")]
pub(super) fn has_news(socket: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut fds, Some(&Timespec::default())) {
            Err(Errno::INTR) => {}
            polled => return Ok(polled? > 0),
        }
    }
}

/// Whether the socket keeps the boundaries of what is sent.
pub(super) fn is_packets(socket: &OwnedFd) -> bool {
    sockopt::socket_type(socket) == Ok(SocketType::SEQPACKET)
}

/// `FIONREAD`: how many bytes can be read.
pub(super) fn readable(socket: &OwnedFd) -> io::Result<usize> {
    Ok(usize::try_from(rustix::io::ioctl_fionread(socket)?).unwrap_or(usize::MAX))
}

/// `SO_SNDBUF`. Linux counts its own overhead in, and says the double of what was asked for (socket(7)).
pub(super) fn send_buffer_size(socket: &OwnedFd) -> io::Result<usize> {
    Ok(sockopt::socket_send_buffer_size(socket)?)
}

/// Who is at the other end of a socket, when it connected or began to listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) pid: Option<u32>,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Peer {
    /// Whether it is the user `uid`. In a user namespace the overflow user is whoever has no number there, and nobody's
    /// equal.
    pub(super) fn is(&self, uid: u32) -> bool {
        self.uid == uid && (uid != OVERFLOW_UID || has_all_users())
    }
}

/// The uid by which a user shows that this user namespace has no number for (user_namespaces(7)); elsewhere it is `nobody`.
pub(super) const OVERFLOW_UID: u32 = 65534;

/// Whether this process's user namespace has a number for every user, as the first one has: then [`OVERFLOW_UID`] is one
/// user, and else it may be anybody.
pub(super) fn has_all_users() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        let mut numbers = map.split_whitespace();
        [numbers.next(), numbers.next(), numbers.next()]
            == [Some("0"), Some("0"), Some("4294967295")]
    })
}

/// Whether something is mounted at `path`.
pub(super) fn is_mount_root(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::statx(CWD, path, flags, StatxFlags::TYPE)
            .is_ok_and(|file| file.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

/// `SO_PEERCRED` (unix(7)). Not rustix's, in which a process is never 0: one of another pid namespace is.
#[cfg(target_os = "linux")]
pub(super) fn peer(socket: &OwnedFd) -> io::Result<Peer> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, &mut peer)?;
    Ok(Peer {
        pid: u32::try_from(peer.pid).ok().filter(|&pid| pid != 0),
        uid: peer.uid,
        gid: peer.gid,
    })
}

/// `getpeereid(3)`, and on macOS `LOCAL_PEERPID`.
#[cfg(not(target_os = "linux"))]
pub(super) fn peer(socket: &OwnedFd) -> io::Result<Peer> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: an open socket, and two locals to be written to.
    if unsafe { libc::getpeereid(socket.as_raw_fd(), &mut uid, &mut gid) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[cfg(target_vendor = "apple")]
    let pid = {
        let mut pid: libc::pid_t = 0;
        // ENOTCONN: the peer has gone already, which is no reason to lose what it wrote.
        let told = getsockopt(socket, libc::SOL_LOCAL, libc::LOCAL_PEERPID, &mut pid);
        u32::try_from(pid)
            .ok()
            .filter(|&pid| told.is_ok() && pid != 0)
    };
    #[cfg(not(target_vendor = "apple"))]
    let pid = None;
    Ok(Peer { pid, uid, gid })
}

/// `getsockopt(2)` of an option that is a plain structure of integers.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn getsockopt<T: Copy>(socket: &OwnedFd, level: i32, option: i32, value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: an open socket, and a local of the size that is said; the callers' types are of integers, for which all
    // that the system may write is valid.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw mut *value).cast(),
            &mut length,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How long a blocking `connect` of this socket waits for room in the server's queue (None: forever).
pub(super) fn set_send_timeout(socket: &OwnedFd, timeout: Option<Duration>) -> io::Result<()> {
    Ok(sockopt::set_socket_timeout(
        socket,
        sockopt::Timeout::Send,
        timeout,
    )?)
}

/// Whether the other end of a connected socket is still there.
#[cfg(target_os = "linux")]
pub(super) fn is_connected(socket: &OwnedFd) -> io::Result<bool> {
    // A hang-up is told of both halves, never of one.
    let mut fds = [PollFd::new(socket, PollFlags::empty())];
    while let Err(error) = rustix::event::poll(&mut fds, Some(&Timespec::default())) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    Ok(!fds[0].revents().contains(PollFlags::HUP))
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
