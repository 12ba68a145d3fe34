//! An open pipe: a connected stream socket.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketAddrAny, SocketAddrUnix};

use super::event::Waiter;
use super::os;
use super::packets::{Packets, Sending, Unsent};
use super::place;
use crate::error::{Fault, Reason};
use crate::identity::PeerIdentity;
use crate::info::PipeInfo;
use crate::kinds::{Directions, Part, Peek, PipeMode, Role};
use crate::lane::{Beside, Cancelled, Operation, Waited, earlier};
use crate::name::PipeName;

#[derive(Debug)]
pub(crate) struct Stream {
    fd: OwnedFd,
    /// Of a socket that keeps boundaries.
    messages: Option<Messages>,
}

/// What is half done on a socket that keeps boundaries. The lanes have one reader and one writer at a time, so that nobody
/// waits for these locks.
#[derive(Debug, Default)]
struct Messages {
    read: Mutex<Packets>,
    unsent: Mutex<Unsent>,
}

impl Stream {
    pub(crate) fn new(fd: OwnedFd, mode: PipeMode) -> Stream {
        Stream {
            fd,
            messages: (mode == PipeMode::Message).then(Messages::default),
        }
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// `recv(2)` of bytes that waits in the kernel. None: somebody has made the socket one that does not.
    pub(crate) fn read_blocking(&self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        unless_again(os::recv_blocking(&self.fd, buffer))
    }

    /// `send(2)` of bytes that waits in the kernel. None: as above.
    pub(crate) fn write_blocking(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
        unless_again(os::send_blocking(&self.fd, bytes))
    }

    /// Shuts down what a one-way pipe does not have, as .NET does.
    pub(crate) fn narrow(&self, directions: Directions) -> io::Result<()> {
        match directions {
            Directions::BOTH => Ok(()),
            Directions { read: false, .. } => self.shut(Shutdown::Read),
            Directions { .. } => self.shut(Shutdown::Write),
        }
    }

    fn shut(&self, half: Shutdown) -> io::Result<()> {
        match rustix::net::shutdown(&self.fd, half) {
            // The peer has gone already: there is nobody to tell.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn read<'a>(
        &'a self,
        waiter: &'a Waiter,
        buffer: &'a mut [u8],
    ) -> impl Operation<Output = Part> + 'a {
        Attempt {
            fd: &self.fd,
            waiter,
            ready: PollFlags::IN,
            call: move |fd: &OwnedFd| match &self.messages {
                None => bytes(os::recv(fd, buffer)),
                Some(messages) => lock(&messages.read).read(fd, buffer),
            },
        }
    }

    pub(crate) fn write<'a>(
        &'a self,
        waiter: &'a Waiter,
        buffer: &'a [u8],
        _reading: Beside<'a, Waiter>,
    ) -> impl Operation<Output = Part> + 'a {
        Attempt {
            fd: &self.fd,
            waiter,
            ready: PollFlags::OUT,
            call: move |fd: &OwnedFd| bytes(os::send(fd, buffer)),
        }
    }

    /// Waits until the peer has read everything.
    pub(crate) fn drain<'a>(&'a self, waiter: &'a Waiter) -> Drain<'a> {
        Drain {
            fd: &self.fd,
            waiter,
            #[cfg(target_os = "linux")]
            unsent: self.messages.as_ref().map(|it| lock(&it.unsent)),
            slice: Duration::from_micros(50),
            hung_up: false,
        }
    }

    /// How much of `wanted` bytes, or whether a message of so many, may be tried on a non-blocking stream: all, since what
    /// does not go at once has not gone.
    pub(crate) fn room(&self, wanted: usize) -> io::Result<usize> {
        Ok(wanted)
    }

    /// Whether a write that waits reads ahead: the kernel's buffers make that needless.
    pub(crate) fn reads_ahead(&self) -> bool {
        false
    }

    /// Sends one message.
    pub(crate) fn send<'a>(
        &'a self,
        waiter: &'a Waiter,
        message: &'a [u8],
        _reading: Beside<'a, Waiter>,
    ) -> Send<'a> {
        self.sending(waiter, message)
    }

    fn sending<'a>(&'a self, waiter: &'a Waiter, message: &'a [u8]) -> Send<'a> {
        Send {
            fd: &self.fd,
            waiter,
            message,
            unsent: self.messages.as_ref().map(|it| lock(&it.unsent)),
            sending: None,
        }
    }

    /// Whether a read would be of what an earlier one has left of a packet.
    #[cfg(feature = "tokio")]
    pub(super) fn has_spilled(&self) -> bool {
        self.messages
            .as_ref()
            .is_some_and(|messages| lock(&messages.read).has_spilled())
    }

    /// Whether the rest of a message is to go out before anything else.
    #[cfg(feature = "tokio")]
    pub(super) fn is_behind(&self) -> bool {
        self.messages
            .as_ref()
            .is_some_and(|messages| lock(&messages.unsent).is_some())
    }

    /// Sends that rest.
    #[cfg(feature = "tokio")]
    pub(super) fn catch_up(&self) -> io::Result<Poll<()>> {
        let caught_up = match &self.messages {
            Some(messages) => lock(&messages.unsent).go_on(&self.fd),
            None => Poll::Ready(Ok(())),
        };
        match caught_up {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(done) => done.map(Poll::Ready),
        }
    }

    /// Half close: the peer reads what was written, then end of file.
    pub(crate) fn close_write(&self, mode: PipeMode) -> io::Result<HalfClose> {
        if mode == PipeMode::Message {
            // Behind what was sent; if there is no room for it, the end that follows says as much.
            match self.sending(&Waiter::new(), &[]).poll() {
                Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                    return Err(error);
                }
                _ => {}
            }
        }
        self.shut(Shutdown::Write)?;
        Ok(HalfClose)
    }

    pub(crate) fn disconnect(&self) -> io::Result<()> {
        self.shut(Shutdown::Both)
    }

    pub(crate) fn peek(&self) -> io::Result<Peek> {
        match &self.messages {
            Some(messages) => lock(&messages.read).peek(&self.fd),
            None => Ok(Peek {
                available: os::readable(&self.fd)?,
                message: 0,
                ended: false,
            }),
        }
    }

    pub(crate) fn peer_pid(&self, _role: Role) -> io::Result<u32> {
        os::peer(&self.fd)?.pid.ok_or_else(|| {
            let why = "this system does not tell the process at the other end of a socket";
            Fault::new(Reason::NotHere, why).into()
        })
    }

    pub(crate) fn peer_identity(&self, _role: Role) -> io::Result<PeerIdentity> {
        let peer = os::peer(&self.fd)?;
        Ok(PeerIdentity {
            uid: Some(peer.uid),
            gid: Some(peer.gid),
            ..PeerIdentity::default()
        })
    }

    pub(crate) fn security(&self, name: &PipeName) -> io::Result<String> {
        place::permissions(name.os_path())
    }

    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        os::is_connected(&self.fd)
    }

    pub(crate) fn info(&self, role: Role, mode: PipeMode) -> io::Result<PipeInfo> {
        let buffer = u32::try_from(os::send_buffer_size(&self.fd)?).ok();
        let (input, output) = match role {
            Role::Server => (None, buffer),
            Role::Client => (buffer, None),
        };
        Ok(PipeInfo {
            mode,
            instances: None,
            max_instances: None,
            input_buffer_size: input,
            output_buffer_size: output,
        })
    }
}

