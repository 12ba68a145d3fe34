//! The system's part of a pipe's two directions.

use std::io::{self, ErrorKind};
use std::os::windows::io::OwnedHandle;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use super::super::os::{self, Key, Overlapped, Started};
use super::super::stream::Stream;
use super::core::Engine;
use super::memory::{Buffer, LARGE, MODEST, Operation, SMALL};
use super::states::{Sink, Source};
use crate::kinds::Part;

/// Where the packets of a pipe go.
#[derive(Clone)]
pub(super) enum Bound {
    /// To the engine's port.
    Here,
    /// To somebody else's, for good. So its operations set an event, and the engine's thread begins them: the system
    /// cancels those of threads that end.
    Elsewhere(Arc<Elsewhere>),
}

pub(super) struct Elsewhere {
    pub(super) watch: os::Watch,
    pub(super) engine: &'static Engine,
    pub(super) key: Key,
}

impl Bound {
    fn fresh(&self) -> Overlapped {
        match self {
            Bound::Here => Overlapped::default(),
            Bound::Elsewhere(elsewhere) => Overlapped::with_event(elsewhere.watch.event()),
        }
    }
}

/// An operation that has not begun: where the engine's thread is to begin it, it may have to wait for that.
#[derive(Debug)]
enum Errand {
    None,
    /// So many bytes, out of or into the buffer.
    Waits(Buffer, usize),
    Failed(io::Error),
}

/// What the two directions have in common: an operation on a pipe, begun here or by the engine's thread.
struct Direction {
    pipe: Option<Arc<Stream>>,
    bound: Bound,
    operation: Operation,
    errand: Errand,
    /// `ReadFile` or `WriteFile`.
    call: Call,
}

/// # Safety
///
/// Of the call: the pointers are there until it is over.
type Call = unsafe fn(&OwnedHandle, *mut u8, usize, *mut Overlapped) -> io::Result<Started>;

impl Direction {
    fn new(pipe: Arc<Stream>, bound: Bound, call: Call) -> Direction {
        Direction {
            pipe: Some(pipe),
            bound,
            operation: Operation::new(),
            errand: Errand::None,
            call,
        }
    }

    /// Begins what waits, or has the engine's thread do so.
    fn start(&mut self) -> Poll<io::Result<Part>> {
        match &self.bound {
            Bound::Here => self.begin(),
            Bound::Elsewhere(elsewhere) => match elsewhere.engine.post(elsewhere.key) {
                Ok(()) => Poll::Pending,
                Err(error) => {
                    self.errand = Errand::None;
                    Poll::Ready(Err(error))
                }
            },
        }
    }

    fn begin(&mut self) -> Poll<io::Result<Part>> {
        let (memory, len) = match std::mem::replace(&mut self.errand, Errand::None) {
            Errand::Waits(memory, len) => (memory, len),
            Errand::Failed(error) => return Poll::Ready(Err(error)),
            Errand::None => return Poll::Ready(Err(ErrorKind::Interrupted.into())),
        };
        let Some(pipe) = &self.pipe else {
            return Poll::Ready(Err(ErrorKind::Interrupted.into()));
        };
        let call = self.call;
        let start = |buffer: &Buffer, overlapped: *mut Overlapped| {
            let len = len.min(buffer.len());
            // SAFETY: both stay where they are until the operation is over: it keeps them, and whoever has it is kept.
            unsafe { call(pipe.handle(), buffer.start(), len, overlapped) }
        };
        // SAFETY: the state machine starts one when the last one is over; the call begins one or fails.
        unsafe { self.operation.begin(self.bound.fresh(), memory, start) }
    }

    /// On the engine's thread.
    fn run_errand(&mut self) {
        if matches!(self.errand, Errand::Waits(..)) {
            if let Poll::Ready(Err(error)) = self.begin() {
                self.errand = Errand::Failed(error);
            }
        }
    }

    fn look(&mut self) -> Poll<io::Result<Part>> {
        match std::mem::replace(&mut self.errand, Errand::None) {
            Errand::None => self.operation.look(),
            Errand::Failed(error) => Poll::Ready(Err(error)),
            waits => {
                self.errand = waits;
                Poll::Pending
            }
        }
    }

    fn cancel(&mut self) {
        if let Some(pipe) = &self.pipe {
            self.operation.cancel(pipe.handle());
        }
        if matches!(self.errand, Errand::Waits(..)) {
            self.errand = Errand::Failed(ErrorKind::Interrupted.into());
        }
    }

    /// Lets go of the pipe.
    fn close(&mut self) {
        self.cancel();
        self.pipe = None;
    }
}

