//! Messages: what a message pipe has besides its stream of bytes.

use std::io;

use super::receiving::{Received, Receiving};
use super::state::is_end;
use super::{PipeStream, READ, WRITE};
use crate::kinds::{Part, Peek};
use crate::lane::{Beside, Failure, Turn};
use crate::sys;

impl PipeStream {
    /// Sends one message. It may be empty, and of any size up to the limit.
    ///
    /// # Errors
    ///
    /// * `Unsupported` on a byte pipe.
    /// * `InvalidInput`: longer than [`max_message_size`](crate::ListenOptions::max_message_size). Nothing was sent.
    /// * `TimedOut`, by the write deadline or timeout. A message of which a part may have gone out makes all later writes
    ///   fail with it too, so that nobody takes the next message for its rest.
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
        self.state().need_messages(WRITE)?;
        self.write_once(message).map(|_| ())
    }

    /// Receives one whole message and appends it to `message`. `Some` is its length, and 0 is an empty message; `None` is
    /// the peer's close.
    ///
    /// # Errors
    ///
    /// * `Unsupported` on a byte pipe.
    /// * `TimedOut`, by the read deadline or timeout. What has come of a message is in `message` by then: the next call
    ///   with the same `Vec` appends the rest.
    /// * `UnexpectedEof`: the peer has gone in the middle of a message. What had come of it is in `message`.
    /// * `InvalidData`: longer than [`max_message_size`](crate::ListenOptions::max_message_size). The rest of it is still
    ///   in the pipe: a stream whose messages cannot be trusted any more is best dropped.
    /// * `OutOfMemory`: there is no room for it.
    ///
    /// Room is made for what has come, not for what the peer has announced. [`recv_part`](PipeStream::recv_part) takes
    /// messages of any length piece by piece.
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
    ///
    /// The peer's half close ([`close_write`](PipeStream::close_write)) is an empty message, and nothing comes after it. An
    /// echo does not answer one: it would half close the pipe itself.
    ///
    /// ```
    /// use npipe::ListenOptions;
    /// # if cfg!(not(any(windows, target_os = "linux"))) { return Ok(()); }
    ///
    /// let (server, client) = ListenOptions::new().message_mode(true).pair()?;
    /// client.send(b"the last one")?;
    /// client.close_write()?;
    ///
    /// let mut message = Vec::new();
    /// loop {
    ///     message.clear();
    ///     match server.recv(&mut message)? {
    ///         None | Some(0) => break, // the client has closed, or half closed and still reads
    ///         Some(_) => server.send(&message)?,
    ///     }
    /// }
    /// drop(server);
    ///
    /// message.clear();
    /// assert_eq!(client.recv(&mut message)?, Some(12));
    /// assert_eq!(client.recv(&mut message)?, None);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.state().need_messages(READ)?;
        match self.in_reading_turn(|turn| self.receive(turn, message)) {
            // This side has shut its reads down.
            Err(Failure::Closed) => Ok(None),
            received => received.map_err(|failure| self.failed(READ, failure)),
        }
    }

    fn receive(&self, turn: &Turn<'_, sys::Waiter>, message: &mut Vec<u8>) -> Received {
        let mut receiving = Receiving::new(message.len(), self.state());
        loop {
            let read = self.read_part(turn, receiving.room(message)?);
            receiving.filled(message, read.as_ref().map_or(0, |part| part.len));
            let peek = || self.io().peek().unwrap_or_default();
            if let Some(received) = receiving.took(message, read, self.state(), peek) {
                return received;
            }
            turn.check()?;
        }
    }

    /// Receives what fits into `buffer` of one message; the next call goes on with the same message until
    /// [`complete`](Part::complete).
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: the buffer is empty.
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
        self.state().need_messages(READ)?;
        self.state().need_room(buffer)?;
        let read = self.in_reading_turn(|turn| self.read_part(turn, buffer));
        read.map_err(|failure| self.state().no_part(failure))
    }

    /// One request, one reply: sends `request`, and appends the next message that comes to `reply`. Threads that do so
    /// at the same time each get their own reply, from a peer that answers in order.
    ///
    /// After one that timed out, its reply may still come: the next `transact` discards it. (A [`recv`](PipeStream::recv) in
    /// between receives it like any message.)
    ///
    /// # Errors
    ///
    /// Those of [`send`](PipeStream::send) and [`recv`](PipeStream::recv). `None` if the peer closes before it answers.
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
        self.state().need_messages(READ)?;
        // Held from before the request is sent: nobody else can take its reply. The request may have to read while it
        // waits, and does so in this turn.
        let turn = self
            .reading()
            .enter()
            .map_err(|failure| self.failed(READ, failure))?;
        let sent = self.in_writing_turn(|writing| {
            let sent = self.write_in(writing, request, Beside::Turn(&turn))?;
            self.state().owe();
            Ok(sent)
        });
        sent.map_err(|failure| self.failed(WRITE, failure))?;
        let received = self.receive_own(&turn, reply);
        drop(turn);
        self.read_ahead_again();
        match received {
            Err(Failure::Closed) => Ok(None),
            received => received.map_err(|failure| self.failed(READ, failure)),
        }
    }

    /// Receives the reply to the last request: those to earlier ones, whose waits timed out, come first.
    fn receive_own(&self, turn: &Turn<'_, sys::Waiter>, reply: &mut Vec<u8>) -> Received {
        let mut late = [0; 4096];
        while self.state().owed() > 1 {
            match self.read_part(turn, &mut late) {
                Ok(_) => turn.check()?,
                Err(Failure::System(e)) if is_end(&e) => return Ok(None),
                Err(failure) => return Err(failure),
            }
        }
        self.receive(turn, reply)
    }

    /// What can be read without waiting, and whether the end is next. Reads nothing and never blocks.
    ///
    /// # Errors
    ///
    /// The system's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// println!("{} bytes can be read at once", stream.peek()?.available);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peek(&self) -> io::Result<Peek> {
        self.state().peeked(self.io().peek())
    }
}
