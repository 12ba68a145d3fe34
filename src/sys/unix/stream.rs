//! An open pipe: a connected stream socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketType};

use super::event::Waiter;
use super::operations::{Attempts, Drain};
use super::os::{self, Call};
use super::packets::{self, Packets, Sending};
use super::peer;
use super::place;
use super::slices::{Side, Slices};
use crate::error::{Fault, Reason};
use crate::identity::PeerIdentity;
use crate::info::PipeInfo;
use crate::kinds::{Directions, Part, Peek, PipeMode, Role};
use crate::lane::{Beside, Cancelled, Operation, Waited};
use crate::name::PipeName;

#[derive(Debug)]
pub(crate) struct Stream {
    fd: OwnedFd,
    role: Role,
    /// Of a socket that keeps boundaries.
    messages: Option<Messages>,
    slices: Slices,
}

/// The sockets of a kind of pipe.
pub(super) fn kind(mode: PipeMode) -> io::Result<SocketType> {
    match mode {
        PipeMode::Byte => Ok(SocketType::STREAM),
        PipeMode::Message if cfg!(target_os = "linux") => Ok(SocketType::SEQPACKET),
        PipeMode::Message => {
            let why = "the local sockets of this system keep no message boundaries: use a byte pipe, and mark where \
                       messages end";
            Err(Fault::new(Reason::NotHere, why).into())
        }
    }
}

/// What is half done on a socket that keeps boundaries.
#[derive(Debug, Default)]
struct Messages {
    /// Held for one call of the system's that does not wait.
    read: Mutex<Packets>,
    /// A message has gone in part, and what is sent now would be taken for its rest.
    torn: AtomicBool,
}

