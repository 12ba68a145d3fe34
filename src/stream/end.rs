//! How a stream ends: half closes, shutdowns, disconnects, and whether the peer has read everything.

use std::io::{self, ErrorKind};
use std::net::Shutdown;

use super::PipeStream;
use super::state::is_end;
use crate::error;
use crate::lane::Failure;

impl PipeStream {
    /// Whether the peer still has its end of the pipe. Reads nothing and never blocks.
    ///
    /// `false`: the peer has closed, or was disconnected, and nothing that is written now arrives; what it had sent can
    /// still be read. A half close leaves the pipe connected. (Unix: not where it closes the last direction that was
    /// open: after those of both sides, or of the writing side of a pipe that goes one way.)
    ///
    /// The answer may be out of date at once: a program that reads or writes anyway learns the same from that.
    ///
    /// # Errors
    ///
    /// The system's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// if !stream.is_connected()? {
    ///     println!("nobody is there to read the rest");
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn is_connected(&self) -> io::Result<bool> {
        match self.io().is_connected() {
            Err(e) if is_end(&e) => Ok(false),
            known => known.map_err(|e| error::named("look at", self.name(), e)),
        }
    }

    /// Blocks until the peer has read all that was written, within the write deadline. ([`flush`](std::io::Write::flush) does not
    /// block.)
    ///
    /// # Errors
    ///
    /// * `TimedOut`: the write deadline or timeout passed.
    /// * `BrokenPipe`: the peer has closed before it had read everything. (Once a peer has gone, Windows no longer tells
    ///   whether it had, and this is `Ok`.)
    /// * `Unsupported`: on Unix systems other than Linux, which do not tell what has been read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::{ErrorKind, Write};
    /// use std::time::{Duration, Instant};
    ///
    /// (&stream).write_all(b"goodbye")?;
    /// stream.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// match stream.wait_drained() {
    ///     Ok(()) => println!("the peer has read it"),
    ///     Err(e) if e.kind() == ErrorKind::TimedOut => println!("the peer does not read"),
    ///     Err(e) if e.kind() == ErrorKind::BrokenPipe => println!("the peer left before it had read it"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn wait_drained(&self) -> io::Result<()> {
        let lane = &self.shared.writing;
        let drained = lane.enter().and_then(|turn| {
            if self.state().is_unread() {
                return Err(Failure::System(ErrorKind::ConnectionReset.into()));
            }
            turn.drive(&mut self.io().drain(lane.waker()), None)
        });
        drained.map_err(|failure| self.state().not_drained(failure))
    }

    /// Half close: the peer reads what was written, then end of file; what it sends can still be read here. Writes
    /// of this side are `BrokenPipe` from then on. It does not block.
    ///
    /// On a message pipe it is an empty message, as go-winio's and Docker's half close is: the peer's `Read` is at its end
    /// from there on, and its [`recv`](PipeStream::recv) gets `Some(0)`. Windows: it goes out once the peer has read what
    /// is ahead of it, since peers that read a message pipe as bytes would not see it otherwise. Unix: `shutdown(SHUT_WR)`,
    /// on a message pipe behind that message.
    ///
    /// # Errors
    ///
    /// `Unsupported` on a Windows byte pipe, which has no half close: drop the stream, or end your messages with a mark
    /// of their own. `TimedOut`: the write deadline passed while another write was still under way.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::{ErrorKind, Read, Write};
    ///
    /// (&stream).write_all(b"request\n")?;
    /// match stream.close_write() {
    ///     Ok(()) => {}
    ///     // A Windows byte pipe: the server has to see by itself where the request ends.
    ///     Err(e) if e.kind() == ErrorKind::Unsupported => {}
    ///     Err(e) => return Err(e),
    /// }
    /// let mut reply = Vec::new();
    /// (&stream).read_to_end(&mut reply)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn close_write(&self) -> io::Result<()> {
        let closed = self
            .shared
            .writing
            .enter()
            .and_then(|_turn| Ok(self.close_write_in_turn()?));
        closed.map_err(|failure| self.failed("close_write of", failure))
    }

    /// By the one whose turn it is to write.
    fn close_write_in_turn(&self) -> io::Result<()> {
        if self.state().is_write_closed() {
            return Ok(());
        }
        match self.io().close_write() {
            Ok(half_close) => drop(self.shared.half_close.set(half_close)),
            // The peer has gone already: there is nobody to tell.
            Err(e) if is_end(&e) => {}
            Err(e) => return Err(e),
        }
        self.state().close_write();
        Ok(())
    }

    /// Ends one direction of the stream or both, on every clone and from any thread.
    ///
    /// * `Write` is [`close_write`](PipeStream::close_write).
    /// * `Read` makes reads of this end end of file, the pending ones too: `Ok(0)` for [`Read`](io::Read), `None` for
    ///   [`recv`](PipeStream::recv). What has not been read by then is not read any more.
    /// * `Both` does both without waiting, and ends a pending write of this end too. It is how one thread ends what
    ///   another waits for. Where the system has no half close (a Windows byte pipe), the peer sees the end when the last
    ///   clone is dropped.
    ///
    /// # Errors
    ///
    /// `Write`: those of `close_write`. `Both`: what the system says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::Read;
    /// use std::net::Shutdown;
    ///
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| (&stream).read(&mut [0; 64])); // ends with Ok(0)
    ///     stream.shutdown(Shutdown::Both)
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// A server that ends well shuts down only the reads: a thread in the middle of an answer writes the rest
    /// (`examples/json_lines.rs` is the whole program).
    ///
    /// ```no_run
    /// # let clients = vec![npipe::PipeStream::connect("mypipe")?];
    /// use std::net::Shutdown;
    ///
    /// for client in &clients {
    ///     client.shutdown(Shutdown::Read)?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how == Shutdown::Write {
            return self.close_write();
        }
        self.shared.reading.close();
        if how == Shutdown::Read {
            return Ok(());
        }
        // The pending write is given up, and those that queue fail: then nobody is in the way of the half close.
        self.shared.writing.close();
        let _turn = self.shared.writing.enter_last();
        let closed = match self.close_write_in_turn() {
            Err(e) if e.kind() == ErrorKind::Unsupported => Ok(()),
            closed => closed,
        };
        self.state().close_write();
        closed.map_err(|e| error::named("shutdown of", self.name(), e))
    }

    /// Cuts this client off at once: what it has not read may be lost. The listener goes on, and the same client may
    /// connect again. This side's reads are end of file afterwards, those that other threads wait in too, and its writes
    /// `BrokenPipe`. ([`shutdown`](PipeStream::shutdown) ends another thread's read without cutting the client off.)
    ///
    /// # Errors
    ///
    /// `InvalidInput` on a client's stream, which is closed by dropping it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// let stream = listener.accept()?;
    /// if stream.peer_pid()? == 4711 {
    ///     stream.disconnect()?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn disconnect(&self) -> io::Result<()> {
        const OPERATION: &str = "disconnect";
        self.state().need_server(OPERATION)?;
        self.io()
            .disconnect()
            .map_err(|e| error::named(OPERATION, self.name(), e))
    }
}
