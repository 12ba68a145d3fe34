//! Reading ahead while a write waits, on pipes whose peer has no buffer to write to.
//!
//! On a pipe with a quota of 0, the default of .NET and go-winio, each write waits until it has been read. Two sides that both
//! write first wait for each other forever: a C# server whose `StreamWriter` sends its byte order mark, and a client
//! that says hello. So while a write here waits, and nobody here reads, what comes is read into a buffer of the stream's
//! own, of which the next reads are served. A read that comes meanwhile takes over. Of messages the boundaries are kept.

use std::collections::VecDeque;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;

use super::lent::{GivenUp, Lent, Waiter};
use super::os::{self, Started};
use crate::kinds::{Part, Peek, PipeMode};
use crate::lane::{Beside, Cancelled, Operation, Turn, Waited};

/// How much is read ahead at the most. Whoever sends more before it reads waits, as it does on any pipe that is full.
const ROOM: usize = 4096;

/// How many messages at the most: empty ones take no room.
const MESSAGES: usize = 256;

/// What was read ahead, and not yet by anybody.
#[derive(Debug)]
pub(super) struct Ahead {
    mode: PipeMode,
    filled: Mutex<Filled>,
}

#[derive(Debug, Default)]
struct Filled {
    /// Made by the first write that has to wait. A read ahead that is on its way has it, and here is none.
    room: Vec<u8>,
    lent: bool,
    from: usize,
    to: usize,
    /// Message pipe: where messages end, from the first that is here. Of the last one there may be a beginning alone.
    ends: VecDeque<usize>,
}

impl Filled {
    /// Gives the room to a read ahead, which may fill it from `to` on; None where there is none left.
    fn lend(&mut self) -> Option<Vec<u8>> {
        if self.room.is_empty() {
            self.room = vec![0; ROOM];
        }
        if self.from == self.to && self.ends.is_empty() {
            (self.from, self.to) = (0, 0);
        }
        if self.to == self.room.len() || self.ends.len() == MESSAGES {
            return None;
        }
        self.lent = true;
        Some(std::mem::take(&mut self.room))
    }

    /// Takes it back, with what came.
    fn take_back(&mut self, room: Vec<u8>, came: Option<Part>, mode: PipeMode) {
        (self.room, self.lent) = (room, false);
        let Some(part) = came else {
            return;
        };
        self.to += part.len;
        if mode == PipeMode::Message && part.complete {
            self.ends.push_back(self.to);
        }
    }

    /// Where the next read ends at the latest, and whether a message does so there.
    fn end(&self) -> (usize, bool) {
        self.ends
            .front()
            .map_or((self.to, false), |&end| (end, true))
    }
}

impl Ahead {
    pub(super) fn new(mode: PipeMode) -> Ahead {
        Ahead {
            mode,
            filled: Mutex::default(),
        }
    }

    /// Held for no call of the system's. What is in it is changed under the reading lane's turn alone.
    fn filled(&self) -> MutexGuard<'_, Filled> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what there is of one message, or of the bytes, into `buffer`; None if there is nothing.
    pub(super) fn take(&self, buffer: &mut [u8]) -> Option<Part> {
        let mut filled = self.filled();
        let (end, of_message) = filled.end();
        let there = end - filled.from;
        if there == 0 && !of_message {
            return None;
        }
        let len = buffer.len().min(there);
        buffer[..len].copy_from_slice(&filled.room[filled.from..filled.from + len]);
        filled.from += len;
        let all = len == there;
        if all && of_message {
            filled.ends.pop_front();
        }
        Some(Part {
            len,
            complete: self.mode == PipeMode::Byte || all && of_message,
        })
    }

    /// All that there is, in pieces, each with whether a message ends there.
    #[cfg(any(feature = "tokio", test))]
    pub(super) fn take_all(&self) -> Vec<(Vec<u8>, bool)> {
        let mut filled = self.filled();
        let mut pieces = Vec::new();
        while filled.from < filled.to || !filled.ends.is_empty() {
            let (end, of_message) = filled.end();
            pieces.push((filled.room[filled.from..end].to_vec(), of_message));
            filled.from = end;
            if of_message {
                filled.ends.pop_front();
            }
        }
        pieces
    }