impl Messages {
    fn packets(&self) -> MutexGuard<'_, Packets> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    pub(crate) fn new(fd: OwnedFd, mode: PipeMode, role: Role) -> Stream {
        Stream {
            fd,
            role,
            messages: (mode == PipeMode::Message).then(Messages::default),
            slices: Slices::default(),
        }
    }

    /// A connected socket that had a life before. A name on its own side is a server's, one on the other a client's.
    pub(super) fn adopted(fd: OwnedFd) -> Stream {
        let role = match os::local_path(&fd) {
            Some(path) if !path.as_os_str().is_empty() => Role::Server,
            _ => Role::Client,
        };
        let mode = match os::is_packets(&fd) {
            true => PipeMode::Message,
            false => PipeMode::Byte,
        };
        // Of one whose peer has left it is too late.
        #[cfg(target_vendor = "apple")]
        let _ = os::without_sigpipe(&fd);
        let stream = Stream::new(fd, mode, role);
        // Whoever had it may have another descriptor for it.
        stream.shown();
        stream
    }

    pub(crate) fn mode(&self) -> PipeMode {
        match self.messages {
            Some(_) => PipeMode::Message,
            None => PipeMode::Byte,
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The descriptor, for others to do with as they like.
    pub(super) fn shown(&self) -> &OwnedFd {
        self.slices.show(&self.fd);
        &self.fd
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.slices.show(&self.fd);
        self.fd
    }

    /// One read that waits in the kernel, by the one owner of this. None: it has to go the common way, since the limit is
    /// near or it has waited for long, or somebody has made the socket one that does not wait.
    pub(crate) fn read_blocking(
        &mut self,
        buffer: &mut [u8],
        until: Option<Instant>,
    ) -> Option<io::Result<Part>> {
        if self.slices.room(&self.fd, Side::Read, until) == 0 {
            return None;
        }
        let Some(messages) = &mut self.messages else {
            return unless_again(until, || os::recv(&self.fd, buffer, Call::Waits));
        };
        // No lock is held while it waits.
        let packets = messages.read.get_mut();
        let packets = packets.unwrap_or_else(PoisonError::into_inner);
        match packets.read(&self.fd, buffer, Call::Waits) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    /// One write of bytes, or of a whole message, that waits in the kernel. None: as above, or it needs several packets.
    pub(crate) fn write_blocking(
        &self,
        bytes: &[u8],
        until: Option<Instant>,
    ) -> Option<io::Result<Part>> {
        let room = self.slices.room(&self.fd, Side::Write, until);
        match &self.messages {
            _ if room == 0 => None,
            None => {
                let bytes = &bytes[..bytes.len().min(room)];
                unless_again(until, || os::send(&self.fd, bytes, Call::Waits))
            }
            Some(messages) if messages.torn.load(Ordering::Relaxed) => None,
            Some(_) => unless_again(until, || packets::send_whole(&self.fd, bytes)),
        }
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

    /// One read that does not wait; it may have to once the socket is readable.
    #[inline(always)]
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> Poll<io::Result<Part>> {
        match &self.messages {
            None => bytes(os::recv(&self.fd, buffer, Call::Returns)),
            Some(messages) => messages.packets().read(&self.fd, buffer, Call::Returns),
        }
    }

    /// One write of bytes that does not wait; it may have to until the socket is writable.
    #[inline(always)]
    pub(crate) fn try_write(&self, buffer: &[u8]) -> Poll<io::Result<Part>> {
        bytes(os::send(&self.fd, buffer, Call::Returns))
    }

    /// The same out of several buffers.
    #[inline(always)]
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> Poll<io::Result<Part>> {
        bytes(os::send_vectored(&self.fd, slices, Call::Returns))
    }

    /// Goes on with a message, as far as that needs no wait. One that is given up has to be told to [`Stream::give_up`].
    #[inline(always)]
    pub(crate) fn try_send(&self, sending: &mut Sending, message: &[u8]) -> Poll<io::Result<Part>> {
        let Some(messages) = &self.messages else {
            return self.try_write(message);
        };
        if !sending.is_torn() && messages.torn.load(Ordering::Relaxed) {
            let why =
                "a message before it went out in part, and this one would be taken for its rest";
            return Poll::Ready(Err(Fault::new(Reason::WriteLost, why).into()));
        }
        let gone = sending.go_on(&self.fd, message);
        if let Poll::Ready(Err(error)) = &gone {
            use io::ErrorKind::{BrokenPipe, ConnectionReset};
            // Of a peer that has gone there is nothing to be feared.
            if !matches!(error.kind(), BrokenPipe | ConnectionReset) {
                self.give_up(sending);
            }
        }
        gone
    }

    /// A message is not gone on with. Whether it went out in part, so that no other can be sent.
    pub(crate) fn give_up(&self, sending: &Sending) -> bool {
        if let Some(messages) = self.messages.as_ref().filter(|_| sending.is_torn()) {
            messages.torn.store(true, Ordering::Relaxed);
        }
        sending.is_torn()
    }

    /// Whether the peer has read everything. No event tells when.
    #[cfg(target_os = "linux")]
    pub(crate) fn try_drain(&self) -> Poll<io::Result<()>> {
        let look = || -> io::Result<bool> {
            if os::unread_by_peer(&self.fd)? > 0 {
                return Ok(false);
            }
            // A peer that closes throws away what it has not read, and leaves us ECONNRESET to know it by.
            match os::take_error(&self.fd)? {
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
    pub(crate) fn try_drain(&self) -> Poll<io::Result<()>> {
        let why = "this system does not tell what the peer has read: have the peer answer instead";
        Poll::Ready(Err(Fault::new(Reason::NotHere, why).into()))
    }

    pub(crate) fn read<'a>(
        &'a self,
        waiter: &'a Waiter,
        buffer: &'a mut [u8],
    ) -> impl Operation<Output = Part> + 'a {
        Attempts::new(&self.fd, waiter, PollFlags::IN, || self.try_read(buffer))
    }

    /// `recvmsg(2)` of bytes into several buffers.
    pub(crate) fn read_vectored<'a>(
        &'a self,
        waiter: &'a Waiter,
        slices: &'a mut [IoSliceMut<'_>],
    ) -> impl Operation<Output = Part> + 'a {
        Attempts::new(&self.fd, waiter, PollFlags::IN, || {
            let received = os::recv_vectored(&self.fd, slices, Call::Returns);
            bytes(received.map(|received| received.length))
        })
    }

    pub(crate) fn write<'a>(
        &'a self,
        waiter: &'a Waiter,
        buffer: &'a [u8],
        _reading: Beside<'a, Waiter>, // what Windows reads ahead by: the kernel's buffers make that needless here
    ) -> impl Operation<Output = Part> + 'a {
        Attempts::new(&self.fd, waiter, PollFlags::OUT, || self.try_write(buffer))
    }

    /// `sendmsg(2)` of bytes out of several buffers.
    pub(crate) fn write_vectored<'a>(
        &'a self,
        waiter: &'a Waiter,
        slices: &'a [IoSlice<'_>],
    ) -> impl Operation<Output = Part> + 'a {
        Attempts::new(&self.fd, waiter, PollFlags::OUT, || {
            self.try_write_vectored(slices)
        })
    }

    /// Waits until the peer has read everything.
    pub(crate) fn drain<'a>(&'a self, waiter: &'a Waiter) -> impl Operation<Output = ()> + 'a {
        Drain::new(&self.fd, waiter, || self.try_drain())
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
        _reading: Beside<'a, Waiter>, // as in `write`
    ) -> Send<'a> {
        Send::new(self, waiter, message)
    }

    /// Whether a read would be of what an earlier one has left of a packet.
    #[cfg(feature = "tokio")]
    pub(super) fn has_spilled(&self) -> bool {
        self.messages
            .as_ref()
            .is_some_and(|messages| messages.packets().has_spilled())
    }

    /// Half close: the peer reads what was written, then end of file.
    pub(crate) fn close_write(&self) -> io::Result<HalfClose> {
        if self.mode() == PipeMode::Message {
            // Behind what was sent; if there is no room for it, or no sense in it, the end that follows says as much.
            if let Poll::Ready(Err(error)) = self.try_send(&mut Sending::new(), &[]) {
                let of_system = error.raw_os_error().is_some();
                if of_system && error.kind() != io::ErrorKind::BrokenPipe {
                    return Err(error);
                }
            }
        }
        self.shut(Shutdown::Write)?;
        Ok(HalfClose)
    }

    pub(crate) fn disconnect(&self) -> io::Result<()> {
        self.shut(Shutdown::Both)
    }

    pub(crate) fn peek(&self) -> io::Result<Peek> {
        if let Some(messages) = &self.messages {
            return messages.packets().peek(&self.fd);
        }
        let mut available = os::readable(&self.fd)?;
        let mut ended = false;
        if available == 0 {
            match os::has_bytes(&self.fd) {
                // They have come meanwhile.
                Ok(true) => available = os::readable(&self.fd)?,
                Ok(false) => ended = true,
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Peek {
            available,
            message: 0,
            ended,
        })
    }

    pub(crate) fn peer_pid(&self) -> io::Result<u32> {
        peer::of(&self.fd)?.pid.ok_or_else(|| {
            let why = "this system does not tell the process at the other end of a socket";
            Fault::new(Reason::NotHere, why).into()
        })
    }

    pub(crate) fn peer_identity(&self) -> io::Result<PeerIdentity> {
        let peer = peer::of(&self.fd)?;
        Ok(PeerIdentity {
            uid: Some(peer.uid),
            gid: Some(peer.gid),
            ..PeerIdentity::default()
        })
    }

    pub(crate) fn security(&self, name: &PipeName) -> io::Result<String> {
        place::permissions(name.os_path())
    }

    /// What this end was made of.
    pub(crate) fn describe(&self) -> (PipeName, Role, PipeMode) {
        let path = match self.role {
            Role::Server => os::local_path(&self.fd),
            Role::Client => os::peer_path(&self.fd),
        };
        (
            PipeName::from_os(path.unwrap_or_default()),
            self.role,
            self.mode(),
        )
    }

    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        os::is_connected(&self.fd)
    }

    pub(crate) fn info(&self) -> io::Result<PipeInfo> {
        let buffer = u32::try_from(os::send_buffer_size(&self.fd)?).ok();
        let (input, output) = match self.role {
            Role::Server => (None, buffer),
            Role::Client => (buffer, None),
        };
        Ok(PipeInfo {
            mode: self.mode(),
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

/// The result of a call that may wait, unless it has ended without one.
fn unless_again(
    until: Option<Instant>,
    mut call: impl FnMut() -> Result<usize, Errno>,
) -> Option<io::Result<Part>> {
    loop {
        return match call() {
            Err(Errno::INTR) if until.is_none() => continue,
            Err(Errno::AGAIN | Errno::INTR | Errno::MSGSIZE) => None,
            moved => match bytes(moved) {
                Poll::Ready(moved) => Some(moved),
                Poll::Pending => None,
            },
        };
    }
}

/// The result of a call that moves bytes.
#[inline(always)]
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

/// A message on its way: one packet or several.
pub(crate) struct Send<'a> {
    stream: &'a Stream,
    waiter: &'a Waiter,
    message: &'a [u8],
    sending: Sending,
}

impl<'a> Send<'a> {
    fn new(stream: &'a Stream, waiter: &'a Waiter, message: &'a [u8]) -> Send<'a> {
        Send {
            stream,
            waiter,
            message,
            sending: Sending::new(),
        }
    }
}

impl Operation for Send<'_> {
    type Output = Part;

    #[inline(always)]
    fn poll(&mut self) -> Poll<io::Result<Part>> {
        self.stream.try_send(&mut self.sending, self.message)
    }

    #[inline(always)]
    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        let writable = (&self.stream.fd, PollFlags::OUT);
        self.waiter.wait(Some(writable), until)
    }

    fn cancel(&mut self) -> Cancelled<Part> {
        if self.stream.give_up(&self.sending) {
            Cancelled::Unknown
        } else {
            Cancelled::Nothing
        }
    }
}
