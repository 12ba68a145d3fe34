//! What a stream's halves have in common: its bytes, and how they end.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use ::tokio::io::ReadBuf;
use ::tokio::runtime::Handle;
use ::tokio::sync::Mutex as Turn;

use crate::error::{self, Fault, Reason};
use crate::kinds::{Part, Peek, PipeMode};
use crate::lane::Failure;
use crate::stream::{Buffers, Hold, Kind, Parts, READ, State, WRITE, gathered, is_end};
use crate::sys;
use crate::sys::asynchronous::AsyncStream;

pub(super) const INTO_BLOCKING: &str = "into_blocking of";

/// What the halves of a stream have in common.
pub(super) struct Inner {
    /// Before the system's end, which closes after it: a listener's name never goes without an instance, so the next one
    /// is made first.
    _hold: Option<Hold>,
    pub(super) io: AsyncStream,
    pub(super) state: State,
    /// One task at a time receives, and one sends: each holds the turn from a message's first byte to its last.
    pub(super) reading: Turn<()>,
    pub(super) writing: Turn<()>,
    /// What a `recv` that was dropped had taken of a message: the next read's.
    pub(super) begun: Mutex<Vec<u8>>,
    /// What is left of the blocking stream that this was.
    _half_close: Option<sys::HalfClose>,
}

impl Inner {
    pub(super) fn new(parts: Parts) -> io::Result<Inner> {
        let Parts {
            hold,
            io,
            state,
            half_close,
        } = parts;
        let io = AsyncStream::new(io);
        let io = io.map_err(|e| error::named("watch", state.name(), e))?;
        Ok(Inner {
            _hold: hold,
            io,
            state,
            reading: Turn::new(()),
            writing: Turn::new(()),
            begun: Mutex::default(),
            _half_close: half_close,
        })
    }

    pub(super) fn into_parts(self) -> io::Result<Parts> {
        let begun = self.has_begun();
        let state = self.state;
        if begun {
            let why = "a part of a message has come, by a recv that was dropped: receive it first";
            return Err(Fault::new(Reason::WrongHandle, why).of(INTO_BLOCKING, state.name()));
        }
        let io = self.io.into_stream().map_err(|e| {
            if e.kind() == ErrorKind::WouldBlock {
                let why = "what was written is still on its way out: wait for it first (flush)";
                return Fault::new(Reason::WouldBlock, why).of(INTO_BLOCKING, state.name());
            }
            error::named(INTO_BLOCKING, state.name(), e)
        })?;
        Ok(Parts {
            hold: self._hold,
            io,
            state,
            half_close: self._half_close,
        })
    }

