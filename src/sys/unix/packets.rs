//! Messages on a packet socket: each in packets of at most 64 KiB, which say how much of the message is left.
//!
//! A packet begins with 8 bytes, little-endian: how many bytes of its message come in this packet and after it. They
//! tell the last packet of a message (as many as it has), an empty message (none, in a packet that is not empty) from
//! the end (an empty packet), and how much room the rest needs. No other program speaks message mode on Unix, so the
//! form is npipe's own.

use std::io;
use std::task::Poll;

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::os::{self, Received};
use crate::kinds::{Part, Peek};

const HEAD: usize = 8;

/// What one packet carries. More would need more of the kernel's memory in one piece.
const MOST: usize = 65536 - HEAD;

/// A socket with a smaller send buffer than `MOST` takes less.
const LEAST: usize = 512;

/// The reading half of one socket: what a packet brought beyond the buffer that it was read into.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// Room for a whole packet, made by the first read that needs it; what is left in it is `from..to`.
    spill: Vec<u8>,
    from: usize,
    to: usize,
    /// How many bytes of the present message have not been handed over; what is spilled is part of them.
    left: u64,
    /// The peer has gone with something of ours unread. Linux tells so before it gives what the peer had sent: on a
    /// packet socket the error comes first, once, and the packets after it.
    reset: bool,
}

fn broken(why: impl Into<String>) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "the other side does not speak npipe's message mode: {}",
            why.into()
        ),
    )
}

impl Packets {
    /// One read: of what was spilled, or of the next packet. The end is `BrokenPipe`.
    pub(super) fn read(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> Poll<io::Result<Part>> {
        if self.from < self.to {
            let length = buffer.len().min(self.to - self.from);
            buffer[..length].copy_from_slice(&self.spill[self.from..self.from + length]);
            self.from += length;
            return Poll::Ready(Ok(self.hand_over(length)));
        }
        let mut head = [0; HEAD];
        let spill = if buffer.len() < MOST {
            self.spill.resize(MOST, 0);
            &mut self.spill[..]
        } else {
            &mut []
        };
        let received = loop {
            match os::recv_packet(socket, &mut [&mut head, buffer, spill]) {
                Err(Errno::CONNRESET) if !self.reset => self.reset = true,
                Err(Errno::AGAIN) => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error.into())),
                Ok(received) => break received,
            }
        };
        Poll::Ready(self.take_in(received, head, buffer.len()))
    }

    fn take_in(
        &mut self,
        Received { length, whole }: Received,
        head: [u8; HEAD],
        room: usize,
    ) -> io::Result<Part> {
        if length == 0 {
            return Err(if self.reset {
                io::ErrorKind::ConnectionReset.into()
            } else {
                io::ErrorKind::BrokenPipe.into()
            });
        }
        let announced = u64::from_le_bytes(head);
        let Some(length) = length.checked_sub(HEAD).filter(|_| whole) else {
            return Err(broken("a packet of a wrong size came"));
        };
        if length as u64 > announced
            || (length == 0 && announced > 0)
            || (self.left > 0 && self.left != announced)
        {
            return Err(broken("a packet came whose count is wrong"));
        }
        self.left = announced;
        let fits = length.min(room);
        (self.from, self.to) = (0, length - fits);
        Ok(self.hand_over(fits))
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
            Ok(length) => Ok(Peek {
                available: length.saturating_sub(HEAD),
                message: left(u64::from_le_bytes(head)),
                ended: length == 0,
            }),
        }
    }
}

/// The writing half of one socket: a message whose sending was given up half way. What is sent next comes after the rest of
/// it, since the peer would take it for that rest.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    message: Vec<u8>,
    sent: usize,
}

impl Unsent {
    #[cfg(feature = "tokio")]
    pub(super) fn is_some(&self) -> bool {
        self.sent < self.message.len()
    }

    /// Sends the rest.
    pub(super) fn go_on(&mut self, socket: &OwnedFd) -> Poll<io::Result<()>> {
        if self.sent < self.message.len() {
            let mut sending = Sending::new(&self.message, self.sent);
            let gone = sending.go_on(socket);
            self.sent = sending.sent;
            if !matches!(gone, Poll::Ready(Ok(_))) {
                return gone.map_ok(|_| ());
            }
        }
        *self = Unsent::default();
        Poll::Ready(Ok(()))
    }

    /// How much of `message` has gone already, where it is the one that was given up.
    pub(super) fn resume(&mut self, message: &[u8]) -> usize {
        if self.message != message {
            return 0;
        }
        std::mem::take(self).sent
    }

    /// Keeps what `sending` has not sent. False: there is no memory for it.
    pub(super) fn keep(&mut self, sending: &Sending<'_>) -> bool {
        let mut message = Vec::new();
        if message.try_reserve_exact(sending.message.len()).is_err() {
            return false;
        }
        message.extend_from_slice(sending.message);
        *self = Unsent {
            message,
            sent: sending.sent,
        };
        true
    }
}

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    message: &'a [u8],
    sent: usize,
    /// How much the next packet may carry.
    most: usize,
}

impl<'a> Sending<'a> {
    /// All but the `sent` bytes that have gone already.
    pub(super) fn new(message: &'a [u8], sent: usize) -> Sending<'a> {
        Sending {
            message,
            sent,
            most: MOST,
        }
    }

    /// Whether a part of the message has gone and a part has not.
    pub(super) fn is_torn(&self) -> bool {
        self.sent > 0
    }

    pub(super) fn go_on(&mut self, socket: &OwnedFd) -> Poll<io::Result<Part>> {
        loop {
            let rest = &self.message[self.sent..];
            let piece = &rest[..rest.len().min(self.most)];
            let head = (rest.len() as u64).to_le_bytes();
            match os::send_packet(socket, &[&head, piece]) {
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
            if self.sent == self.message.len() {
                return Poll::Ready(Ok(Part {
                    len: self.sent,
                    complete: true,
                }));
            }
        }
    }
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
