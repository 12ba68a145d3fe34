//! A message on its way into a `Vec`, part by part: what room the next part gets, and when it is whole.

use std::io::{self, ErrorKind};

use super::state::{FIRST_ROOM, State, is_end};
use crate::error::{Fault, Reason};
use crate::kinds::{Part, Peek};
use crate::lane::Failure;

/// The least room that is made for a message, and the most that is added at a time, in bytes.
const LEAST_ROOM: usize = 512;
const MOST_ROOM: usize = 1 << 20;

/// Of a message that is appended to a `Vec`.
#[derive(Debug)]
pub(crate) struct Receiving {
    /// Where in the `Vec` it begins.
    start: usize,
    room: usize,
}

/// How a message came: its length, or None for the end of all messages.
pub(crate) type Received = Result<Option<usize>, Failure>;

impl Receiving {
    /// The first room is the length of the message before: with the right one there is no second read, and nothing is
    /// copied twice.
    pub(crate) fn new(start: usize, state: &State) -> Receiving {
        Receiving {
            start,
            room: state.last_length().clamp(LEAST_ROOM, MOST_ROOM),
        }
    }

    /// Room for the next part, behind what has come. It is told what came of it by [`took`](Receiving::took).
    pub(crate) fn room<'a>(&self, message: &'a mut Vec<u8>) -> Result<&'a mut [u8], Failure> {
        let used = message.len();
        message
            .try_reserve(self.room)
            .map_err(|_| no_memory(used - self.start + self.room))?;
        message.resize(used + self.room, 0);
        Ok(&mut message[used..])
    }

    /// Takes the room back, but for what a read has filled of it.
    pub(crate) fn filled(&self, message: &mut Vec<u8>, length: usize) {
        message.truncate(message.len().saturating_sub(self.room) + length);
    }

    /// What a read means for the message. None: there is more of it, and `peek` is what the system says of that.
    pub(crate) fn took(
        &mut self,
        message: &[u8],
        read: Result<Part, Failure>,
        state: &State,
        peek: impl FnOnce() -> Peek,
    ) -> Option<Received> {
        let most = state.kind.max_message_size;
        let length = message.len() - self.start;
        Some(match read {
            Ok(_) if length > most => Err(too_long(most)),
            Ok(part) if part.complete => {
                state.note_length(length);
                Ok(Some(length))
            }
            Ok(_) => {
                let peek = peek();
                if peek.message > most.saturating_sub(length) {
                    return Some(Err(too_long(most)));
                }
                // How much is left may be no more than a peer's word: room is made for what is there, or for as much again
                // as has come.
                let likely = peek.available.max(length).min(peek.message);
                self.room = likely.clamp(FIRST_ROOM, MOST_ROOM);
                return None;
            }
            Err(Failure::Closed) if length == 0 => Ok(None),
            Err(Failure::System(e)) if is_end(&e) => {
                state.note_end(&e);
                if length == 0 && !state.is_in_message() {
                    return Some(Ok(None));
                }
                let why = "the other side has gone in the middle of a message";
                let fault = Fault::new(Reason::PeerClosed, why)
                    .kind(ErrorKind::UnexpectedEof)
                    .source(e);
                Err(Failure::System(io::Error::from(fault)))
            }
            Err(failure) => Err(failure),
        })
    }
}

/// The failure of a message for which there is no memory.
fn no_memory(size: usize) -> Failure {
    let why = format!("there is no memory for a message of {size} bytes and more");
    let fault = Fault::new(Reason::System, why).kind(ErrorKind::OutOfMemory);
    Failure::System(fault.into())
}

/// The failure of a message that a peer has made longer than it may be.
fn too_long(most: usize) -> Failure {
    let why = format!(
        "a message came that is longer than the limit of {most} bytes (max_message_size): raise it, or take such \
         messages piece by piece (recv_part)"
    );
    let fault = Fault::new(Reason::TooLong, why).kind(ErrorKind::InvalidData);
    Failure::System(fault.into())
}