/// A half close that has been done.
#[derive(Debug)]
pub(crate) struct HalfClose;

fn lock<T>(half: &Mutex<T>) -> MutexGuard<'_, T> {
    half.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unless_again(moved: Result<usize, Errno>) -> Option<io::Result<usize>> {
    match moved {
        Err(Errno::AGAIN) => None,
        other => Some(other.map_err(io::Error::from)),
    }
}

/// The result of a call that moves bytes.
fn bytes(moved: Result<usize, Errno>) -> Poll<io::Result<Part>> {
    match moved {
        Err(Errno::AGAIN) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error.into())),
        Ok(len) => Poll::Ready(Ok(Part {
            len,
            complete: true,
        })),
    }
}

/// A message on its way: one packet or several, behind what an earlier one has left.
pub(crate) struct Send<'a> {
    fd: &'a OwnedFd,
    waiter: &'a Waiter,
    message: &'a [u8],
    unsent: Option<MutexGuard<'a, Unsent>>,
    /// Once it is this one's turn.
    sending: Option<Sending<'a>>,
}

impl Send<'_> {
    /// Keeps the rest of what has gone in part.
    fn keep(&mut self) -> Cancelled<Part> {
        match (&mut self.unsent, &self.sending) {
            (Some(unsent), Some(sending)) if sending.is_torn() => {
                unsent.keep(sending);
                Cancelled::Unknown
            }
            _ => Cancelled::Nothing,
        }
    }
}

