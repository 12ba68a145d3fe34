//! The reading direction: at most one read is in the system, and it belongs to no task. Whoever polls gets its result.

use std::collections::VecDeque;
use std::io;
use std::task::{Poll, Waker};

use super::system::Source;
use super::wakers::{Wakers, Who, Woken};
use crate::kinds::{Part, PipeMode};

/// How many reads in a row have to bring little before the next ones ask for less.
const PATIENCE: u8 = 8;

/// By what factor they then ask for less, or for more.
const STEP: usize = 8;

/// How much, and how many messages, are read ahead while a write waits for a peer that has to write first.
const AHEAD: usize = 4096;
const MESSAGES: usize = 256;

#[derive(Clone, Debug)]
pub(crate) struct Reading<S> {
    source: S,
    mode: PipeMode,
    state: State,
    /// The rest of a message is next.
    rest: bool,
    /// How much the next read is to take at the most.
    want: usize,
    /// How many more that bring little are borne.
    patience: u8,
    /// What was read ahead, and comes first.
    ahead: VecDeque<(Vec<u8>, bool)>,
    ahead_len: usize,
    waiting: Wakers,
    closed: bool,
}

#[derive(Clone, Debug)]
enum State {
    Idle,
    Pending,
    /// From there on no task has had it yet.
    Brought(usize, Part),
    /// The number of an error that nobody has been told.
    Failed(Failed),
}

/// An error that can be copied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failed {
    System(i32),
    Other(io::ErrorKind),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        match error.raw_os_error() {
            Some(code) => Failed::System(code),
            None => Failed::Other(error.kind()),
        }
    }
}

impl From<Failed> for io::Error {
    fn from(failed: Failed) -> io::Error {
        match failed {
            Failed::System(code) => io::Error::from_raw_os_error(code),
            Failed::Other(kind) => kind.into(),
        }
    }
}

