//! Connecting to a pipe's socket.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use super::directory::{self, Last, Trust};
use super::event::Event;
use super::os;
use super::peer;
use super::place;
use super::stream::{self, Stream};
use crate::attempt::{Attempt, Backoff, Connected};
use crate::error::{Fault, Reason};
use crate::identity::ExpectServer;
use crate::kinds::{Directions, PipeMode, Role};
use crate::lane::earlier;
use crate::name::PipeName;
use crate::options::{Access, ConnectOptions};

/// How long a `connect` may sit in the kernel before it looks whether it was cancelled.
#[cfg(target_os = "linux")]
const CANCEL_SLICE: Duration = Duration::from_millis(20);

/// How long a BSD or macOS client goes on after ECONNREFUSED: there a full queue looks like a dead server.
#[cfg(not(target_os = "linux"))]
const REFUSED_PATIENCE: Duration = Duration::from_millis(250);

fn refused(reason: Reason, why: String) -> Attempt<Stream> {
    Attempt::Failed(Fault::new(reason, why).into())
}

#[derive(Debug)]
pub(crate) struct Connector {
    address: SocketAddrUnix,
    /// A stream's, until the server turns out to be a message pipe's.
    mode: PipeMode,
    directions: Directions,
    /// The user whose server it shall be.
    expected: Option<u32>,
    /// Whether the socket must be where nobody else could have put it.
    look_at_directory: bool,
    path: PathBuf,
    /// What the last wait for room in a queue came back with: the next attempt's.
    #[cfg(target_os = "linux")]
    connected: Option<OwnedFd>,
    /// Made by the first wait for a server; None inside where it is unavailable.
    #[cfg(target_os = "linux")]
    watch: Option<Option<OwnedFd>>,
    #[cfg(not(target_os = "linux"))]
    refused_since: Option<Instant>,
    backoff: Backoff,
}

impl Connector {
    pub(crate) fn new(name: &PipeName, options: &ConnectOptions) -> io::Result<Connector> {
        let unsupported = |why| Err(Fault::new(Reason::NotHere, why).into());
        if let Some(ExpectServer::Sid(_)) = options.expect_server {
            return unsupported("a SID is Windows's: on Unix say ExpectServer::Uid or CurrentUser");
        }
        if let Access::Mask(_) = options.access {
            return unsupported(
                "an access mask is Windows's: on Unix say ReadWrite, Read or Write",
            );
        }
        let expected = match options.expect_server {
            Some(ExpectServer::CurrentUser) => Some(rustix::process::geteuid().as_raw()),
            Some(ExpectServer::Uid(uid)) => Some(uid),
            _ => None,
        };
        Ok(Connector {
            address: os::address(name.os_path())?,
            mode: PipeMode::Byte,
            directions: Directions {
                read: options.access != Access::Write,
                write: options.access != Access::Read,
            },
            expected,
            look_at_directory: expected.is_some() && !options.allow_shared_directory,
            path: name.os_path().to_owned(),
            #[cfg(target_os = "linux")]
            connected: None,
            #[cfg(target_os = "linux")]
            watch: None,
            #[cfg(not(target_os = "linux"))]
            refused_since: None,
            backoff: Backoff::new(),
        })
    }

    /// One attempt. It never waits.
    pub(crate) fn attempt(&mut self) -> Attempt<Stream> {
        match self.connect() {
            Ok(fd) => self.connected(fd),
            Err(error) => match Errno::from_io_error(&error) {
                // A socket of the other type is there.
                #[cfg(target_os = "linux")]
                Some(Errno::PROTOTYPE) if self.mode == PipeMode::Byte => {
                    self.mode = PipeMode::Message;
                    self.attempt()
                }
                Some(Errno::PROTOTYPE) => Attempt::Absent {
                    reason: Reason::NotASocket,
                    why: place::DATAGRAMS,
                    error,
                },
                Some(Errno::ACCESS) if place::is_out_of_reach(&self.path) => {
                    let why = format!(
                        "a directory on the way to {} may not be searched by this user",
                        self.path.display()
                    );
                    Attempt::Failed(Fault::new(Reason::NotAllowed, why).source(error).into())
                }
                Some(Errno::AGAIN) => Attempt::Busy(error),
                // What a file that is no socket is told, on Linux, by its permissions, and on the BSDs.
                Some(Errno::CONNREFUSED | Errno::ACCESS | Errno::NOTSOCK)
                    if place::is_no_socket(&self.path) =>
                {
                    Attempt::Absent {
                        reason: Reason::NotASocket,
                        why: place::NO_SOCKET,
                        error,
                    }
                }
                #[cfg(not(target_os = "linux"))]
                Some(Errno::CONNREFUSED)
                    if self
                        .refused_since
                        .get_or_insert_with(Instant::now)
                        .elapsed()
                        < REFUSED_PATIENCE =>
                {
                    Attempt::Busy(error)
                }
                Some(Errno::NOENT) => Attempt::Absent {
                    reason: Reason::NoSuchPipe,
                    why: place::NOTHING,
                    error,
                },
                Some(Errno::CONNREFUSED) => Attempt::Absent {
                    reason: Reason::StaleSocket,
                    why: "no such pipe: there is a socket at this path, and its server is gone",
                    error,
                },
                _ => Attempt::Failed(error),
            },
        }
    }

