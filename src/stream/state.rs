//! What a stream is and how far it has come, for blocking and for async streams alike: what its calls may do, and the
//! words of their failures.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{self, Fault, Reason};
use crate::kinds::{Directions, Part, Peek, PipeMode, Role};
use crate::lane::{Failure, Limit};
use crate::name::PipeName;
use crate::sys;

/// The operations' names in errors.
pub(crate) const READ: &str = "read from";
pub(crate) const WRITE: &str = "write to";
pub(crate) const DRAIN: &str = "wait_drained on";

/// The room that is made for a message of unknown length, in bytes.
pub(crate) const FIRST_ROOM: usize = 4096;

/// What a stream holds of its listener, released before the system's end is closed.
pub(crate) type Hold = Box<dyn std::any::Any + Send + Sync + std::panic::RefUnwindSafe>;

/// What a new stream is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) role: Role,
    pub(crate) mode: PipeMode,
    pub(crate) directions: Directions,
    /// The longest message, in bytes.
    pub(crate) max_message_size: usize,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: Arc<PipeName>,
    pub(crate) kind: Kind,
    /// An empty message has come where bytes are read: the end of the stream, now and later.
    read_ended: AtomicBool,
    /// A message has been received in part.
    in_message: AtomicBool,
    /// How long the last message was that was received whole: the next is likely to be like it.
    last_length: AtomicUsize,
    /// How many replies to `transact` are still to come.
    owed: AtomicUsize,
    /// This side writes no more.
    write_closed: AtomicBool,
    /// A write timed out, and nobody knows how much of it went out.
    write_lost: AtomicBool,
    /// The peer has closed without reading all that we had written.
    unread: AtomicBool,
}

