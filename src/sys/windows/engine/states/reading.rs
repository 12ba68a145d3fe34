//! The reading direction: at most one read is in the system, and it is nobody's. Whoever polls gets what it brought.

use std::collections::VecDeque;
use std::io;
use std::task::{Poll, Waker};

use super::system::Source;
use super::wakers::{Wakers, Who, Woken};
use crate::kinds::{Part, PipeMode};

/// After a large piece, how many small ones in a row make reads small again.
const PATIENCE: u8 = 8;

/// How much, and how many messages, are read ahead while a write waits for a peer that has to write first.
const AHEAD: usize = 4096;
const MESSAGES: usize = 256;

#[derive(Clone, Debug)]
pub(crate) struct Reading<S> {
    source: S,
    mode: PipeMode,
    state: State,
    behind: Behind,
    /// For how many pieces a large read is worth its memory.
    large: u8,
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
    /// From there on it is nobody's yet.
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

/// What is known of what follows the last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Nothing,
    /// It was filled to the brim: there may be more.
    Perhaps,
    /// The rest of a message.
    Rest,
}

impl<S: Source> Reading<S> {
    pub(crate) fn new(source: S, mode: PipeMode) -> Reading<S> {
        Reading {
            source,
            mode,
            state: State::Idle,
            behind: Behind::Nothing,
            large: 0,
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
            if self.advance(woken).is_pending() {
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
                State::Idle => !self.ahead.is_empty() || self.is_more_there(),
                State::Pending => !self.ahead.is_empty(),
            };
            if there {
                return Poll::Ready(());
            }
            if self.advance(woken).is_pending() {
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
            let _ = self.advance(woken);
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
            if done || self.advance(woken).is_pending() {
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

    /// The stream is gone, or this direction given up: what was not read is nobody's any more.
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

    /// Begins a read, or looks how far it has come; ready once there is a piece or an error.
    fn advance(&mut self, woken: &mut Woken) -> Poll<()> {
        let read = match self.state {
            State::Idle => self.source.start(self.large > 0),
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
                self.behind = match self.mode {
                    PipeMode::Message if !part.complete => Behind::Rest,
                    PipeMode::Byte if part.len == self.source.room().len() => Behind::Perhaps,
                    _ => Behind::Nothing,
                };
                if part.len > S::SMALL {
                    self.large = PATIENCE;
                } else if self.behind == Behind::Nothing {
                    self.large = self.large.saturating_sub(1);
                }
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

    fn is_more_there(&mut self) -> bool {
        if self.behind == Behind::Perhaps && self.source.available() == 0 {
            self.behind = Behind::Nothing;
        }
        self.behind != Behind::Nothing
    }

    /// Reads what is known to be there straight into `buffer`. None: nothing is known to be.
    fn read_on(&mut self, buffer: &mut [u8]) -> Option<io::Result<Part>> {
        if buffer.is_empty() || !self.is_more_there() {
            return None;
        }
        let read = self.source.read_now(buffer).transpose();
        self.behind = match (self.mode, &read) {
            (PipeMode::Byte, Some(Ok(part))) if part.len == buffer.len() => Behind::Perhaps,
            (PipeMode::Message, Some(Ok(part))) if !part.complete => Behind::Rest,
            _ => Behind::Nothing,
        };
        if matches!(&read, Some(Ok(part)) if part.len > 8 * S::SMALL) {
            self.large = PATIENCE;
        }
        read
    }
}

/// What is here and nobody's yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) any: bool,
    pub(crate) available: usize,
    pub(crate) message: usize,
    pub(crate) message_ends: bool,
    /// An end or error is next.
    pub(crate) failed: bool,
}