    fn connected(&self, fd: OwnedFd) -> Attempt<Stream> {
        if let Some(expected) = self.expected {
            match peer::of(&fd) {
                Err(error) => return Attempt::Failed(error),
                Ok(server) if !server.is(expected) => {
                    let why = format!(
                        "its server runs as uid {}{}, and uid {expected} was expected",
                        server.uid,
                        if server.uid == expected {
                            " (of another user namespace, so that it may be anybody)"
                        } else {
                            ""
                        }
                    );
                    return refused(Reason::UnexpectedServer, why);
                }
                Ok(_) => {}
            }
            // After the connect: what was swapped before it is seen, and nothing has been sent.
            if self.look_at_directory {
                let trust = Trust::new(Some(expected));
                if let Some(why) = directory::who_could_replace(&self.path, Last::There, trust) {
                    let why = format!(
                        "{why}, the server's socket too: have it served elsewhere, or take the risk with \
                         ConnectOptions::allow_shared_directory"
                    );
                    return refused(Reason::OpenDirectory, why);
                }
            }
        }
        let stream = Stream::new(fd, self.mode, Role::Client);
        match stream.narrow(self.directions) {
            Err(error) => Attempt::Failed(error),
            Ok(()) => Attempt::Connected(Connected {
                stream,
                directions: self.directions,
            }),
        }
    }

    /// A connected, blocking socket with nothing of ours left on it.
    fn connect(&mut self) -> io::Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        if let Some(connected) = self.connected.take() {
            return Ok(connected);
        }
        let socket = os::nonblocking_socket(stream::kind(self.mode)?)?;
        os::connect(&socket, &self.address)?;
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(socket)
    }

    /// After a busy attempt: waits for room in the server's queue. The kernel reports it at the next `accept`, to a `connect`
    /// that blocks; so this comes back with the connection. In slices, where it can be cancelled.
    #[cfg(target_os = "linux")]
    pub(crate) fn wait_free(
        &mut self,
        until: Option<Instant>,
        cancel: Option<&Event>,
    ) -> io::Result<()> {
        let end = match cancel {
            Some(_) => earlier(until, CANCEL_SLICE),
            None => until,
        };
        let socket = os::socket(stream::kind(self.mode)?)?;
        loop {
            if let Some(end) = end {
                // No time at all is what setsockopt takes for "forever".
                let left = end
                    .saturating_duration_since(Instant::now())
                    .max(Duration::from_millis(1));
                os::set_timeout(&socket, os::Timeout::Send, Some(left))?;
            }
            match os::connect(&socket, &self.address) {
                Err(Errno::INTR) => {}
                // The next attempt will tell.
                Err(_) => return Ok(()),
                Ok(()) => {
                    os::set_timeout(&socket, os::Timeout::Send, None)?;
                    self.connected = Some(socket);
                    return Ok(());
                }
            }
        }
    }

    /// After a busy attempt: nothing tells when to look again.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn wait_free(
        &mut self,
        until: Option<Instant>,
        cancel: Option<&Event>,
    ) -> io::Result<()> {
        self.sleep(until, cancel)
    }

    /// After an attempt that found no server: waits until one may have come.
    pub(crate) fn wait_server(
        &mut self,
        until: Option<Instant>,
        cancel: Option<&Event>,
    ) -> io::Result<()> {
        if self.begin_watch() {
            return Ok(());
        }
        self.sleep(until, cancel)
    }

    /// Begins to watch the place, if that has not been done. Whether it has just begun: the attempt was before it, so that one
    /// has to be made once more before any wait.
    #[cfg(target_os = "linux")]
    fn begin_watch(&mut self) -> bool {
        if self.watch.is_some() {
            return false;
        }
        self.watch = Some(self.watch_directory().ok());
        true
    }

    /// A watch of what comes to where the server's socket will be.
    #[cfg(target_os = "linux")]
    pub(super) fn watch_directory(&self) -> io::Result<OwnedFd> {
        os::watch(self.path.parent().unwrap_or(std::path::Path::new("/")))
    }

    #[cfg(not(target_os = "linux"))]
    fn begin_watch(&mut self) -> bool {
        false
    }

    #[cfg(target_os = "linux")]
    fn watch(&self) -> Option<&OwnedFd> {
        self.watch.as_ref()?.as_ref()
    }

    #[cfg(not(target_os = "linux"))]
    fn watch(&self) -> Option<&OwnedFd> {
        None
    }

    /// Until the watch reports a change, the token is cancelled, or `until`. A socket that is there but does not
    /// listen yet, and a directory that cannot be watched, are why it looks up in growing intervals besides.
    fn sleep(&mut self, until: Option<Instant>, cancel: Option<&Event>) -> io::Result<()> {
        let next = earlier(until, self.backoff.time());
        let main = self.watch().map(|fd| (fd, PollFlags::IN));
        match os::poll(main, cancel.map(Event::fd), next)? {
            os::Polled::Nothing => self.backoff.grow(),
            os::Polled::Signal => {}
            os::Polled::Main => {
                self.backoff = Backoff::new();
                #[cfg(target_os = "linux")]
                if let Some(watch) = self.watch() {
                    os::drain(watch);
                }
            }
        }
        Ok(())
    }
}