impl State {
    pub(crate) fn new(name: Arc<PipeName>, kind: Kind) -> State {
        State {
            name,
            kind,
            read_ended: AtomicBool::new(false),
            in_message: AtomicBool::new(false),
            last_length: AtomicUsize::new(FIRST_ROOM),
            owed: AtomicUsize::new(0),
            write_closed: AtomicBool::new(false),
            write_lost: AtomicBool::new(false),
            unread: AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &PipeName {
        &self.name
    }

    pub(crate) fn mode(&self) -> PipeMode {
        self.kind.mode
    }

    /// Whether this end may read, or why not.
    pub(crate) fn may_read(&self) -> Result<(), Failure> {
        if self.kind.directions.read {
            return Ok(());
        }
        Err(wrong_way("writing", "read"))
    }

    /// Whether this end may still write, or why not.
    pub(crate) fn may_write(&self) -> Result<(), Failure> {
        if !self.kind.directions.write {
            return Err(wrong_way("reading", "write"));
        }
        if self.is_write_closed() {
            return Err(Failure::Shut);
        }
        if self.write_lost.load(Ordering::Relaxed) {
            return Err(Failure::Lost);
        }
        Ok(())
    }

    pub(crate) fn is_write_closed(&self) -> bool {
        self.write_closed.load(Ordering::Relaxed)
    }

    pub(crate) fn close_write(&self) {
        self.write_closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lose_write(&self) {
        self.write_lost.store(true, Ordering::Relaxed);
    }

    /// Whether what is read as bytes has come to its end.
    pub(crate) fn is_read_ended(&self) -> bool {
        self.read_ended.load(Ordering::Relaxed)
    }

    /// Takes note of what a read of bytes brought.
    pub(crate) fn note_bytes(&self, length: usize) {
        if length == 0 && self.mode() == PipeMode::Message {
            // The peer's half close, where there is no other (go-winio's and Docker's convention). It lasts.
            self.read_ended.store(true, Ordering::Relaxed);
        }
    }

    /// Takes note of what any read brought.
    pub(crate) fn note_part(&self, part: Part) {
        if self.mode() == PipeMode::Message {
            self.in_message.store(!part.complete, Ordering::Relaxed);
            if part.complete && self.owed() > 0 {
                // In the reading turn: nobody else takes one away.
                self.owed.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// A request has gone out: the peer owes one reply more.
    pub(crate) fn owe(&self) {
        self.owed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many replies the peer owes, those to requests whose wait timed out included.
    pub(crate) fn owed(&self) -> usize {
        self.owed.load(Ordering::Relaxed)
    }

    /// Whether the rest of a message is still to be received.
    pub(crate) fn is_in_message(&self) -> bool {
        self.in_message.load(Ordering::Relaxed)
    }

    pub(crate) fn last_length(&self) -> usize {
        self.last_length.load(Ordering::Relaxed)
    }

    pub(super) fn note_length(&self, length: usize) {
        self.last_length.store(length, Ordering::Relaxed);
    }

    pub(crate) fn note_end(&self, error: &io::Error) {
        if error.kind() == ErrorKind::ConnectionReset {
            self.unread.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the peer is known to have left something unread for good.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// What a read of bytes says of an end: 0, whatever the system calls it, this side's own shutdown included.
    pub(crate) fn ended(&self, read: Result<usize, Failure>) -> io::Result<usize> {
        match read {
            Err(Failure::System(e)) if is_end(&e) => {
                self.note_end(&e);
                Ok(0)
            }
            Err(Failure::Closed) => Ok(0),
            read => read.map_err(|failure| self.failed(READ, failure)),
        }
    }

    /// What a look at what is there says of an end: that it is next, whatever the system calls it.
    pub(crate) fn peeked(&self, peeked: io::Result<Peek>) -> io::Result<Peek> {
        match peeked {
            Err(e) if is_end(&e) => {
                self.note_end(&e);
                Ok(Peek {
                    ended: true,
                    ..Peek::default()
                })
            }
            peeked => peeked.map_err(|e| error::named("peek into", self.name(), e)),
        }
    }

    /// Refuses a message before anything of it is sent.
    pub(crate) fn check_length(&self, length: usize) -> Result<(), Failure> {
        let most = self.kind.max_message_size;
        if length <= most {
            return Ok(());
        }
        let why = format!(
            "a message of {length} bytes is longer than the limit of {most} (max_message_size): \
             raise it on both sides, or send it in pieces"
        );
        Err(Failure::System(Fault::new(Reason::TooLong, why).into()))
    }

    /// Refuses what only a message pipe has.
    pub(crate) fn need_messages(&self, operation: &'static str) -> io::Result<()> {
        if self.mode() == PipeMode::Message {
            return Ok(());
        }
        let why = "this is a byte pipe, which has no messages: read and write it, or let its server make a message pipe \
                   (ListenOptions::message_mode)";
        Err(Fault::new(Reason::WrongMode, why).of(operation, self.name()))
    }

    /// Refuses a buffer that takes no part of a message.
    pub(crate) fn need_room(&self, buffer: &[u8]) -> io::Result<()> {
        if !buffer.is_empty() {
            return Ok(());
        }
        let why = "a buffer of no bytes takes no part of a message: no system can tell it from an empty one";
        Err(Fault::new(Reason::WrongOption, why).of(READ, self.name()))
    }

    /// Refuses to cut off a server.
    pub(crate) fn need_server(&self, operation: &'static str) -> io::Result<()> {
        if self.kind.role == Role::Server {
            return Ok(());
        }
        let why = "only the server can disconnect a client: a client drops its stream instead";
        Err(Fault::new(Reason::WrongRole, why).of(operation, self.name()))
    }

    pub(crate) fn failed(&self, operation: &'static str, failure: Failure) -> io::Error {
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
            Failure::System(e) => return error::named(operation, self.name(), e),
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
        fault.of(operation, self.name())
    }

    /// The error of a `recv_part`, for which an end is no success.
    pub(crate) fn no_part(&self, failure: Failure) -> io::Error {
        let end = |why| Fault::new(Reason::PeerClosed, why).kind(ErrorKind::UnexpectedEof);
        let fault = match failure {
            Failure::System(e) if is_end(&e) => {
                self.note_end(&e);
                end("the other side has closed the pipe: there are no more messages").source(e)
            }
            Failure::Closed => end("this side has shut its reads down (shutdown)"),
            failure => return self.failed(READ, failure),
        };
        fault.of(READ, self.name())
    }

    /// The error of a `wait_drained`.
    pub(crate) fn not_drained(&self, failure: Failure) -> io::Error {
        match failure {
            Failure::System(e) if is_end(&e) => {
                self.note_end(&e);
                let why = "the other side has closed the pipe without reading everything";
                Fault::new(Reason::PeerClosed, why)
                    .source(e)
                    .of(DRAIN, self.name())
            }
            other => self.failed(DRAIN, other),
        }
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
pub(crate) fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
        || error
            .raw_os_error()
            .is_some_and(|code| sys::ENDS.contains(&code))
}