    /// Adds what was read elsewhere.
    #[cfg(any(feature = "tokio", test))]
    pub(super) fn keep(&self, pieces: Vec<(Vec<u8>, bool)>) {
        let mut filled = self.filled();
        let mut room = filled.room[filled.from..filled.to].to_vec();
        let gone = filled.from;
        for end in &mut filled.ends {
            *end -= gone;
        }
        for (bytes, complete) in pieces {
            room.extend(&bytes);
            if complete && self.mode == PipeMode::Message {
                filled.ends.push_back(room.len());
            }
        }
        (filled.from, filled.to) = (0, room.len());
        room.resize(room.len().max(ROOM), 0);
        filled.room = room;
    }

    /// Whether there is nothing. While a write is reading ahead, nobody can tell: then there is not nothing.
    pub(super) fn is_empty(&self) -> bool {
        let filled = self.filled();
        !filled.lent && filled.from == filled.to && filled.ends.is_empty()
    }

    /// Adds what there is to what the system knows of the pipe, or to an end that is not to be seen before it.
    pub(super) fn peek(&self, pipe: io::Result<Peek>) -> io::Result<Peek> {
        let filled = self.filled();
        let available = filled.to - filled.from;
        if available == 0 && filled.ends.is_empty() {
            return pipe;
        }
        let pipe = pipe.unwrap_or_default();
        let (end, of_message) = filled.end();
        let message = match self.mode {
            PipeMode::Byte => 0,
            PipeMode::Message if of_message => end - filled.from,
            // Of a message that is here in part the rest is next in the pipe.
            PipeMode::Message => available + pipe.message,
        };
        Ok(Peek {
            available: available + pipe.available,
            message,
            ended: false,
        })
    }
}

/// A read ahead on its way, by the one who has the reading lane until somebody else wants it.
struct Reading<'a> {
    read: Box<dyn Operation<Output = Part> + 'a>,
    /// What it reads into. Given back once the system has released it.
    room: Vec<u8>,
    ahead: &'a Ahead,
    waiter: &'a Waiter,
    /// None where the one who writes has the turn, and keeps it.
    turn: Option<Turn<'a, Waiter>>,
    came: Option<Part>,
}

impl<'a> Reading<'a> {
    /// Prepares one, if nobody reads, and there is room.
    fn new(pipe: &'a OwnedHandle, ahead: &'a Ahead, reading: Beside<'a, Waiter>) -> Option<Self> {
        let (turn, waiter) = match reading {
            Beside::Lane(lane) => (Some(lane.enter_leniently()?), lane.waker()),
            Beside::Turn(turn) => (None, turn.waker()),
        };
        let mut filled = ahead.filled();
        let mut room = filled.lend()?;
        let free = &mut room[filled.to..];
        let (start, length) = (free.as_mut_ptr(), free.len());
        let read = Lent::new(
            pipe,
            waiter,
            GivenUp::Harmless,
            move |pipe: &OwnedHandle, overlapped| {
                // SAFETY: the OVERLAPPED is this operation's, under the reading turn. The buffer is a vector's that nobody
                // touches before the operation is given up or over: it is beside it, and given back after that.
                unsafe { os::read(pipe, start, length, overlapped) }
            },
        );
        Some(Reading {
            read: Box::new(read),
            room,
            ahead,
            waiter,
            turn,
            came: None,
        })
    }

    /// Keeps what came. Whether there can be more: an error is the next read's to tell.
    fn ended(&mut self, read: io::Result<Part>) -> bool {
        self.came = read.ok();
        let more = |part: Part| part.len > 0 || self.ahead.mode == PipeMode::Message;
        self.came.is_some_and(more)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // What came after all counts.
        if let Cancelled::Finished(Ok(part)) = self.read.cancel() {
            self.came = Some(part);
        }
        let room = std::mem::take(&mut self.room);
        let mut filled = self.ahead.filled();
        filled.take_back(room, self.came, self.ahead.mode);
    }
}

/// A write, and the reading ahead while it waits.
pub(super) struct Writing<'a, F> {
    write: Lent<'a, F>,
    /// Of a message: its length, which is written or not.
    message: Option<usize>,
    waiter: &'a Waiter,
    reading: Option<Reading<'a>>,
    /// Where to read ahead; None where the pipe has buffers.
    place: Option<(&'a OwnedHandle, &'a Ahead, Beside<'a, Waiter>)>,
}