impl Operation for Send<'_> {
    type Output = Part;

    fn poll(&mut self) -> Poll<io::Result<Part>> {
        let sending = match &mut self.sending {
            Some(sending) => sending,
            none => {
                let mut sent = 0;
                if let Some(unsent) = &mut self.unsent {
                    sent = unsent.resume(self.message);
                    if unsent.go_on(self.fd)?.is_pending() {
                        return Poll::Pending;
                    }
                }
                none.insert(Sending::new(self.message, sent))
            }
        };
        let gone = sending.go_on(self.fd);
        if matches!(&gone, Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe) {
            self.keep();
        }
        gone
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        self.waiter.wait(Some((self.fd, PollFlags::OUT)), until)
    }

    fn cancel(&mut self) -> Cancelled<Part> {
        self.keep()
    }
}

/// A call that is tried, and tried again once the socket is ready: `recv` or `send`.
struct Attempt<'a, F> {
    fd: &'a OwnedFd,
    waiter: &'a Waiter,
    ready: PollFlags,
    call: F,
}

impl<F: FnMut(&OwnedFd) -> Poll<io::Result<Part>>> Operation for Attempt<'_, F> {
    type Output = Part;

    fn poll(&mut self) -> Poll<io::Result<Part>> {
        (self.call)(self.fd)
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        self.waiter.wait(Some((self.fd, self.ready)), until)
    }

    fn cancel(&mut self) -> Cancelled<Part> {
        // Between two attempts the system holds nothing.
        Cancelled::Nothing
    }
}

/// Looks until the peer has read everything. No event tells when, so it looks in growing intervals, of 10 ms at most,
/// and at once when the peer closes.
pub(crate) struct Drain<'a> {
    fd: &'a OwnedFd,
    waiter: &'a Waiter,
    #[cfg(target_os = "linux")]
    unsent: Option<MutexGuard<'a, Unsent>>,
    slice: Duration,
    /// Both sides have closed their writing halves; it says so forever, and is no longer worth waiting for.
    hung_up: bool,
}

impl Operation for Drain<'_> {
    type Output = ();

    #[cfg(target_os = "linux")]
    fn poll(&mut self) -> Poll<io::Result<()>> {
        if let Some(unsent) = &mut self.unsent {
            if unsent.go_on(self.fd)?.is_pending() {
                return Poll::Pending;
            }
        }
        let look = || -> io::Result<bool> {
            if os::unread_by_peer(self.fd)? > 0 {
                return Ok(false);
            }
            // A peer that closes throws away what it has not read, and leaves us ECONNRESET to know it by.
            match os::take_error(self.fd)? {
                Some(error) => Err(error),
                None => Ok(true),
            }
        };
        match look() {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn poll(&mut self) -> Poll<io::Result<()>> {
        let why = "this system does not tell what the peer has read: have the peer answer instead";
        Poll::Ready(Err(Fault::new(Reason::NotHere, why).into()))
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        let next = earlier(until, self.slice);
        self.slice = (self.slice * 2).min(Duration::from_millis(10));
        let hang_up = (!self.hung_up).then_some((self.fd, PollFlags::empty()));
        match self.waiter.wait(hang_up, next)? {
            Waited::Ready => {
                self.hung_up = true;
                Ok(Waited::Ready)
            }
            Waited::Expired if until.is_none_or(|until| Instant::now() < until) => {
                Ok(Waited::Ready)
            }
            waited => Ok(waited),
        }
    }

    fn cancel(&mut self) -> Cancelled<()> {
        Cancelled::Nothing
    }
}

impl Stream {
    /// What the system knows of this socket: a name on our own side is a server's, a name on the other is a client's.
    pub(crate) fn describe(&self) -> (PipeName, Role, PipeMode) {
        let path = |address: Option<SocketAddrAny>| {
            let address = SocketAddrUnix::try_from(address?).ok()?;
            let path = address.path_bytes()?.to_vec();
            Some(PathBuf::from(OsString::from_vec(path)))
        };
        let (path, role) = match path(rustix::net::getsockname(&self.fd).ok()) {
            Some(path) => (path, Role::Server),
            None => (
                path(rustix::net::getpeername(&self.fd).ok().flatten()).unwrap_or_default(),
                Role::Client,
            ),
        };
        let mode = match self.messages {
            Some(_) => PipeMode::Message,
            None => PipeMode::Byte,
        };
        (PipeName::from_os(path), role, mode)
    }

    /// Whether an error says that the other side has gone. `std` has kinds for all of Unix's.
    pub(crate) fn is_end(_error: &io::Error) -> bool {
        false
    }
}