    /// One read of the system's, or of what a dropped `recv` had taken.
    pub(super) fn poll_part(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<Part, Failure>> {
        self.state.may_read()?;
        if let Some(part) = self.take_begun(buffer) {
            return Poll::Ready(Ok(part));
        }
        let part = ready!(self.io.poll_read(cx, buffer))?;
        self.state.note_part(part);
        Poll::Ready(Ok(part))
    }

    /// A read of bytes.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 || self.state.is_read_ended() {
            return Poll::Ready(Ok(()));
        }
        let part = ready!(self.poll_part(cx, buffer));
        Poll::Ready(self.read_bytes(part).map(|_| ()))
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.state.is_read_ended() {
            return Ok(0);
        }
        let part = self.state.may_read().and_then(|()| {
            if let Some(part) = self.take_begun(&mut ReadBuf::new(buffer)) {
                return Ok(part);
            }
            let part = self.io.try_read(buffer)?;
            self.state.note_part(part);
            Ok(part)
        });
        self.read_bytes(would_block(part))
    }

    fn read_bytes(&self, part: Result<Part, Failure>) -> io::Result<usize> {
        if let Ok(part) = part {
            self.state.note_bytes(part.len);
        }
        self.state.ended(part.map(|part| part.len))
    }

    /// A write of bytes: on a message pipe, of a message.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if let Err(failure) = self.may_write(bytes.len()) {
            return Poll::Ready(Err(self.state.failed(WRITE, failure)));
        }
        let written = ready!(self.io.poll_write(cx, bytes));
        Poll::Ready(written.map_err(|e| self.state.failed(WRITE, e.into())))
    }

    /// Several slices by one write: one message on a message pipe.
    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices = match Buffers::of(slices) {
            Buffers::Empty => return Poll::Ready(Ok(0)),
            Buffers::One(bytes) => return self.poll_write(cx, bytes),
            Buffers::Several(slices) => slices,
        };
        #[cfg(unix)]
        if self.state.mode() == PipeMode::Byte {
            let written = match self.state.may_write() {
                Ok(()) => ready!(self.io.poll_write_vectored(cx, slices)).map_err(Failure::System),
                Err(failure) => Err(failure),
            };
            return Poll::Ready(written.map_err(|failure| self.state.failed(WRITE, failure)));
        }
        let gathered =
            gathered(slices, &self.state).map_err(|failure| self.state.failed(WRITE, failure))?;
        self.poll_write(cx, &gathered)
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let written = self.may_write(bytes.len()).and_then(|()| {
            // Nobody is in the middle of a message.
            let _turn = self.writing.try_lock().map_err(|_| Failure::WouldBlock)?;
            Ok(self.io.try_write(bytes)?)
        });
        would_block(written).map_err(|failure| self.state.failed(WRITE, failure))
    }

    /// Whether so much may be written, or why not.
    pub(super) fn may_write(&self, length: usize) -> Result<(), Failure> {
        self.state.may_write()?;
        match self.state.mode() {
            PipeMode::Byte => Ok(()),
            PipeMode::Message => self.state.check_length(length),
        }
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.io.poll_flush(cx));
        Poll::Ready(flushed.map_err(|e| self.state.failed("flush", e.into())))
    }

    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.is_write_closed() || !self.state.kind.directions.write {
            return self.poll_flush(cx);
        }
        match ready!(self.io.poll_shutdown(cx)) {
            // The peer has gone already: there is nobody to tell.
            Err(e) if is_end(&e) => {}
            done => done.map_err(|e| self.state.failed("shutdown of", e.into()))?,
        }
        self.state.close_write();
        Poll::Ready(Ok(()))
    }

    pub(super) fn close_write(&self) -> io::Result<()> {
        const OPERATION: &str = "close_write of";
        if self.state.is_write_closed() {
            return Ok(());
        }
        let closed = match self.writing.try_lock() {
            Ok(_turn) => self.io.close_write(),
            Err(_) => Err(ErrorKind::WouldBlock.into()),
        };
        match closed {
            Err(e) if is_end(&e) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                let why = "something that was sent is still on its way: wait for it first (shutdown does)";
                return Err(Fault::new(Reason::WouldBlock, why).of(OPERATION, self.state.name()));
            }
            closed => closed.map_err(|e| self.state.failed(OPERATION, e.into()))?,
        }
        self.state.close_write();
        Ok(())
    }

    /// A half close for a writer that has gone. What is on its way goes before it.
    pub(super) fn end_writing(self: &Arc<Self>) {
        // A pipe that has no half close ends when the other half is dropped; so does one outside a runtime.
        let waits = self
            .close_write()
            .is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
        if let (true, Ok(runtime)) = (waits, Handle::try_current()) {
            let inner = self.clone();
            runtime.spawn(poll_fn(move |cx| inner.poll_shutdown(cx).map(drop)));
        }
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        if self.has_begun() || self.state.is_read_ended() {
            return Ok(());
        }
        let ready = self.io.readable().await;
        ready.map_err(|e| self.state.failed(READ, e.into()))
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        let ready = self.io.writable().await;
        ready.map_err(|e| self.state.failed(WRITE, e.into()))
    }

    pub(super) fn peek(&self) -> io::Result<Peek> {
        let begun = self.begun().len();
        let peek = self.state.peeked(self.io.peek())?;
        Ok(match begun {
            0 => peek,
            begun => Peek {
                available: peek.available + begun,
                message: peek.message + begun,
                ended: false,
            },
        })
    }

    pub(super) async fn wait_drained(&self) -> io::Result<()> {
        let _turn = self.writing.lock().await;
        let drained = if self.state.is_unread() {
            Err(ErrorKind::ConnectionReset.into())
        } else {
            self.io.drained().await
        };
        drained.map_err(|e| self.state.not_drained(e.into()))
    }

    pub(super) fn named<T>(&self, operation: &'static str, asked: io::Result<T>) -> io::Result<T> {
        asked.map_err(|e| error::named(operation, self.state.name(), e))
    }
}

/// What the system calls so is an answer of ours.
fn would_block<T>(tried: Result<T, Failure>) -> Result<T, Failure> {
    match tried {
        Err(Failure::System(e)) if e.kind() == ErrorKind::WouldBlock => Err(Failure::WouldBlock),
        tried => tried,
    }
}

impl Inner {
    pub(super) fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let Kind { role, mode, .. } = self.state.kind;
        f.debug_struct(name)
            .field("name", self.state.name())
            .field("role", &role)
            .field("mode", &mode)
            .finish_non_exhaustive()
    }
}
