//! Messages on a packet socket: each in packets of at most 128 KiB, which say how much of the message is left.
//!
//! A packet begins with 8 bytes, little-endian: how many bytes of its message come in this packet and after it. They
//! tell the last packet of a message (as many as it has), an empty message (none, in a packet that is not empty) from
//! the end (an empty packet), and how much room the rest needs. No other program speaks message mode on Unix, so the
//! form is npipe's own.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::task::{Poll, ready};

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::os::{self, Call, Received};
use crate::error::{Fault, Reason};
use crate::kinds::{Part, Peek};

const HEAD: usize = 8;

/// What one packet carries. Larger ones leave no room for a second beside them in a send buffer of the usual size, so that
/// the two sides would take turns.
const MOST: usize = 131_072 - HEAD;

/// Up to so much it is cheaper to copy a packet once more than to have the kernel gather it from two buffers, or
/// scatter it to three.
const SMALL: usize = 2048 - HEAD;

/// A socket with a smaller send buffer than `MOST` takes less.
const LEAST: usize = 512;

/// No message is longer: what a stranger announces beyond it is not believed.
const LONGEST: u64 = u32::MAX as u64;

thread_local! {
    /// Room for a whole packet, to read into where a buffer is smaller, and to put small ones together: of the thread, so that
    /// no stream keeps any.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's room for a packet, or new room where a stream keeps that, or the thread is about to end.
fn take_scratch() -> Vec<u8> {
    match SCRATCH.try_with(Cell::take) {
        Ok(scratch) if !scratch.is_empty() => scratch,
        _ => vec![0; HEAD + MOST],
    }
}

fn give_back(scratch: Vec<u8>) {
    let _ = SCRATCH.try_with(|kept| kept.set(scratch));
}

/// The reading half of one socket: what a packet brought beyond the buffer that it was read into.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// What is left of a packet is `from..to` of it. It is a thread's [`SCRATCH`], kept until that has been handed over.
    spill: Vec<u8>,
    from: usize,
    to: usize,
    /// How many bytes of the present message have not been handed over; what is spilled is part of them.
    left: u64,
    /// The peer has gone with something of ours unread. Linux tells so before it gives what the peer had sent: on a
    /// packet socket the error comes first, once, and the packets after it.
    reset: bool,
}

fn broken(why: &str) -> io::Error {
    let why = format!("the other side does not speak npipe's message mode: {why}");
    Fault::new(Reason::Malformed, why).into()
}

