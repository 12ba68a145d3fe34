//! `PipeStream`: one open pipe between a server and a client.

#[cfg(unix)]
mod alone;
mod bytes;
mod end;
mod gather;
mod limits;
mod message;
mod peer;
mod receiving;
mod state;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::kinds::{Directions, Part, PipeMode, Role};
use crate::lane::{Failure, Lane, Operation, Turn, Waker};
use crate::name::PipeName;
use crate::sys;

/// One open pipe, full duplex: one thread may block in a read while another writes.
///
/// [`Read`](io::Read) and [`Write`](io::Write) are there for `PipeStream` and for `&PipeStream`. The peer's close is
/// `Ok(0)` for a read, whatever the system calls it, and `BrokenPipe` for a write. Dropping a stream loses nothing that
/// was written: the peer can still read it.
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
    shared: Arc<Shared>,
}

#[cfg(feature = "tokio")]
pub(crate) use gather::{Buffers, gathered};
#[cfg(all(windows, feature = "tokio"))]
pub(crate) use peer::as_client;
#[cfg(feature = "tokio")]
pub(crate) use receiving::{Received, Receiving};
#[cfg(feature = "tokio")]
pub(crate) use state::is_end;
pub(crate) use state::{Hold, Kind, READ, State, WRITE};

/// What the clones of a stream have in common.
struct Shared {
    /// Before the system's end, which closes after it: a listener's name never goes without an instance, so the next one
    /// is made first.
    _hold: Option<Hold>,
    io: sys::Stream,
    state: State,
    reading: Lane<sys::Waiter>,
    writing: Lane<sys::Waiter>,
    /// What `close_write` has begun.
    half_close: OnceLock<sys::HalfClose>,
    /// How long a read spins before it blocks, in nanoseconds.
    busy_poll: AtomicU64,
}

/// What every stream is made of, blocking or not.
pub(crate) struct Parts {
    pub(crate) hold: Option<Hold>,
    pub(crate) io: sys::Stream,
    pub(crate) state: State,
    pub(crate) half_close: Option<sys::HalfClose>,
}

impl Parts {
    pub(crate) fn new(
        io: sys::Stream,
        kind: Kind,
        name: Arc<PipeName>,
        hold: Option<Hold>,
    ) -> Parts {
        Parts {
            hold,
            io,
            state: State::new(name, kind),
            half_close: None,
        }
    }
}

impl PipeStream {
    /// One that is no listener's.
    pub(crate) fn new(io: sys::Stream, kind: Kind, name: Arc<PipeName>) -> PipeStream {
        PipeStream::from_parts(Parts::new(io, kind, name, None))
    }

    pub(crate) fn from_parts(parts: Parts) -> PipeStream {
        PipeStream {
            shared: Arc::new(Shared {
                _hold: parts.hold,
                io: parts.io,
                state: parts.state,
                reading: Lane::new(sys::Waiter::new()),
                writing: Lane::new(sys::Waiter::new()),
                half_close: parts.half_close.map(OnceLock::from).unwrap_or_default(),
                busy_poll: AtomicU64::new(0),
            }),
        }
    }

    /// All that there is to it but its limits, if nobody else has a clone of this one.
    #[cfg(feature = "tokio")]
    pub(crate) fn into_parts(self) -> Result<Parts, PipeStream> {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(Parts {
                hold: shared._hold,
                io: shared.io,
                state: shared.state,
                half_close: shared.half_close.into_inner(),
            }),
            Err(shared) => Err(PipeStream { shared }),
        }
    }

    /// A stream out of what the system knows of an open pipe.
    pub(crate) fn adopt(io: sys::Stream) -> PipeStream {
        let (name, role, mode) = io.describe();
        let kind = Kind {
            role,
            mode,
            directions: Directions::BOTH,
            max_message_size: crate::options::MAX_MESSAGE_SIZE,
        };
        PipeStream::new(io, kind, Arc::new(name))
    }

    pub(crate) fn io(&self) -> &sys::Stream {
        &self.shared.io
    }

    /// A half close that may be under way.
    #[cfg(windows)]
    pub(crate) fn half_close(&self) -> Option<&sys::HalfClose> {
        self.shared.half_close.get()
    }

    /// The system's stream, if nobody else has a clone of this one; and what holds its listener, until it is closed.
    pub(crate) fn into_io(self) -> Result<(Option<Hold>, sys::Stream), PipeStream> {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok((shared._hold, shared.io)),
            Err(shared) => Err(PipeStream { shared }),
        }
    }

    /// Another handle to the same open pipe. Deadlines, timeouts and the busy poll are the pipe's, not the handle's; the
    /// pipe closes when the last of them is dropped. A thread can end the call that another waits in, on any of them, by
    /// [`shutdown`](PipeStream::shutdown), or at the server's end by [`disconnect`](PipeStream::disconnect).
    ///
    /// # Errors
    ///
    /// None today: a clone needs nothing from the system.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::Read;
    /// use std::net::Shutdown;
    ///
    /// let mut reader = stream.try_clone()?;
    /// let reading = std::thread::spawn(move || reader.read_to_end(&mut Vec::new()));
    /// // Dropping `stream` would not end it: the other clone holds the pipe open. This does, with `Ok(0)`.
    /// stream.shutdown(Shutdown::Read)?;
    /// let _ = reading.join();
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_clone(&self) -> io::Result<PipeStream> {
        Ok(PipeStream {
            shared: self.shared.clone(),
        })
    }

    fn state(&self) -> &State {
        &self.shared.state
    }

    fn name(&self) -> &PipeName {
        self.shared.state.name()
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
        self.shared.state.mode()
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.shared.state.kind.role
    }

    fn reading(&self) -> &Lane<sys::Waiter> {
        &self.shared.reading
    }

    /// Does `work` in a turn of the reading lane.
    fn in_reading_turn<T>(
        &self,
        work: impl FnOnce(&Turn<'_, sys::Waiter>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let result = self.reading().enter().and_then(|turn| work(&turn));
        self.read_ahead_again();
        result
    }

    /// A write that waits may read ahead again, now that nobody reads.
    fn read_ahead_again(&self) {
        if self.io().reads_ahead() {
            self.shared.writing.waker().wake();
        }
    }

    /// One read of the system's, by the one whose turn it is.
    fn read_part(&self, turn: &Turn<'_, sys::Waiter>, buffer: &mut [u8]) -> Result<Part, Failure> {
        self.read_by(turn, self.io().read(self.reading().waker(), buffer))
    }

    fn read_by(
        &self,
        turn: &Turn<'_, sys::Waiter>,
        mut read: impl Operation<Output = Part>,
    ) -> Result<Part, Failure> {
        self.state().may_read()?;
        let part = turn.drive(&mut read, self.spin())?;
        self.state().note_part(part);
        Ok(part)
    }

    fn spin(&self) -> Option<Duration> {
        match self.shared.busy_poll.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    fn failed(&self, operation: &'static str, failure: Failure) -> io::Error {
        self.state().failed(operation, failure)
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