impl<'a, F> Writing<'a, F> {
    pub(super) fn new(
        write: Lent<'a, F>,
        message: Option<usize>,
        waiter: &'a Waiter,
        place: Option<(&'a OwnedHandle, &'a Ahead, Beside<'a, Waiter>)>,
    ) -> Self {
        Writing {
            write,
            message,
            waiter,
            reading: None,
            place,
        }
    }

    /// Reads for as long as something is there, and leaves a read that waits for more.
    fn read_ahead(&mut self) {
        while let Some((pipe, ahead, beside)) = self.place {
            let Some(reading) = &mut self.reading else {
                match Reading::new(pipe, ahead, beside) {
                    Some(reading) => self.reading = Some(reading),
                    None => return,
                }
                continue;
            };
            match reading.read.poll() {
                Poll::Ready(read) => {
                    if !reading.ended(read) {
                        self.place = None;
                    }
                    self.reading = None;
                }
                Poll::Pending => {
                    // Looked at once the read has begun, which takes back an earlier wake-up.
                    if reading.turn.as_ref().is_some_and(Turn::is_wanted) {
                        self.reading = None;
                    }
                    return;
                }
            }
        }
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
        written.map(|written| whole(written, self.message))
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        let reading = match &self.reading {
            Some(reading) => Some(reading.waiter.event()?),
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
        match self.write.cancel() {
            // Cancelled in its midst.
            Cancelled::Finished(Ok(part)) if self.message.is_some_and(|all| all != part.len) => {
                Cancelled::Unknown
            }
            Cancelled::Finished(written) => Cancelled::Finished(whole(written, self.message)),
            cancelled => cancelled,
        }
    }
}

/// What a write comes to: of a message all of it, or an error.
fn whole(written: io::Result<Part>, message: Option<usize>) -> io::Result<Part> {
    match (written, message) {
        // It says that the peer takes less (KB 119218), and not that there is more to write.
        (Ok(part), _) if !part.complete => {
            Err(io::Error::from_raw_os_error(ERROR_MORE_DATA as i32))
        }
        (Ok(part), Some(length)) if part.len != length => {
            let why = format!(
                "the system took {} of {length} bytes of a message",
                part.len
            );
            Err(io::Error::new(io::ErrorKind::WriteZero, why))
        }
        (written, _) => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// While the room is lent nobody can tell that there is nothing; what was read before is there to be peeked at.
    #[test]
    fn room_that_is_lent_comes_back_with_what_came() {
        let ahead = Ahead::new(PipeMode::Message);
        let part = |len, complete| Some(Part { len, complete });
        assert!(ahead.is_empty());
        let mut room = ahead.filled().lend().unwrap();
        assert!(!ahead.is_empty());
        room[..3].copy_from_slice(b"one");
        ahead.filled().take_back(room, part(3, true), ahead.mode);
        let room = ahead.filled().lend().unwrap();
        let peek = ahead.peek(Ok(Peek::default())).unwrap();
        assert_eq!((peek.available, peek.message), (3, 3));
        ahead.filled().take_back(room, None, ahead.mode);
        let room = ahead.filled().lend().unwrap();
        ahead.filled().take_back(room, part(0, true), ahead.mode);
        let mut buffer = [0; 8];
        assert_eq!(ahead.take(&mut buffer), part(3, true));
        assert_eq!(&buffer[..3], b"one");
        assert_eq!(ahead.take(&mut buffer), part(0, true));
        assert_eq!(ahead.take(&mut buffer), None);
        assert!(ahead.is_empty());
        // Empty messages take no room, and are counted.
        for _ in 0..MESSAGES {
            let room = ahead.filled().lend().unwrap();
            ahead.filled().take_back(room, part(0, true), ahead.mode);
        }
        assert!(ahead.filled().lend().is_none());
    }

    #[test]
    fn a_message_is_written_or_not() {
        let part = |len, complete| Ok(Part { len, complete });
        assert_eq!(whole(part(5, true), Some(5)).unwrap().len, 5);
        assert_eq!(whole(part(0, true), Some(0)).unwrap().len, 0);
        let short = whole(part(4, true), Some(5)).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::WriteZero);
        // Of bytes a part is a part.
        assert_eq!(whole(part(4, true), None).unwrap().len, 4);
        for message in [Some(5), None] {
            let more = whole(part(5, false), message).unwrap_err();
            assert_eq!(more.raw_os_error(), Some(ERROR_MORE_DATA as i32));
        }
    }
}
