//! `PipeStream`: one open pipe between a server and a client.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::lane::{Failure, Lane, Turn, Waker};
use crate::listener::{SECURITY, Slot};
use crate::sys;
use crate::{ConnectOptions, PipeName, connect, error};

/// Whether a pipe keeps the boundaries of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PipeMode {
    /// A stream of bytes.
    Byte,
    /// Messages.
    Message,
}

/// What one read of a message brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// How many bytes of the buffer were filled.
    pub len: usize,
    /// Whether the message ends here.
    pub complete: bool,
}

/// Which end of the pipe a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Made by [`PipeListener::accept`](crate::PipeListener::accept).
    Server,
    /// Made by [`PipeStream::connect`].
    Client,
}

/// One open pipe, full duplex: one thread may block in a read while another writes.
///
/// [`Read`] and [`Write`] are there for `PipeStream` and for `&PipeStream`. The peer's close is `Ok(0)` for a read,
/// whatever the system calls it, and `BrokenPipe` for a write. Dropping a stream loses nothing that was written: the
/// peer can still read it.
///
/// # Examples
///
/// ```no_run
/// use std::io::{BufRead, BufReader, Write};
/// use npipe::PipeStream;
///
/// let stream = PipeStream::connect("mypipe")?;
/// writeln!(&stream, "Hello from Rust")?;
/// let mut answer = String::new();
/// BufReader::new(&stream).read_line(&mut answer)?;
/// println!("{}", answer.trim_end());
/// # std::io::Result::Ok(())
/// ```
pub struct PipeStream {
    // Before the handle: a listener's name never goes without an instance, so the next one is made before this closes.
    shared: Arc<Shared>,
    io: sys::Stream,
}

/// Which ways an end of a pipe was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directions {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Directions {
    pub(crate) const BOTH: Directions = Directions {
        read: true,
        write: true,
    };
}

/// What the clones of a stream have in common.
struct Shared {
    _slot: Option<Slot>,
    name: Arc<PipeName>,
    role: Role,
    mode: PipeMode,
    reading: Lane<sys::Waiter>,
    writing: Lane<sys::Waiter>,
    directions: Directions,
    /// An empty message has come where bytes are read: the end of the stream, now and later.
    read_ended: AtomicBool,
    /// A message has been received in part.
    in_message: AtomicBool,
    /// What `close_write` has begun.
    half_close: OnceLock<sys::HalfClose>,
    /// How long a read spins before it blocks, in nanoseconds.
    busy_poll: AtomicU64,
    /// A write timed out, and nobody knows how much of it went out.
    write_lost: AtomicBool,
    /// The peer has closed without reading all that we had written.
    unread: AtomicBool,
}

pub(crate) const READ: &str = "read from";
pub(crate) const WRITE: &str = "write to";

impl PipeStream {
    /// Connects to the pipe `name`, in any of the spellings of [`PipeName`], with the defaults of [`ConnectOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`ConnectOptions::connect`].
    pub fn connect(name: impl AsRef<OsStr>) -> io::Result<PipeStream> {
        ConnectOptions::new().connect(name)
    }

    pub(crate) fn connect_with(name: PipeName, options: &ConnectOptions) -> io::Result<PipeStream> {
        let connected = connect::connect(&name, options)?;
        Ok(PipeStream::new(
            connected.stream,
            Role::Client,
            connected.mode,
            connected.directions,
            Arc::new(name),
            None,
        ))
    }

    pub(crate) fn new(
        io: sys::Stream,
        role: Role,
        mode: PipeMode,
        directions: Directions,
        name: Arc<PipeName>,
        slot: Option<Slot>,
    ) -> PipeStream {
        PipeStream {
            shared: Arc::new(Shared {
                _slot: slot,
                name,
                role,
                mode,
                reading: Lane::new(sys::Waiter::new()),
                writing: Lane::new(sys::Waiter::new()),
                directions,
                read_ended: AtomicBool::new(false),
                in_message: AtomicBool::new(false),
                half_close: OnceLock::new(),
                busy_poll: AtomicU64::new(0),
                write_lost: AtomicBool::new(false),
                unread: AtomicBool::new(false),
            }),
            io,
        }
    }

    /// A stream out of what the system knows of an open pipe.
    pub(crate) fn adopt(io: sys::Stream) -> PipeStream {
        let (name, role, mode) = io.describe();
        PipeStream::new(io, role, mode, Directions::BOTH, Arc::new(name), None)
    }

    pub(crate) fn io(&self) -> &sys::Stream {
        &self.io
    }

    pub(crate) fn into_io(self) -> sys::Stream {
        self.io
    }

