//! A name that is held: a listening socket at its place.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::event::Waiter;
use super::os;
use super::peer;
use super::place::{self, Place, Wanted};
use super::stream::Stream;
use crate::error::{self, Fault, Reason};
use crate::info::PipeInfo;
use crate::kinds::{Directions, PipeMode, Role};
use crate::lane::{Cancelled, Lane, Operation, Waited, Waker};
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::security::Security;
use crate::slots::Slots;

const OPERATION: &str = "bind";

/// How many clients that are not to be served are cut off before a call looks whether it still may go on.
pub(super) const REFUSED_A_TURN: usize = 8;

#[derive(Debug)]
pub(crate) struct Listener {
    /// Once closed, a descriptor for something that nobody connects to.
    socket: OwnedFd,
    closed: AtomicBool,
    /// What moves a call that waits in the lane.
    waiter: Arc<Waiter>,
    slots: Slots,
    /// None once closed, and of a socket that was handed over, whose file is not ours.
    place: Mutex<Option<Place>>,
    path: PathBuf,
    output_buffer_size: Option<u32>,
    mode: PipeMode,
    directions: Directions,
    current_user_only: bool,
}

/// What one look at a listener's queue brought.
#[derive(Debug)]
pub(crate) enum Accepted {
    Client(Stream),
    /// One was cut off that is not to be served: others may be there.
    Refused,
    /// Nobody is there, or no slot is free.
    Nobody,
}

impl Listener {
    pub(crate) fn bind(
        name: &PipeName,
        options: &ListenOptions,
    ) -> io::Result<(Listener, Lane<Arc<Waiter>>)> {
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
        let fail = |e| error::named(OPERATION, name, e);
        let socket = os::socket(super::stream::kind(mode).map_err(fail)?).map_err(fail)?;
        rustix::io::ioctl_fionbio(&socket, true).map_err(|e| fail(e.into()))?;
        let waiter = Arc::new(Waiter::ready().map_err(fail)?);
        // The kernel cuts it down to what it allows (net.core.somaxconn).
        let backlog = options
            .backlog
            .map_or(i32::MAX, |b| i32::try_from(b).unwrap_or(i32::MAX));
        let wanted = Wanted {
            mode: permissions,
            backlog,
            shared: options.allow_shared_directory,
        };
        let place = Place::take(&socket, name.os_path(), wanted).map_err(fail)?;
        let lane = Lane::new(waiter.clone());
        let listener = Listener::new(socket, waiter, Some(place), name, options);
        Ok((listener, lane))
    }

    /// A listener of a socket that listens already, and was handed over.
    pub(super) fn adopt(
        socket: OwnedFd,
    ) -> io::Result<(Listener, PipeName, ListenOptions, Lane<Arc<Waiter>>)> {
        let wrong = |why| Err(Fault::new(Reason::WrongHandle, why).into());
        if !os::is_listening(&socket) {
            return wrong("this descriptor is no socket that listens");
        }
        let Some(path) = os::local_path(&socket) else {
            return wrong("this socket is none of the local kind");
        };
        let waiter = Arc::new(Waiter::ready()?);
        #[cfg(target_vendor = "apple")]
        os::without_sigpipe(&socket)?;
        // Another process that has it may take the client that a poll reported.
        rustix::io::ioctl_fionbio(&socket, true)?;
        let options = ListenOptions::new().message_mode(os::is_packets(&socket));
        let name = PipeName::from_os(path);
        let lane = Lane::new(waiter.clone());
        let listener = Listener::new(socket, waiter, None, &name, &options);
        Ok((listener, name, options, lane))
    }

    fn new(
        socket: OwnedFd,
        waiter: Arc<Waiter>,
        place: Option<Place>,
        name: &PipeName,
        options: &ListenOptions,
    ) -> Listener {
        Listener {
            socket,
            closed: AtomicBool::new(false),
            waiter,
            slots: Slots::new(options.max_instances),
            place: Mutex::new(place),
            path: name.os_path().to_owned(),
            output_buffer_size: options.output_buffer_size.filter(|&bytes| bytes > 0),
            mode: options.mode(),
            directions: options.direction.of_server(),
            current_user_only: options.current_user_clients_only,
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// One look at the queue; another makes sense once the socket is readable, or a slot free.
    pub(crate) fn try_accept(&self) -> io::Result<Accepted> {
        loop {
            if self.closed.load(Ordering::SeqCst) || self.slots.free() == 0 {
                return Ok(Accepted::Nobody);
            }
            // Where no descriptor is free the client stays in the queue.
            match os::accept(&self.socket) {
                Ok(fd) => {
                    let Some(stream) = self.admit(fd)? else {
                        return Ok(Accepted::Refused); // its descriptor is closed
                    };
                    self.slots.take();
                    return Ok(Accepted::Client(stream));
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return Ok(Accepted::Nobody),
                Err(_) if self.closed.load(Ordering::SeqCst) => return Ok(Accepted::Nobody),
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(crate) fn accept(&self) -> Accept<'_> {
        Accept {
            listener: self,
            more: false,
        }
    }

    /// Makes a stream of a client that came, unless it is one that is not to be served.
    fn admit(&self, fd: OwnedFd) -> io::Result<Option<Stream>> {
        if self.current_user_only && !peer::of(&fd)?.is(rustix::process::geteuid().as_raw()) {
            return Ok(None);
        }
        if let Some(bytes) = self.output_buffer_size {
            os::set_send_buffer_size(&fd, bytes);
        }
        let stream = Stream::new(fd, self.mode, Role::Server);
        stream.narrow(self.directions)?;
        Ok(Some(stream))
    }

    pub(crate) fn security(&self) -> io::Result<String> {
        place::permissions(&self.path)
    }

    pub(crate) fn info(&self) -> io::Result<PipeInfo> {
        Ok(PipeInfo {
            mode: self.mode,
            instances: None,
            max_instances: self.slots.most(),
            input_buffer_size: None,
            output_buffer_size: self.output_buffer_size,
        })
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// A slot has come free: whoever waits for one may look again.
    pub(crate) fn released(&self) {
        self.waiter.wake();
    }

    /// Gives up the name. Called by the one who holds the lane, once it is closed.
    pub(crate) fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        // The file first: a name that is there is one that answers.
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = place.take() {
            place.give_back();
        }
        self.waiter.put_in_place_of(&self.socket);
    }
}

/// Waits for a client, and for a slot to put it in.
pub(crate) struct Accept<'a> {
    listener: &'a Listener,
    /// It was not for want of clients that the last look brought none.
    more: bool,
}

impl Operation for Accept<'_> {
    type Output = Stream;

    fn poll(&mut self) -> Poll<io::Result<Stream>> {
        for _ in 0..REFUSED_A_TURN {
            match self.listener.try_accept() {
                Ok(Accepted::Client(stream)) => return Poll::Ready(Ok(stream)),
                Ok(Accepted::Refused) => {}
                Ok(Accepted::Nobody) => {
                    self.more = false;
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.more = true;
        Poll::Pending
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        if self.more {
            let expired = until.is_some_and(|until| Instant::now() >= until);
            return Ok(if expired {
                Waited::Expired
            } else {
                Waited::Ready
            });
        }
        let listener = self.listener;
        let client = (listener.slots.free() > 0).then_some((&listener.socket, PollFlags::IN));
        listener.waiter.wait(client, until)
    }

    fn cancel(&mut self) -> Cancelled<Stream> {
        Cancelled::Nothing
    }
}
