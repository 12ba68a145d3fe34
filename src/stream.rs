//! `PipeStream`: one open pipe between a server and a client.

mod bytes;
mod end;
mod limits;
mod message;
mod peer;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::error::{self, Fault, Reason};
use crate::kinds::{Directions, Part, PipeMode, Role};
use crate::lane::{Failure, Lane, Limit, Turn, Waker};
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

/// What a stream holds of its listener, to be let go of before the system's end is closed.
pub(crate) type Hold = Box<dyn std::any::Any + Send + Sync + std::panic::RefUnwindSafe>;

/// What the clones of a stream have in common.
struct Shared {
    /// Before the system's end, which closes after it: a listener's name never goes without an instance, so the next one
    /// is made first.
    _hold: Option<Hold>,
    io: sys::Stream,
    name: Arc<PipeName>,
    role: Role,
    mode: PipeMode,
    reading: Lane<sys::Waiter>,
    writing: Lane<sys::Waiter>,
    directions: Directions,
    /// The longest message, in bytes.
    max_message_size: usize,
    /// An empty message has come where bytes are read: the end of the stream, now and later.
    read_ended: AtomicBool,
    /// A message has been received in part.
    in_message: AtomicBool,
    /// This side writes no more.
    write_closed: AtomicBool,
    /// What `close_write` has begun.
    half_close: OnceLock<sys::HalfClose>,
    /// How long a read spins before it blocks, in nanoseconds.
    busy_poll: AtomicU64,
    /// A write timed out, and nobody knows how much of it went out.
    write_lost: AtomicBool,
    /// The peer has closed without reading all that we had written.
    unread: AtomicBool,
}

const READ: &str = "read from";
const WRITE: &str = "write to";

/// What a new stream is.
pub(crate) struct Kind {
    pub(crate) role: Role,
    pub(crate) mode: PipeMode,
    pub(crate) directions: Directions,
    pub(crate) max_message_size: usize,
}

impl PipeStream {
    pub(crate) fn new(
        io: sys::Stream,
        kind: Kind,
        name: Arc<PipeName>,
        hold: Option<Hold>,
    ) -> PipeStream {
        PipeStream {
            shared: Arc::new(Shared {
                _hold: hold,
                io,
                name,
                role: kind.role,
                mode: kind.mode,
                reading: Lane::new(sys::Waiter::new()),
                writing: Lane::new(sys::Waiter::new()),
                directions: kind.directions,
                max_message_size: kind.max_message_size,
                read_ended: AtomicBool::new(false),
                in_message: AtomicBool::new(false),
                write_closed: AtomicBool::new(false),
                half_close: OnceLock::new(),
                busy_poll: AtomicU64::new(0),
                write_lost: AtomicBool::new(false),
                unread: AtomicBool::new(false),
            }),
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
        PipeStream::new(io, kind, Arc::new(name), None)
    }

    pub(crate) fn io(&self) -> &sys::Stream {
        &self.shared.io
    }

    /// The system's stream, if nobody else has a clone of this one; and what holds its listener, until it is closed.
    pub(crate) fn into_io(self) -> Result<(Option<Hold>, sys::Stream), PipeStream> {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok((shared._hold, shared.io)),
            Err(shared) => Err(PipeStream { shared }),
        }
    }

    /// Another handle to the same open pipe. Deadlines, timeouts and the busy poll are the pipe's, not the handle's; the
    /// pipe closes when the last of them is dropped.
    ///
    /// # Errors
    ///
    /// None today: a clone takes nothing of the system's.
    pub fn try_clone(&self) -> io::Result<PipeStream> {
        Ok(PipeStream {
            shared: self.shared.clone(),
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

    fn reading(&self) -> &Lane<sys::Waiter> {
        &self.shared.reading
    }

    /// Does `work` in a turn of the reading lane.
    fn in_reading_turn<T>(
        &self,
        work: impl FnOnce(&Turn<'_, sys::Waiter>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let result = self.reading().enter().and_then(|turn| work(&turn));
        if self.io().reads_ahead() {
            // A write that waits may read ahead again, now that nobody reads.
            self.shared.writing.waker().wake();
        }
        result
    }

    /// One read of the system's, by the one whose turn it is.
    fn read_part(&self, turn: &Turn<'_, sys::Waiter>, buffer: &mut [u8]) -> Result<Part, Failure> {
        self.may_read()?;
        let spin = self.spin();
        let part = turn.drive(&mut self.io().read(self.reading().waker(), buffer), spin)?;
        self.note_part(part);
        Ok(part)
    }

    fn may_read(&self) -> Result<(), Failure> {
        if self.shared.directions.read {
            return Ok(());
        }
        Err(wrong_way("writing", "read"))
    }

    fn note_part(&self, part: Part) {
        if self.mode() == PipeMode::Message {
            self.shared
                .in_message
                .store(!part.complete, Ordering::Relaxed);
        }
    }

    fn spin(&self) -> Option<Duration> {
        match self.shared.busy_poll.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    fn note_end(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::ConnectionReset {
            self.shared.unread.store(true, Ordering::Relaxed);
        }
    }

    fn failed(&self, operation: &'static str, failure: Failure) -> io::Error {
        let name = self.name();
        let fault = match failure {
            Failure::Lost => Fault::new(
                Reason::WriteLost,
                "a write timed out, and nobody can tell how much of it went out: \
                 what is written after it would be out of step, so all later writes fail with this too",
            ),
            Failure::Shut => Fault::new(
                Reason::HalfClosed,
                "this side has closed its writing half (close_write)",
            ),
            Failure::System(e) if is_end(&e) => {
                self.note_end(&e);
                Fault::new(Reason::PeerClosed, "the other side has closed the pipe").source(e)
            }
            Failure::System(e) => return error::named(operation, name, e),
            Failure::WouldBlock => Fault::new(
                Reason::WouldBlock,
                "it would have to wait, and the stream is non-blocking",
            ),
            Failure::TimedOut(limit) => timed_out(limit, operation == READ),
            Failure::Closed => Fault::new(
                Reason::HalfClosed,
                "this side has shut the stream down (shutdown)",
            ),
        };
        fault.of(operation, name)
    }
}

/// The fault of a limit that was reached.
fn timed_out(limit: Limit, read: bool) -> Fault {
    let which = if read { "read" } else { "write" };
    let why = match limit {
        Limit::Deadline => format!("the {which} deadline has passed"),
        Limit::Timeout(timeout) => {
            format!("it did not come to its end within the {which} timeout of {timeout:?}")
        }
    };
    Fault::new(Reason::DeadlinePassed, why)
}

/// The failure of a call against the direction that an end was opened for.
fn wrong_way(opened_for: &str, call: &str) -> Failure {
    let why = format!("this end was opened for {opened_for} alone, and cannot {call}");
    Failure::System(Fault::new(Reason::WrongDirection, why).into())
}

/// The errors by which the systems say that the other side has gone.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
        || sys::Stream::is_end(error)
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