impl Packets {
    /// One read: of what was spilled, or of the next packet. The end is `BrokenPipe`.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        socket: &OwnedFd,
        buffer: &mut [u8],
        call: Call,
    ) -> Poll<io::Result<Part>> {
        if self.from < self.to {
            let length = buffer.len().min(self.to - self.from);
            buffer[..length].copy_from_slice(&self.spill[self.from..self.from + length]);
            self.from += length;
            if self.from == self.to {
                give_back(std::mem::take(&mut self.spill));
            }
            return Poll::Ready(Ok(self.hand_over(length)));
        }
        if buffer.len() >= MOST {
            let mut head = [0; HEAD];
            let received = ready!(self.receive(socket, |socket| {
                os::recv_packet(socket, &mut [&mut head, buffer], call)
            }))?;
            return Poll::Ready(self.take_in(received, head, buffer.len()));
        }
        let mut scratch = take_scratch();
        let read = self.read_by(socket, buffer, &mut scratch, call);
        if self.from < self.to {
            self.spill = scratch;
        } else {
            give_back(scratch);
        }
        read
    }

    /// A packet that may be longer than `buffer`: the rest of it is in `scratch` then, at `from..to`.
    #[inline(always)]
    fn read_by(
        &mut self,
        socket: &OwnedFd,
        buffer: &mut [u8],
        scratch: &mut [u8],
        call: Call,
    ) -> Poll<io::Result<Part>> {
        let room = buffer.len();
        let mut head = [0; HEAD];
        let copied = room <= SMALL;
        let received = ready!(self.receive(socket, |socket| if copied {
            os::recv_packet(socket, &mut [&mut *scratch], call)
        } else {
            os::recv_packet(socket, &mut [&mut head, buffer, scratch], call)
        }))?;
        if !copied {
            return Poll::Ready(self.take_in(received, head, room));
        }
        head.copy_from_slice(&scratch[..HEAD]);
        let part = self.take_in(received, head, room)?;
        buffer[..part.len].copy_from_slice(&scratch[HEAD..HEAD + part.len]);
        if self.from < self.to {
            let behind = HEAD + part.len;
            (self.from, self.to) = (self.from + behind, self.to + behind);
        }
        Poll::Ready(Ok(part))
    }

    /// Receives a packet by `call`, and knows the end.
    #[inline(always)]
    fn receive(
        &mut self,
        socket: &OwnedFd,
        mut call: impl FnMut(&OwnedFd) -> Result<Received, Errno>,
    ) -> Poll<io::Result<Received>> {
        loop {
            return Poll::Ready(match call(socket) {
                Err(Errno::CONNRESET) if !self.reset => {
                    self.reset = true;
                    continue;
                }
                Err(Errno::AGAIN | Errno::INTR) => return Poll::Pending,
                Err(error) => Err(error.into()),
                Ok(received) if received.length == 0 => match self.end(socket) {
                    Some(end) => Err(end),
                    None => continue,
                },
                Ok(received) => Ok(received),
            });
        }
    }

    /// What an empty packet means: npipe sends none, so it is the end, unless the peer is there still. None: it is not the
    /// end yet. (The kernel looks for packets first, and then whether the peer has ended. What the peer sends and ends with
    /// in between is there, and an end is told all the same.)
    fn end(&self, socket: &OwnedFd) -> Option<io::Error> {
        match (os::has_hung_up(socket), os::readable(socket)) {
            (Ok(true), Ok(0)) if self.reset => Some(io::ErrorKind::ConnectionReset.into()),
            (Ok(true), Ok(0)) => Some(io::ErrorKind::BrokenPipe.into()),
            (Ok(true), Ok(_)) => None,
            (Ok(false), Ok(_)) => Some(broken("an empty packet came")),
            (Err(error), _) | (_, Err(error)) => Some(error),
        }
    }

    fn take_in(
        &mut self,
        Received { length, whole }: Received,
        head: [u8; HEAD],
        room: usize,
    ) -> io::Result<Part> {
        let announced = u64::from_le_bytes(head);
        let Some(length) = length.checked_sub(HEAD).filter(|_| whole) else {
            return Err(broken("a packet of a wrong size came"));
        };
        self.check(length, announced)?;
        self.left = announced;
        let fits = length.min(room);
        (self.from, self.to) = (0, length - fits);
        Ok(self.hand_over(fits))
    }

    /// Whether a packet with `length` bytes of a message may announce what it does.
    fn check(&self, length: usize, announced: u64) -> io::Result<()> {
        let wrong = length as u64 > announced
            || (length == 0 && announced > 0)
            || (self.left > 0 && self.left != announced)
            || announced > LONGEST;
        if wrong {
            return Err(broken("a packet came whose count is wrong"));
        }
        Ok(())
    }

    fn hand_over(&mut self, len: usize) -> Part {
        self.left -= len as u64;
        Part {
            len,
            complete: self.left == 0,
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn has_spilled(&self) -> bool {
        self.from < self.to
    }

    pub(super) fn peek(&mut self, socket: &OwnedFd) -> io::Result<Peek> {
        let spilled = self.to - self.from;
        let left = |left| usize::try_from(left).unwrap_or(usize::MAX);
        if spilled > 0 {
            return Ok(Peek {
                available: spilled,
                message: left(self.left),
                ended: false,
            });
        }
        let mut head = [0; HEAD];
        let mut peeked = os::peek_packet(socket, &mut head);
        if peeked == Err(Errno::CONNRESET) && !self.reset {
            self.reset = true;
            peeked = os::peek_packet(socket, &mut head);
        }
        match peeked {
            Err(Errno::AGAIN) => Ok(Peek {
                available: 0,
                message: left(self.left),
                ended: false,
            }),
            Err(error) => Err(error.into()),
            Ok(0) => match self.end(socket) {
                // The next read takes what is there.
                None => Ok(Peek {
                    available: 0,
                    message: left(self.left),
                    ended: false,
                }),
                Some(end) if end.kind() == io::ErrorKind::InvalidData => Err(end),
                _ => Ok(Peek {
                    available: 0,
                    message: left(self.left),
                    ended: true,
                }),
            },
            Ok(length) => {
                let announced = u64::from_le_bytes(head);
                let Some(available) = length.checked_sub(HEAD) else {
                    return Err(broken("a packet of a wrong size came"));
                };
                self.check(available, announced)?;
                Ok(Peek {
                    available,
                    message: left(announced),
                    ended: false,
                })
            }
        }
    }
}

/// How far a message on its way out has come.
#[derive(Debug)]
pub(crate) struct Sending {
    sent: usize,
    /// How much the next packet may carry.
    most: usize,
}

impl Sending {
    pub(crate) fn new() -> Sending {
        Sending {
            sent: 0,
            most: MOST,
        }
    }

    /// Whether a part of the message has gone and a part has not.
    pub(super) fn is_torn(&self) -> bool {
        self.sent > 0
    }

    /// Sends what is left of `message`, as far as there is room.
    pub(super) fn go_on(&mut self, socket: &OwnedFd, message: &[u8]) -> Poll<io::Result<Part>> {
        loop {
            let rest = message.get(self.sent..).unwrap_or_default();
            let piece = &rest[..rest.len().min(self.most)];
            let head = (rest.len() as u64).to_le_bytes();
            match send(socket, &head, piece, Call::Returns) {
                Ok(()) => {}
                Err(Errno::AGAIN) => return Poll::Pending,
                // More than the socket's send buffer holds at all.
                Err(Errno::MSGSIZE) if self.most > LEAST => {
                    self.most /= 2;
                    continue;
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            self.sent += piece.len();
            if self.sent == message.len() {
                self.sent = 0; // whole
                return Poll::Ready(Ok(Part {
                    len: message.len(),
                    complete: true,
                }));
            }
        }
    }
}

/// Sends a message that waits for its room in the kernel, until a signal comes: in one packet, or not at all (`MSGSIZE`).
pub(super) fn send_whole(socket: &OwnedFd, message: &[u8]) -> Result<usize, Errno> {
    if message.len() > MOST {
        return Err(Errno::MSGSIZE);
    }
    let head = (message.len() as u64).to_le_bytes();
    send(socket, &head, message, Call::Waits).map(|()| message.len())
}

/// One packet.
#[inline(always)]
fn send(socket: &OwnedFd, head: &[u8; HEAD], piece: &[u8], call: Call) -> Result<(), Errno> {
    if piece.len() > SMALL {
        let packet = [IoSlice::new(head), IoSlice::new(piece)];
        return os::send_vectored(socket, &packet, call).map(|_| ());
    }
    let mut scratch = take_scratch();
    let packet = &mut scratch[..HEAD + piece.len()];
    packet[..HEAD].copy_from_slice(head);
    packet[HEAD..].copy_from_slice(piece);
    let sent = os::send(socket, packet, call);
    give_back(scratch);
    sent.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(
        packets: &mut Packets,
        payload: usize,
        announced: u64,
        room: usize,
    ) -> io::Result<Part> {
        let received = Received {
            length: HEAD + payload,
            whole: true,
        };
        packets.take_in(received, announced.to_le_bytes(), room)
    }

    #[test]
    fn a_message_ends_where_its_count_says() {
        let mut packets = Packets::default();
        let part = |len, complete| Part { len, complete };
        assert_eq!(take(&mut packets, 0, 0, 10).unwrap(), part(0, true));
        assert_eq!(take(&mut packets, 10, 10, 10).unwrap(), part(10, true));
        assert_eq!(take(&mut packets, 10, 15, 10).unwrap(), part(10, false));
        assert_eq!(take(&mut packets, 5, 5, 10).unwrap(), part(5, true));
        assert_eq!(take(&mut packets, 10, 10, 4).unwrap(), part(4, false));
        assert_eq!((packets.from, packets.to, packets.left), (0, 6, 6));
    }

    #[test]
    fn a_stranger_is_an_error_and_no_panic() {
        for (length, whole, announced) in [
            (3, true, 0),
            (HEAD + 1, true, u64::MAX),
            (HEAD + 1, true, 1 << 32),
            (HEAD + 5, false, 5),
            (HEAD + 5, true, 4),
            (HEAD, true, 4),
        ] {
            let received = Received { length, whole };
            let taken = Packets::default().take_in(received, u64::to_le_bytes(announced), 10);
            assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let mut packets = Packets::default();
        take(&mut packets, 5, 10, 5).unwrap();
        take(&mut packets, 5, 6, 5).unwrap_err();
    }
}