    /// Another handle to the same open pipe. Deadlines, timeouts and the busy poll are the pipe's, not the handle's.
    ///
    /// # Errors
    ///
    /// What the system says when it has no descriptors left.
    pub fn try_clone(&self) -> io::Result<PipeStream> {
        let io = self
            .io
            .try_clone()
            .map_err(|e| error::from_os("clone", self.name(), e))?;
        Ok(PipeStream {
            shared: self.shared.clone(),
            io,
        })
    }

    fn name(&self) -> &PipeName {
        &self.shared.name
    }

    /// The pipe's address. Both ends of a pipe have the same.
    pub fn local_addr(&self) -> &PipeName {
        self.name()
    }

    /// The pipe's address. Both ends of a pipe have the same.
    pub fn peer_addr(&self) -> &PipeName {
        self.name()
    }

    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.shared.mode
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.shared.role
    }

    /// When reads and writes give up: [`set_read_deadline`](PipeStream::set_read_deadline) and
    /// [`set_write_deadline`](PipeStream::set_write_deadline) in one.
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.set_read_deadline(deadline)?;
        self.set_write_deadline(deadline)
    }

    /// When reads give up, the pending one and all later ones, on every clone. `None`, the default, is never.
    ///
    /// Past it a read is `TimedOut`. No byte is lost by it, and a later deadline makes the stream usable again. Setting one
    /// does not fail today.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::{ErrorKind, Read};
    /// use std::time::{Duration, Instant};
    ///
    /// let mut buffer = [0; 1024];
    /// stream.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// match (&stream).read(&mut buffer) {
    ///     Ok(length) => println!("{length} bytes"),
    ///     Err(e) if e.kind() == ErrorKind::TimedOut => println!("nothing for 5 s"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.shared.reading.set_deadline(deadline);
        Ok(())
    }

    /// When writes give up, the pending one and all later ones, on every clone. `None`, the default, is never.
    ///
    /// Past it a write is `TimedOut`. A write reports the bytes that went out before. Where the system cannot tell how
    /// many they were (Windows, a write larger than the free buffer), the error says so, and later writes fail with
    /// the same error, so that the stream is not corrupted in silence.
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.shared.writing.set_deadline(deadline);
        Ok(())
    }

    /// How long each read may take. `None`, the default, is forever. Where there is a deadline too, the earlier one counts.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero, as in `std`.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.check_timeout("set_read_timeout of", timeout)?;
        self.shared.reading.set_timeout(timeout);
        Ok(())
    }

    /// How long each write may take. `None`, the default, is forever. Where there is a deadline too, the earlier one counts.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero, as in `std`.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.check_timeout("set_write_timeout of", timeout)?;
        self.shared.writing.set_timeout(timeout);
        Ok(())
    }

    fn check_timeout(&self, operation: &'static str, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(error::because(
                ErrorKind::InvalidInput,
                operation,
                self.name(),
                "a timeout of zero lets nothing happen: give more, or None for no timeout",
            ));
        }
        Ok(())
    }

    /// How long a read spins on data that is about to come before it blocks. `None`, the default, is not at all.
    ///
    /// It trades a core for the time that a wake-up takes, where both ends answer within microseconds on cores of
    /// their own.
    pub fn set_busy_poll(&self, spin: Option<Duration>) -> io::Result<()> {
        let nanos = spin.map_or(0, |spin| u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX));
        self.shared.busy_poll.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn reading(&self) -> &Lane<sys::Waiter> {
        &self.shared.reading
    }

    /// Does `work` in a turn of the reading lane.
    pub(crate) fn in_reading_turn<T>(
        &self,
        work: impl FnOnce(&Turn<'_, sys::Waiter>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let result = self.reading().enter().and_then(|turn| work(&turn));
        if self.io.reads_ahead() {
            // A write that waits may read ahead again, now that nobody reads.
            self.shared.writing.waker().wake();
        }
        result
    }

    /// One read of the system's, by the one whose turn it is.
    pub(crate) fn read_part(
        &self,
        turn: &Turn<'_, sys::Waiter>,
        buffer: &mut [u8],
    ) -> Result<Part, Failure> {
        if !self.shared.directions.read {
            return Err(Failure::System(wrong_way("writing", "read")));
        }
        let spin = match self.shared.busy_poll.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        };
        let part = turn.drive(&mut self.io.read(self.reading().waker(), buffer), spin)?;
        if self.mode() == PipeMode::Message {
            self.shared
                .in_message
                .store(!part.complete, Ordering::Relaxed);
        }
        Ok(part)
    }

    /// Whether the rest of a message is still to be received.
    pub(crate) fn is_in_message(&self) -> bool {
        self.shared.in_message.load(Ordering::Relaxed)
    }

    fn read_bytes(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.in_reading_turn(|turn| {
            if self.shared.read_ended.load(Ordering::Relaxed) {
                return Ok(0);
            }
            let part = self.read_part(turn, buffer)?;
            if part.len == 0 && self.mode() == PipeMode::Message {
                // The peer's half close, where there is no other (go-winio's and Docker's convention). It lasts.
                self.shared.read_ended.store(true, Ordering::Relaxed);
            }
            Ok(part.len)
        });
        match read {
            Err(Failure::System(e)) if is_end(&e) => {
                self.note_end(&e);
                Ok(0)
            }
            read => read.map_err(|failure| self.failed(READ, failure)),
        }
    }

    fn write_bytes(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.write_once(bytes)
    }

    /// One write of the system's: of bytes, or of a whole message, which may be empty.
    pub(crate) fn write_once(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.shared.writing.enter().and_then(|turn| {
            if !self.shared.directions.write {
                return Err(Failure::System(wrong_way("reading", "write")));
            }
            if self.shared.half_close.get().is_some() {
                return Err(Failure::Shut);
            }
            if self.mode() == PipeMode::Message && u32::try_from(bytes.len()).is_err() {
                return Err(Failure::System(io::Error::new(
                    ErrorKind::InvalidInput,
                    "a message has at most 4 GiB, less one byte",
                )));
            }
            if self.shared.write_lost.load(Ordering::Relaxed) {
                return Err(Failure::Lost);
            }
            let (io, waiter) = (&self.io, self.shared.writing.waker());
            let written = match self.mode() {
                PipeMode::Byte => turn.drive(&mut io.write(waiter, bytes, self.reading()), None),
                PipeMode::Message => turn.drive(&mut io.send(waiter, bytes, self.reading()), None),
            };
            if matches!(written, Err(Failure::Lost)) {
                self.shared.write_lost.store(true, Ordering::Relaxed);
            }
            Ok(written?.len)
        });
        written.map_err(|failure| self.failed(WRITE, failure))
    }

    pub(crate) fn note_end(&self, error: &io::Error) {
        if error.kind() == ErrorKind::ConnectionReset {
            self.shared.unread.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn failed(&self, operation: &'static str, failure: Failure) -> io::Error {
        let name = self.name();
        match failure {
            Failure::Lost => error::because(
                ErrorKind::TimedOut,
                operation,
                name,
                "a write timed out, and the system cannot tell how much of it went out: \
                 what is written after it would be out of step, so all later writes fail with this too",
            ),
            Failure::Begun => error::because(
                ErrorKind::TimedOut,
                operation,
                name,
                "the deadline passed with a part of the message sent: the rest goes out before what is sent next, \
                 and sending the same message again sends the rest alone",
            ),
            Failure::Shut => error::because(
                ErrorKind::BrokenPipe,
                operation,
                name,
                "this side has closed its writing half (close_write)",
            ),
            Failure::System(e) if is_end(&e) => {
                self.note_end(&e);
                error::explained(
                    ErrorKind::BrokenPipe,
                    operation,
                    name,
                    "the other side has closed the pipe",
                    e,
                )
            }
            Failure::System(e) => error::from_os(operation, name, e),
            Failure::TimedOut | Failure::Closed => error::timed_out(operation, name),
        }
    }

    /// The security of the pipe as the system has it, in the form of
    /// [`PipeListener::security_descriptor`](crate::PipeListener::security_descriptor). (Its SDDL has an owner that
    /// a client may want to know; [`ConnectOptions::expect_server`] checks it.)
    ///
    /// # Errors
    ///
    /// What the system says; `NotFound` on Unix once the socket file is gone.
    pub fn security_descriptor(&self) -> io::Result<String> {
        self.io
            .security(self.name())
            .map_err(|e| error::from_os(SECURITY, self.name(), e))
    }

    /// Whether the peer still has its end of the pipe. It takes nothing and never blocks.
    ///
    /// `false`: the peer has closed, or was disconnected, and nothing that is written now arrives; what it had sent can
    /// still be read. A half close leaves the pipe connected. (Unix: not where it closes the last direction that was
    /// open: after those of both sides, or of the writing side of a pipe that goes one way.)
    ///
    /// The answer may be out of date at once: a program that reads or writes anyway learns the same from that.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// if !stream.is_connected()? {
    ///     println!("nobody is there to read the rest");
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn is_connected(&self) -> io::Result<bool> {
        match self.io.is_connected() {
            Err(e) if is_end(&e) => Ok(false),
            known => known.map_err(|e| error::from_os("look at", self.name(), e)),
        }
    }

    /// Blocks until the peer has read all that was written, within the write deadline. ([`Write::flush`] does not
    /// block.)
    ///
    /// # Errors
    ///
    /// * `TimedOut`: the write deadline or timeout passed.
    /// * `BrokenPipe`: the peer has closed before it had read everything. (Once a peer has gone, Windows no longer tells
    ///   whether it had, and this is `Ok`.)
    /// * `Unsupported`: on Unix systems other than Linux, which do not tell what has been read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::Write;
    /// use std::time::{Duration, Instant};
    ///
    /// (&stream).write_all(b"goodbye")?;
    /// stream.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// stream.wait_drained()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn wait_drained(&self) -> io::Result<()> {
        const OPERATION: &str = "wait_drained on";
        let lane = &self.shared.writing;
        let drained = lane.enter().and_then(|turn| {
            if self.shared.unread.load(Ordering::Relaxed) {
                return Err(Failure::System(ErrorKind::ConnectionReset.into()));
            }
            turn.drive(&mut self.io.drain(lane.waker()), None)
        });
        drained.map_err(|failure| match failure {
            Failure::System(e) if is_end(&e) => {
                self.note_end(&e);
                error::explained(
                    ErrorKind::BrokenPipe,
                    OPERATION,
                    self.name(),
                    "the other side has closed the pipe without reading everything",
                    e,
                )
            }
            other => self.failed(OPERATION, other),
        })
    }

    /// Half close: the peer reads what was written, then end of file; what it sends can still be read here. Writes
    /// of this side are `BrokenPipe` from then on. It does not block.
    ///
    /// On a message pipe it is an empty message, as go-winio's and Docker's half close is: the peer's `Read` is at its end
    /// from there on, and its [`recv`](PipeStream::recv) gets `Some(0)`. Windows: it goes out once the peer has read what
    /// is ahead of it, since peers that read a message pipe as bytes would not see it otherwise. Unix: `shutdown(SHUT_WR)`,
    /// on a message pipe behind that message.
    ///
    /// # Errors
    ///
    /// `Unsupported` on a Windows byte pipe, which has no such thing: drop the stream, or end your messages with a mark of
    /// their own. `TimedOut`: the write deadline passed while another write was still under way.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::{Read, Write};
    ///
    /// (&stream).write_all(b"request")?;
    /// stream.close_write()?;
    /// let mut reply = Vec::new();
    /// (&stream).read_to_end(&mut reply)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn close_write(&self) -> io::Result<()> {
        const OPERATION: &str = "close_write of";
        let closed = self.shared.writing.enter().and_then(|_turn| {
            if self.shared.half_close.get().is_some() {
                return Ok(());
            }
            match self.io.close_write(self.mode()) {
                Ok(half_close) => drop(self.shared.half_close.set(half_close)),
                // The peer has gone already: there is nobody to tell.
                Err(e) if is_end(&e) => {}
                Err(e) => return Err(Failure::System(e)),
            }
            Ok(())
        });
        closed.map_err(|failure| self.failed(OPERATION, failure))
    }

    /// Cuts this client off at once: what it has not read may be lost. The listener goes on, and the same client may
    /// connect again. This side's reads are end of file afterwards, and its writes `BrokenPipe`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` on a client's stream, which is closed by dropping it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// let stream = listener.accept()?;
    /// if stream.peer_pid()? == 4711 {
    ///     stream.disconnect()?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn disconnect(&self) -> io::Result<()> {
        const OPERATION: &str = "disconnect";
        if self.role() == Role::Client {
            return Err(error::because(
                ErrorKind::InvalidInput,
                OPERATION,
                self.name(),
                "only the server can disconnect a client: a client drops its stream instead",
            ));
        }
        self.io
            .disconnect()
            .map_err(|e| error::from_os(OPERATION, self.name(), e))
    }
}

/// The error of a call against the direction that an end was opened for.
fn wrong_way(opened_for: &str, call: &str) -> io::Error {
    io::Error::new(
        ErrorKind::PermissionDenied,
        format!("this end was opened for {opened_for} alone, and cannot {call}"),
    )
}

/// The errors by which the systems say that the other side has gone.
pub(crate) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected
    ) || sys::Stream::is_end(error)
}

impl Read for &PipeStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_bytes(buffer)
    }
}

impl Read for PipeStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_bytes(buffer)
    }
}

impl Write for &PipeStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_bytes(bytes)
    }

    /// Does nothing, since nothing is held back here. [`PipeStream::wait_drained`] waits for the peer.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for PipeStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_bytes(bytes)
    }

    /// Does nothing, since nothing is held back here. [`PipeStream::wait_drained`] waits for the peer.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for PipeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeStream")
            .field("name", self.name())
            .field("role", &self.role())
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}