pub(super) struct PipeSource {
    direction: Direction,
}

impl PipeSource {
    pub(super) fn new(pipe: Arc<Stream>, bound: Bound) -> PipeSource {
        PipeSource {
            direction: Direction::new(pipe, bound, os::read),
        }
    }

    /// On the engine's thread.
    pub(super) fn run_errand(&mut self) {
        self.direction.run_errand();
    }
}

impl Source for PipeSource {
    const SMALL: usize = SMALL;

    fn start(&mut self, want: usize) -> Poll<io::Result<Part>> {
        let memory = Buffer::pooled(want.min(LARGE)).or_else(|| Buffer::pooled(MODEST));
        let memory = memory.unwrap_or_else(|| Buffer::own(MODEST));
        let len = want.min(memory.len());
        self.direction.errand = Errand::Waits(memory, len);
        self.direction.start()
    }

    fn look(&mut self) -> Poll<io::Result<Part>> {
        let outcome = self.direction.look();
        match outcome {
            // Not by this side, or nobody would look.
            Poll::Ready(Err(error)) if os::is_cancelled(&error) => {
                Poll::Ready(Err(ErrorKind::Interrupted.into()))
            }
            outcome => outcome,
        }
    }

    fn room(&self) -> &[u8] {
        self.direction.operation.bytes()
    }

    fn emptied(&mut self) {
        self.direction.operation.emptied();
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<Part>> {
        let Some(pipe) = &self.direction.pipe else {
            return Ok(None);
        };
        let mut overlapped = self.direction.bound.fresh();
        let overlapped = &raw mut overlapped;
        // SAFETY: both outlive the operation: see below.
        unsafe { os::read(pipe.handle(), buffer.as_mut_ptr(), buffer.len(), overlapped) }?;
        // SAFETY: it was begun.
        let mut outcome = unsafe { os::outcome(overlapped) };
        if outcome.is_pending() {
            // What was there has gone to somebody else who has the handle.
            // SAFETY: as above.
            unsafe { os::cancel(pipe.handle(), overlapped) };
            loop {
                // SAFETY: as above. Nobody leaves here before it is over.
                outcome = unsafe { os::outcome(overlapped) };
                if outcome.is_ready() {
                    break;
                }
                thread::yield_now();
            }
        }
        match outcome {
            Poll::Ready(Err(error)) if os::is_cancelled(&error) => Ok(None),
            Poll::Ready(read) => read.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    fn cancel(&mut self) {
        self.direction.cancel();
    }

    fn close(&mut self) {
        self.direction.close();
    }
}

pub(super) struct PipeSink {
    direction: Direction,
}

impl PipeSink {
    pub(super) fn new(pipe: Arc<Stream>, bound: Bound) -> PipeSink {
        PipeSink {
            direction: Direction::new(pipe, bound, write),
        }
    }

    /// On the engine's thread.
    pub(super) fn run_errand(&mut self) {
        self.direction.run_errand();
    }

    fn written(&mut self, outcome: Poll<io::Result<Part>>) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            // Nothing is kept of what is out.
            self.direction.operation.emptied();
        }
        outcome.map(|written| written.map(|part| part.len))
    }
}

impl Sink for PipeSink {
    const AHEAD: usize = LARGE;

    fn take(&mut self, bytes: &[u8], whole: bool) -> usize {
        let (len, mut memory) = match Buffer::pooled(bytes.len()) {
            Some(memory) => (bytes.len(), memory),
            // A piece of a stream can do with less.
            None => {
                let len = if whole {
                    bytes.len()
                } else {
                    bytes.len().min(MODEST)
                };
                (len, Buffer::pooled(len).unwrap_or_else(|| Buffer::own(len)))
            }
        };
        // SAFETY: nobody else has it yet.
        unsafe { memory.fill(&bytes[..len]) };
        self.direction.errand = Errand::Waits(memory, len);
        len
    }

    fn start(&mut self) -> Poll<io::Result<usize>> {
        let started = self.direction.start();
        self.written(started)
    }

    fn look(&mut self) -> Poll<io::Result<usize>> {
        let outcome = self.direction.look();
        self.written(outcome)
    }

    fn close(&mut self) {
        self.direction.close();
    }
}

/// # Safety
///
/// As for [`os::write`].
unsafe fn write(
    pipe: &OwnedHandle,
    start: *mut u8,
    len: usize,
    overlapped: *mut Overlapped,
) -> io::Result<Started> {
    // SAFETY: the caller's promise.
    unsafe { os::write(pipe, start, len, overlapped) }
}
