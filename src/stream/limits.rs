//! How long a stream's calls may take: deadlines, timeouts, non-blocking calls, busy polls.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::PipeStream;
use crate::error::{Fault, Reason};

impl PipeStream {
    /// Sets when reads and writes give up: [`set_read_deadline`](PipeStream::set_read_deadline) and
    /// [`set_write_deadline`](PipeStream::set_write_deadline) in one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::{ErrorKind, Read, Write};
    /// use std::time::{Duration, Instant};
    ///
    /// // A whole conversation, however many calls it takes.
    /// stream.set_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
    /// (&stream).write_all(b"question\n")?;
    /// let mut answer = Vec::new();
    /// match (&stream).read_to_end(&mut answer) {
    ///     Ok(_) => println!("{}", String::from_utf8_lossy(&answer)),
    ///     Err(e) if e.kind() == ErrorKind::TimedOut => {
    ///         println!("not done within 10 s; so far: {} bytes", answer.len());
    ///     }
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.set_read_deadline(deadline)?;
        self.set_write_deadline(deadline)
    }

    /// Sets when reads give up, the pending one and all later ones, on every clone. `None`, the default, means never.
    ///
    /// Past it a read fails with `TimedOut`, even if there is something to read. No byte is lost, and a later deadline makes
    /// the stream usable again. Setting one does not fail today.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::{ErrorKind, Read};
    /// use std::time::{Duration, Instant};
    ///
    /// let mut buffer = [0; 1024];
    /// stream.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// match (&stream).read(&mut buffer) {
    ///     Ok(length) => println!("{length} bytes"),
    ///     Err(e) if e.kind() == ErrorKind::TimedOut => println!("nothing for 5 s"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.shared.reading.set_deadline(deadline);
        Ok(())
    }

    /// When reads give up.
    pub fn read_deadline(&self) -> io::Result<Option<Instant>> {
        Ok(self.shared.reading.deadline())
    }

    /// Sets when writes give up, the pending one and all later ones, on every clone. `None`, the default, means never.
    ///
    /// Past it a write fails with `TimedOut`. A write reports the bytes that went out before. Where nobody can tell how many they
    /// were (Windows, a write larger than the free buffer), or a message went out in part, the error says so, and later
    /// writes fail with the same error, so that the stream is not corrupted in silence.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::Write;
    /// use std::time::{Duration, Instant};
    /// use npipe::{PipeError, Reason};
    ///
    /// stream.set_write_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
    /// if let Err(error) = (&stream).write_all(&[0; 1 << 20]) {
    ///     match PipeError::of(&error).map(PipeError::reason) {
    ///         // Some of it may have gone out: a peer that goes on reading would take what comes next for the rest.
    ///         Some(Reason::DeadlinePassed | Reason::WriteLost) => drop(stream),
    ///         Some(Reason::PeerClosed) => println!("nobody is there any more"),
    ///         _ => return Err(error),
    ///     }
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.shared.writing.set_deadline(deadline);
        Ok(())
    }

    /// When writes give up.
    pub fn write_deadline(&self) -> io::Result<Option<Instant>> {
        Ok(self.shared.writing.deadline())
    }

    /// How long each read may wait. `None`, the default, is forever. Where there is a deadline too, the earlier one
    /// counts. What can be read at once is read, however short the timeout is.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero, as in `std`.
    ///
    /// # Examples
    ///
    /// Lines, with something else to do while none comes. The half of one that has come is kept:
    ///
    /// ```
    /// use std::io::{BufRead, BufReader, ErrorKind, Write};
    /// use std::time::Duration;
    /// use npipe::PipeStream;
    ///
    /// let (server, client) = PipeStream::pair()?;
    /// server.set_read_timeout(Some(Duration::from_millis(20)))?;
    /// let mut reader = BufReader::new(&server);
    /// let mut line = Vec::new(); // bytes: `read_line` loses them where a character is cut in two
    ///
    /// write!(&client, "half a ")?;
    /// let error = reader.read_until(b'\n', &mut line).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// assert_eq!(line, b"half a "); // do something else, and come back with the same `line`
    ///
    /// writeln!(&client, "line")?;
    /// reader.read_until(b'\n', &mut line)?;
    /// assert_eq!(line, b"half a line\n");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.check_timeout("set_read_timeout of", timeout)?;
        self.shared.reading.set_timeout(timeout);
        Ok(())
    }

    /// How long each read may wait.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.shared.reading.timeout())
    }

    /// How long each write may wait. `None`, the default, is forever. Where there is a deadline too, the earlier one
    /// counts. What can be written at once is written, however short the timeout is.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero, as in `std`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::{ErrorKind, Write};
    /// use std::time::Duration;
    ///
    /// stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    /// match (&stream).write(b"news\n") {
    ///     Ok(length) => println!("{length} bytes"),
    ///     Err(e) if e.kind() == ErrorKind::TimedOut => println!("the peer does not read: let it go"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.check_timeout("set_write_timeout of", timeout)?;
        self.shared.writing.set_timeout(timeout);
        Ok(())
    }

    /// How long each write may wait.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.shared.writing.timeout())
    }

    fn check_timeout(&self, operation: &'static str, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            let why = "a timeout of zero lets nothing happen: give more, or None for no timeout";
            return Err(Fault::new(Reason::WrongOption, why).of(operation, self.name()));
        }
        Ok(())
    }

    /// Whether a call that would have to wait fails with `WouldBlock` instead, on every clone; pending calls do too.
    /// Default: false. An event loop waits for the descriptor itself (`AsFd`), or looks by [`peek`](PipeStream::peek).
    ///
    /// [`wait_drained`](PipeStream::wait_drained) and messages obey as well: a message that does not fit is not sent.
    /// (Where a part of it went out before the buffers were full, the write side is lost as by a deadline; on Windows so it
    /// may be where a write was pending when this was called.) The descriptor's own flags are left as they are.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::{ErrorKind, Read};
    ///
    /// stream.set_nonblocking(true)?;
    /// match (&stream).read(&mut [0; 1024]) {
    ///     Ok(length) => println!("{length} bytes"),
    ///     Err(e) if e.kind() == ErrorKind::WouldBlock => println!("nothing yet"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.shared.reading.set_nonblocking(nonblocking);
        self.shared.writing.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Whether a call that would have to wait fails instead.
    pub fn nonblocking(&self) -> io::Result<bool> {
        Ok(self.shared.reading.is_nonblocking())
    }

    /// How long a read spins, waiting for data, before it blocks. `None`, the default, means not at all.
    ///
    /// It spends a core to save the time of a wake-up, where both ends answer within microseconds and have a core each.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::time::Duration;
    ///
    /// stream.set_busy_poll(Some(Duration::from_micros(50)))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_busy_poll(&self, spin: Option<Duration>) -> io::Result<()> {
        let nanos = spin.map_or(0, |spin| u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX));
        self.shared.busy_poll.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    /// How long a read spins before it blocks.
    pub fn busy_poll(&self) -> io::Result<Option<Duration>> {
        Ok(self.spin())
    }
}
