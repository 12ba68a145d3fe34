//! Reading ahead while a write waits, on pipes whose peer has no buffer to write to.
//!
//! On a pipe with a quota of 0, the default of .NET and go-winio, each write waits until it has been read. Two sides that both
//! write first wait for each other for ever: a C# server whose `StreamWriter` sends its byte order mark, and a client
//! that says hello. So while a write here waits, and nobody here reads, what comes is read into a buffer of the stream's
//! own, of which the next reads are served. A read that comes meanwhile takes over.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use super::os::{self, Started};
use super::overlapped::{GivenUp, Overlapped, Waiter};
use crate::lane::{Cancelled, Lane, Operation, Turn, Waited};
use crate::stream::Part;

/// How much is read ahead at the most. Whoever sends more before it reads waits, as it does on any pipe that is full.
const ROOM: usize = 4096;

/// What was read ahead, and not yet by anybody.
#[derive(Debug, Default)]
pub(super) struct Ahead(Mutex<Filled>);

#[derive(Debug, Default)]
struct Filled {
    /// Made by the first write that has to wait.
    room: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Ahead {
    /// Used under the reading lane's turn, so that nobody waits for it.
    fn filled(&self) -> MutexGuard<'_, Filled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what there is into `buffer`; None if there is nothing.
    pub(super) fn take(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut filled = self.filled();
        let length = buffer.len().min(filled.to - filled.from);
        if length == 0 {
            return None;
        }
        buffer[..length].copy_from_slice(&filled.room[filled.from..filled.from + length]);
        filled.from += length;
        Some(length)
    }

    /// How many bytes there are. 0 while a write is reading ahead: they are not anybody's yet.
    pub(super) fn length(&self) -> usize {
        self.0
            .try_lock()
            .map_or(0, |filled| filled.to - filled.from)
    }
}

/// A read ahead on its way, by the one who has the reading lane until somebody else wants it.
struct Reading<'a> {
    // Dropped in this order: the operation before the buffer that it reads into.
    read: Box<dyn Operation<Output = Part> + 'a>,
    filled: MutexGuard<'a, Filled>,
    turn: Turn<'a, Waiter>,
}

impl<'a> Reading<'a> {
    /// Begins one, if nobody reads, and there is room.
    fn begin(pipe: &'a OwnedHandle, ahead: &'a Ahead, lane: &'a Lane<Waiter>) -> Option<Self> {
        let turn = lane.enter_leniently()?;
        let mut filled = ahead.filled();
        if filled.room.is_empty() {
            filled.room = vec![0; ROOM].into();
        }
        if filled.from == filled.to {
            (filled.from, filled.to) = (0, 0);
        }
        let to = filled.to;
        let room = &mut filled.room[to..];
        if room.is_empty() {
            return None;
        }
        let (start, length) = (room.as_mut_ptr(), room.len());
        let read = Overlapped::new(
            pipe,
            lane.waker(),
            GivenUp::Harmless,
            move |pipe: &OwnedHandle, overlapped| {
                // SAFETY: the OVERLAPPED is this operation's, under the lane's turn. The buffer is a box's, whose guard
                // is held, unused, for as long as the operation is there.
                unsafe { os::read(pipe, start, length, overlapped) }
            },
        );
        let mut reading = Reading {
            read: Box::new(read),
            filled,
            turn,
        };
        // An error is the next read's to tell.
        match reading.read.poll() {
            Poll::Pending => Some(reading),
            Poll::Ready(read) => {
                reading.filled.to += read.map_or(0, |part| part.len);
                None
            }
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // What came after all counts.
        if let Cancelled::Finished(Ok(part)) = self.read.cancel() {
            self.filled.to += part.len;
        }
    }
}

/// A write, and the reading ahead while it waits.
pub(super) struct Writing<'a, F> {
    write: Overlapped<'a, F>,
    waiter: &'a Waiter,
    reading: Option<Reading<'a>>,
    /// Where to read ahead; None where the pipe has buffers.
    place: Option<(&'a OwnedHandle, &'a Ahead, &'a Lane<Waiter>)>,
}

impl<'a, F> Writing<'a, F> {
    pub(super) fn new(
        write: Overlapped<'a, F>,
        waiter: &'a Waiter,
        place: Option<(&'a OwnedHandle, &'a Ahead, &'a Lane<Waiter>)>,
    ) -> Self {
        Writing {
            write,
            waiter,
            reading: None,
            place,
        }
    }

    fn read_ahead(&mut self) {
        let Some((pipe, ahead, lane)) = self.place else {
            return;
        };
        if let Some(reading) = &mut self.reading {
            if reading.turn.is_wanted() {
                self.reading = None;
                return;
            }
            match reading.read.poll() {
                Poll::Pending => return,
                Poll::Ready(read) => {
                    let came = read.map_or(0, |part| part.len);
                    reading.filled.to += came;
                    self.reading = None;
                    if came == 0 {
                        self.place = None; // it has ended, or failed
                        return;
                    }
                }
            }
        }
        self.reading = Reading::begin(pipe, ahead, lane);
    }
}

impl<F> Operation for Writing<'_, F>
where
    F: FnMut(&OwnedHandle, *mut os::Overlapped) -> io::Result<Started>,
{
    type Output = Part;

    fn poll(&mut self) -> Poll<io::Result<Part>> {
        let written = self.write.poll();
        match written {
            Poll::Pending => self.read_ahead(),
            Poll::Ready(_) => self.reading = None,
        }
        written
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        let reading = match &self.reading {
            Some(reading) => Some(reading.turn.waker().event()?),
            None => None,
        };
        Ok(
            match os::wait_either(Some(self.waiter.event()?), reading, until) {
                true => Waited::Ready,
                false => Waited::Expired,
            },
        )
    }

    fn cancel(&mut self) -> Cancelled<Part> {
        self.reading = None;
        self.write.cancel()
    }
}
