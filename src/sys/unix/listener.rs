//! A name that is held: a listening socket at its place.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
#[cfg(feature = "tokio")]
use rustix::fd::{AsRawFd, RawFd};
use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};

use super::event::Waiter;
use super::os;
use super::place::{self, Place, Wanted};
use super::stream::Stream;
use crate::error::{self, Fault, Reason};
use crate::info::PipeInfo;
use crate::kinds::Directions;
use crate::kinds::PipeMode;
use crate::lane::{Cancelled, Lane, Operation, Waited, Waker};
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::security::Security;
use crate::slots::Slots;

const OPERATION: &str = "bind";

#[derive(Debug)]
pub(crate) struct Listener {
    /// None once closed. Held by the one call that is in the lane, so that nobody ever waits for it.
    open: Mutex<Option<Open>>,
    path: PathBuf,
    output_buffer_size: Option<usize>,
    max_instances: Option<u32>,
    mode: PipeMode,
    directions: Directions,
    current_user_only: bool,
}

#[derive(Debug)]
struct Open {
    socket: OwnedFd,
    place: Place,
}

impl Listener {
    pub(crate) fn bind(
        name: &PipeName,
        options: &ListenOptions,
        _slots: &Slots,
    ) -> io::Result<(Listener, Lane<Waiter>)> {
        let permissions = match options.security {
            Security::OwnerOnly => Some(0o600),
            Security::Everyone => Some(0o666),
            Security::OsDefault => None,
            Security::Mode(mode) if mode <= 0o1777 => Some(mode),
            Security::Mode(mode) => {
                let why = format!(
                    "mode {mode:#o} has more than the permission bits and the sticky one: 0 to 0o1777 are allowed"
                );
                return Err(Fault::new(Reason::WrongOption, why).of(OPERATION, name));
            }
            Security::Sddl(_) => {
                let why = "SDDL is Windows's: on Unix say Security::Mode, OwnerOnly or Everyone";
                return Err(Fault::new(Reason::NotHere, why).of(OPERATION, name));
            }
        };
        let mode = options.mode();
        if mode == PipeMode::Message && !cfg!(target_os = "linux") {
            let why = "the local sockets of this system keep no message boundaries: use a byte pipe, and mark where \
                       messages end";
            return Err(Fault::new(Reason::NotHere, why).of(OPERATION, name));
        }
        let kind = match mode {
            PipeMode::Byte => SocketType::STREAM,
            PipeMode::Message => SocketType::SEQPACKET,
        };
        let socket = os::socket(kind)
            .and_then(|socket| {
                rustix::io::ioctl_fionbio(&socket, true)?;
                Ok(socket)
            })
            .map_err(|e| error::named(OPERATION, name, e))?;
        // The kernel cuts it down to what it allows (net.core.somaxconn).
        let backlog = options
            .backlog
            .map_or(i32::MAX, |b| i32::try_from(b).unwrap_or(i32::MAX));
        let wanted = Wanted {
            mode: permissions,
            backlog,
            shared: options.allow_shared_directory,
        };
        let place = Place::take(&socket, name.os_path(), wanted)
            .map_err(|e| error::named(OPERATION, name, e))?;
        let output_buffer_size = options
            .output_buffer_size
            .filter(|&bytes| bytes > 0)
            .map(|bytes| bytes as usize);
        let listener = Listener {
            open: Mutex::new(Some(Open { socket, place })),
            path: name.os_path().to_owned(),
            output_buffer_size,
            max_instances: options.max_instances,
            mode,
            directions: options.direction.of_server(),
            current_user_only: options.current_user_clients_only,
        };
        Ok((listener, Lane::new(Waiter::new())))
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn accept<'a>(&'a self, waiter: &'a Waiter, slots: &'a Slots) -> Accept<'a> {
        Accept {
            open: self.open(),
            listener: self,
            waiter,
            slots,
        }
    }

    /// The number of the socket, until it is closed.
    #[cfg(feature = "tokio")]
    pub(super) fn socket(&self) -> Option<RawFd> {
        Some(self.open().as_ref()?.socket.as_raw_fd())
    }

    /// Makes a stream of a client that came, unless it is one that is not to be served.
    fn admit(&self, fd: OwnedFd) -> io::Result<Option<Stream>> {
        if self.current_user_only && !os::peer(&fd)?.is(rustix::process::geteuid().as_raw()) {
            return Ok(None);
        }
        if let Some(bytes) = self.output_buffer_size {
            // A wish, as it is on every system: the kernel has limits of its own.
            let _ = sockopt::set_socket_send_buffer_size(&fd, bytes);
        }
        let stream = Stream::new(fd, self.mode);
        stream.narrow(self.directions)?;
        Ok(Some(stream))
    }

    pub(crate) fn security(&self) -> io::Result<String> {
        place::permissions(&self.path)
    }

    pub(crate) fn info(&self, mode: PipeMode) -> io::Result<PipeInfo> {
        Ok(PipeInfo {
            mode,
            instances: None,
            max_instances: self.max_instances,
            input_buffer_size: None,
            output_buffer_size: self
                .output_buffer_size
                .and_then(|bytes| u32::try_from(bytes).ok()),
        })
    }

    /// A stream of this listener is gone: whoever waits for its slot may look again.
    pub(crate) fn released(&self, waiter: &Waiter, _slots: &Slots) {
        waiter.wake();
    }

    /// Gives up the name. Called by the one who holds the lane, once it is closed.
    pub(crate) fn close(&self, _waiter: &Waiter) {
        if let Some(open) = self.open().take() {
            // The file first: a name that is there is one that answers.
            open.place.give_back();
        }
    }
}

/// Waits for a client, and for a slot to put it in.
pub(crate) struct Accept<'a> {
    open: MutexGuard<'a, Option<Open>>,
    listener: &'a Listener,
    waiter: &'a Waiter,
    slots: &'a Slots,
}

impl Operation for Accept<'_> {
    type Output = Stream;

    fn poll(&mut self) -> Poll<io::Result<Stream>> {
        let Some(open) = &*self.open else {
            return Poll::Pending; // closed: the lane says so
        };
        if self.slots.free() == 0 {
            return Poll::Pending;
        }
        loop {
            match os::accept(&open.socket) {
                Ok(fd) => match self.listener.admit(fd) {
                    Ok(Some(stream)) => {
                        self.slots.take();
                        return Poll::Ready(Ok(stream));
                    }
                    Ok(None) => {} // cut off: its descriptor is closed
                    Err(error) => return Poll::Ready(Err(error)),
                },
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        let client = match &*self.open {
            Some(open) if self.slots.free() > 0 => Some((&open.socket, PollFlags::IN)),
            _ => None,
        };
        self.waiter.wait(client, until)
    }

    fn cancel(&mut self) -> Cancelled<Stream> {
        Cancelled::Nothing
    }
}