impl<S: Source> Reading<S> {
    pub(crate) fn new(source: S, mode: PipeMode) -> Reading<S> {
        Reading {
            source,
            mode,
            state: State::Idle,
            rest: false,
            want: S::SMALL,
            patience: PATIENCE,
            ahead: VecDeque::new(),
            ahead_len: 0,
            waiting: Wakers::default(),
            closed: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    pub(crate) fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Reads into `buffer`, which is not empty. `waiter` is woken once it is worth another try; without one nobody is.
    pub(crate) fn poll(
        &mut self,
        waiter: Option<(Who, &Waker)>,
        buffer: &mut [u8],
        woken: &mut Woken,
    ) -> Poll<io::Result<Part>> {
        if let Some(part) = self.take_ahead(buffer) {
            return Poll::Ready(Ok(part));
        }
        loop {
            match self.state {
                State::Brought(..) => return Poll::Ready(Ok(self.take_brought(buffer))),
                State::Failed(failed) => {
                    self.state = State::Idle;
                    return Poll::Ready(Err(failed.into()));
                }
                State::Idle => {
                    if let Some(read) = self.read_on(buffer) {
                        return Poll::Ready(read);
                    }
                }
                State::Pending => {}
            }
            if self.advance(buffer.len(), woken).is_pending() {
                return self.wait(waiter);
            }
        }
    }

    /// Whether there is something to read, or an end or error to be told.
    pub(crate) fn poll_ready(
        &mut self,
        waiter: Option<(Who, &Waker)>,
        woken: &mut Woken,
    ) -> Poll<()> {
        loop {
            let there = match self.state {
                State::Brought(..) | State::Failed(_) => true,
                State::Idle => !self.ahead.is_empty() || self.rest,
                State::Pending => !self.ahead.is_empty(),
            };
            if there {
                return Poll::Ready(());
            }
            if self.advance(usize::MAX, woken).is_pending() {
                return self.wait(waiter);
            }
        }
    }

    /// What is here already.
    pub(crate) fn held(&self) -> Held {
        let brought = match &self.state {
            State::Brought(from, part) => Some((part.len - from, part.complete)),
            _ => None,
        };
        let pieces = self
            .ahead
            .iter()
            .map(|(bytes, complete)| (bytes.len(), *complete));
        let mut held = Held {
            failed: matches!(self.state, State::Failed(_)),
            ..Held::default()
        };
        for (len, complete) in pieces.chain(brought) {
            held.available += len;
            if !held.message_ends {
                held.message += len;
                held.message_ends = complete && self.mode == PipeMode::Message;
            }
            held.any = true;
        }
        held
    }

    /// A packet says that the read may be over.
    pub(crate) fn completed(&mut self, woken: &mut Woken) {
        if matches!(self.state, State::Pending) {
            // An idle direction has nobody waiting: those who did are told.
            let _ = self.advance(usize::MAX, woken);
        }
    }

    /// Reads for as long as something is there and there is room, and leaves a read that waits for more. For a pipe whose
    /// peer has no buffer, and may have to write before it reads.
    pub(crate) fn read_ahead(&mut self, woken: &mut Woken) {
        while !self.closed {
            if let State::Brought(from, part) = self.state {
                if self.ahead_len + part.len > AHEAD || self.ahead.len() >= MESSAGES {
                    return;
                }
                let bytes = self.source.room()[from..part.len].to_vec();
                self.ahead_len += bytes.len();
                self.ahead.push_back((bytes, part.complete));
                self.state = State::Idle;
                self.source.emptied();
            }
            let done = matches!(self.state, State::Failed(_));
            if done || self.advance(usize::MAX, woken).is_pending() {
                return;
            }
        }
    }

    /// One who waited no longer does.
    pub(crate) fn forget(&mut self, who: Who) {
        self.waiting.remove(who);
    }

    /// What was read before this began, and comes first.
    pub(crate) fn put_ahead(&mut self, pieces: Vec<(Vec<u8>, bool)>) {
        for (bytes, complete) in pieces {
            self.ahead_len += bytes.len();
            self.ahead.push_back((bytes, complete));
        }
    }

    /// Ends the read that is pending, for one who will take all that is here: [`take_all`](Reading::take_all).
    pub(crate) fn cancel(&mut self) {
        if matches!(self.state, State::Pending) {
            self.source.cancel();
        }
    }

    /// What is here, in pieces, each with whether a message ends there. None while a read is pending.
    pub(crate) fn take_all(&mut self) -> Option<Vec<(Vec<u8>, bool)>> {
        if matches!(self.state, State::Pending) {
            return None;
        }
        let mut pieces: Vec<_> = self.ahead.drain(..).collect();
        self.ahead_len = 0;
        if let State::Brought(from, part) = self.state {
            let bytes = self.source.room()[from..part.len].to_vec();
            pieces.push((bytes, part.complete));
            self.state = State::Idle;
            self.source.emptied();
        }
        Some(pieces)
    }

    /// The stream is gone, or this direction given up: what was not read is dropped.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.ahead.clear();
        self.source.close();
        if !matches!(self.state, State::Pending) {
            self.state = State::Idle;
            self.source.emptied();
        }
    }

    /// Whether the system holds none of its memory.
    pub(crate) fn is_clear(&self) -> bool {
        !matches!(self.state, State::Pending)
    }

    fn wait<T>(&mut self, waiter: Option<(Who, &Waker)>) -> Poll<T> {
        if let Some((who, waker)) = waiter {
            self.waiting.add(who, waker);
        }
        Poll::Pending
    }

    /// Begins a read for one who has `room` for so much, or looks how far it has come; ready once there is a piece or an
    /// error.
    fn advance(&mut self, room: usize, woken: &mut Woken) -> Poll<()> {
        let read = match self.state {
            // What is not asked for stays in the pipe, where its writer knows of it, but for what a small read takes.
            State::Idle if self.want > S::SMALL && self.mode == PipeMode::Byte => {
                self.source.start(self.want.min(room))
            }
            State::Idle => self.source.start(self.want),
            State::Pending => self.source.look(),
            State::Brought(..) | State::Failed(_) => return Poll::Ready(()),
        };
        let Poll::Ready(read) = read else {
            self.state = State::Pending;
            return Poll::Pending;
        };
        // None of them waits for a read that is there; all but one will see to the next.
        self.waiting.wake_all(woken);
        if self.closed {
            self.state = State::Idle;
            self.source.emptied();
            return Poll::Ready(());
        }
        match read {
            Ok(part) => {
                self.rest = !part.complete;
                self.size_next(part);
                self.state = State::Brought(0, part);
            }
            Err(error) => {
                self.source.emptied();
                self.state = match error.kind() {
                    io::ErrorKind::Interrupted => State::Idle,
                    _ => State::Failed(error.into()),
                };
            }
        }
        Poll::Ready(())
    }

    fn take_ahead(&mut self, buffer: &mut [u8]) -> Option<Part> {
        let (bytes, complete) = self.ahead.front_mut()?;
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        self.ahead_len -= len;
        bytes.drain(..len);
        let all = bytes.is_empty();
        let complete = self.mode == PipeMode::Byte || (all && *complete);
        if all {
            self.ahead.pop_front();
        }
        Some(Part { len, complete })
    }

    fn take_brought(&mut self, buffer: &mut [u8]) -> Part {
        let State::Brought(from, part) = self.state else {
            return Part {
                len: 0,
                complete: false,
            };
        };
        let len = buffer.len().min(part.len - from);
        buffer[..len].copy_from_slice(&self.source.room()[from..from + len]);
        if from + len < part.len {
            self.state = State::Brought(from + len, part);
            return Part {
                len,
                complete: self.mode == PipeMode::Byte,
            };
        }
        self.state = State::Idle;
        self.source.emptied();
        let taken = Part {
            len,
            complete: part.complete,
        };
        match self.read_on(&mut buffer[len..]) {
            Some(Ok(more)) => Part {
                len: len + more.len,
                complete: more.complete,
            },
            Some(Err(error)) => {
                // What came before it comes first.
                self.state = State::Failed(error.into());
                taken
            }
            None => taken,
        }
    }

    /// A read waits in memory that it keeps, and what does not fit takes another call: so the next one is for as much as has
    /// been coming.
    fn size_next(&mut self, brought: Part) {
        if brought.len >= self.want || !brought.complete {
            (self.want, self.patience) = (self.want.saturating_mul(STEP), PATIENCE);
        } else if brought.len >= self.want / STEP {
            self.patience = PATIENCE;
        } else if self.want > S::SMALL {
            self.patience = self.patience.saturating_sub(1);
            if self.patience == 0 {
                (self.want, self.patience) = (S::SMALL.max(self.want / STEP), PATIENCE);
            }
        }
    }

    /// Reads the rest of a message, which is there, straight into `buffer`. None: there is none.
    fn read_on(&mut self, buffer: &mut [u8]) -> Option<io::Result<Part>> {
        if buffer.is_empty() || !self.rest {
            return None;
        }
        let read = self.source.read_now(buffer).transpose();
        self.rest = matches!(&read, Some(Ok(part)) if !part.complete);
        read
    }
}

/// What has come and no task has had yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) any: bool,
    pub(crate) available: usize,
    pub(crate) message: usize,
    pub(crate) message_ends: bool,
    /// An end or error is next.
    pub(crate) failed: bool,
}
