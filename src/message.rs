//! Messages: what a message pipe has beside its stream of bytes.

use std::io::{self, ErrorKind};

use crate::lane::{Failure, Turn};
use crate::stream::{Part, READ, WRITE, is_end};
use crate::{PipeMode, PipeStream, error, sys};

/// The room that `recv` makes for a message of unknown size, and the most that it adds at a time, in bytes.
const FIRST_ROOM: usize = 4096;
const MOST_ROOM: usize = 1 << 20;

/// What waits in a pipe, from [`PipeStream::peek`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peek {
    /// How many bytes can be read without waiting. Linux, message pipe: those of the next message alone, and of a
    /// message of more than 64 KiB those of its next piece.
    pub available: usize,
    /// How many bytes are left in the next message, or in the one that is half read. 0 on a byte pipe.
    pub message: usize,
}

impl PipeStream {
    /// Sends one message. It may be empty, and of any size.
    ///
    /// # Errors
    ///
    /// * `Unsupported` on a byte pipe.
    /// * `TimedOut`, by the write deadline or timeout. Windows: a message of which a part may have gone out makes all later
    ///   writes fail with it too, so that nobody takes the next message for its rest. Linux: the rest of such a message is
    ///   kept, and goes out before what is sent next; sending the same message again sends the rest alone. (Dropping the
    ///   stream, or `close_write`, does not wait for it: the peer then gets `UnexpectedEof`.)
    /// * `BrokenPipe`: the peer has closed, or this side has closed its writing half.
    ///
    /// # Examples
    ///
    /// ```
    /// use npipe::{ListenOptions, PipeStream};
    /// # if cfg!(not(any(windows, target_os = "linux"))) { return Ok(()); }
    ///
    /// # let name = format!("npipe-doc-send-{}", std::process::id());
    /// let listener = ListenOptions::new().message_mode(true).bind(&name)?;
    /// let client = PipeStream::connect(&name)?;
    /// let server = listener.accept()?;
    /// client.send(b"one")?;
    /// client.send(b"")?;
    /// client.send(b"three")?;
    /// drop(client);
    ///
    /// let mut message = Vec::new();
    /// assert_eq!(server.recv(&mut message)?, Some(3));
    /// assert_eq!(message, b"one");
    /// assert_eq!(server.recv(&mut message)?, Some(0));
    /// message.clear();
    /// assert_eq!(server.recv(&mut message)?, Some(5));
    /// assert_eq!(message, b"three");
    /// assert_eq!(server.recv(&mut message)?, None);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        self.need_messages(WRITE)?;
        self.write_once(message).map(|_| ())
    }

    /// Receives one whole message and appends it to `message`. `Some` is its length, and 0 is an empty message; `None` is
    /// the peer's close.
    ///
    /// # Errors
    ///
    /// * `Unsupported` on a byte pipe.
    /// * `TimedOut`, by the read deadline or timeout. What had come of a message is in `message` by then: the next call
    ///   with the same `Vec` appends the rest.
    /// * `UnexpectedEof`: the peer has gone in the middle of a message. What had come of it is in `message`.
    ///
    /// A message may have up to 4 GiB, and all of it comes into memory: [`recv_part`](PipeStream::recv_part) sets a limit
    /// for a peer that is not trusted.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// let mut message = Vec::new();
    /// while stream.recv(&mut message)?.is_some() {
    ///     println!("{}", String::from_utf8_lossy(&message));
    ///     message.clear();
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.need_messages(READ)?;
        let received = self.in_reading_turn(|turn| self.receive(turn, message));
        received.map_err(|failure| self.failed(READ, failure))
    }

    fn receive(
        &self,
        turn: &Turn<'_, sys::Waiter>,
        message: &mut Vec<u8>,
    ) -> Result<Option<usize>, Failure> {
        let start = message.len();
        let mut room = FIRST_ROOM;
        loop {
            let used = message.len();
            message.resize(used + room, 0);
            let read = self.read_part(turn, &mut message[used..]);
            message.truncate(used + read.as_ref().map_or(0, |part| part.len));
            match read {
                Ok(part) if part.complete => return Ok(Some(message.len() - start)),
                Ok(_) => {
                    turn.check()?;
                    // What the system says that is left, if it does; a peer's word is not trusted with more than that.
                    let left = self.io().peek().map_or(0, |peek| peek.message);
                    room = left.clamp(FIRST_ROOM, MOST_ROOM);
                }
                Err(Failure::System(e)) if is_end(&e) => {
                    self.note_end(&e);
                    if used == start && !self.is_in_message() {
                        return Ok(None);
                    }
                    return Err(Failure::System(error::explained(
                        ErrorKind::UnexpectedEof,
                        READ,
                        self.peer_addr(),
                        "the other side has gone in the middle of a message",
                        e,
                    )));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Receives what fits into `buffer` of one message; the next call goes on with the same message until
    /// [`complete`](Part::complete).
    ///
    /// # Errors
    ///
    /// * `UnexpectedEof`: the peer has closed.
    /// * `Unsupported` on a byte pipe.
    /// * `TimedOut`, by the read deadline or timeout; nothing is lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// let mut buffer = [0; 4096];
    /// loop {
    ///     let part = stream.recv_part(&mut buffer)?;
    ///     println!("{} bytes", part.len);
    ///     if part.complete {
    ///         break;
    ///     }
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.need_messages(READ)?;
        let read = self.in_reading_turn(|turn| self.read_part(turn, buffer));
        read.map_err(|failure| match failure {
            Failure::System(e) if is_end(&e) => {
                self.note_end(&e);
                error::explained(
                    ErrorKind::UnexpectedEof,
                    READ,
                    self.peer_addr(),
                    "the other side has closed the pipe: there are no more messages",
                    e,
                )
            }
            failure => self.failed(READ, failure),
        })
    }

    /// One request, one reply: sends `request`, and appends the next message that comes to `reply`. Threads that do so
    /// at the same time get each their own reply, from a peer that answers in order.
    ///
    /// # Errors
    ///
    /// Those of [`send`](PipeStream::send) and [`recv`](PipeStream::recv), the latter's for a peer that closes before it
    /// answers being `None`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// let mut reply = Vec::new();
    /// match stream.transact(b"what time is it?", &mut reply)? {
    ///     Some(_) => println!("{}", String::from_utf8_lossy(&reply)),
    ///     None => println!("the server has gone"),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn transact(&self, request: &[u8], reply: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.need_messages(READ)?;
        // Held from before the request is sent: nobody else can take its reply.
        let turn = self
            .reading()
            .enter()
            .map_err(|failure| self.failed(READ, failure))?;
        self.write_once(request)?;
        self.receive(&turn, reply)
            .map_err(|failure| self.failed(READ, failure))
    }

    /// What can be read without waiting. It takes nothing and never blocks.
    ///
    /// # Errors
    ///
    /// `BrokenPipe`: the peer has closed, and all has been read (Windows; on Unix that is 0 bytes available).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// println!("{} bytes can be read at once", stream.peek()?.available);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peek(&self) -> io::Result<Peek> {
        self.io()
            .peek()
            .map_err(|e| self.failed("peek into", Failure::System(e)))
    }

    fn need_messages(&self, operation: &'static str) -> io::Result<()> {
        if self.mode() == PipeMode::Message {
            return Ok(());
        }
        Err(error::unsupported(
            operation,
            self.peer_addr(),
            "this is a byte pipe, which has no messages: read and write it, or let its server make a message pipe \
             (ListenOptions::message_mode)",
        ))
    }
}
