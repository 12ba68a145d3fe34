//! Reading and writing: the byte view of a stream, and what every write goes through.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use super::gather::{self, Buffers};
use super::{PipeStream, WRITE};
use crate::kinds::{Part, PipeMode};
use crate::lane::{Beside, Failure, Turn};
use crate::sys;

impl PipeStream {
    fn read_bytes(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_once(|turn| self.read_part(turn, buffer))
    }

    /// One read of the system's, as one of bytes.
    fn read_once(
        &self,
        read: impl FnOnce(&Turn<'_, sys::Waiter>) -> Result<Part, Failure>,
    ) -> io::Result<usize> {
        let read = self.in_reading_turn(|turn| {
            if self.state().is_read_ended() {
                return Ok(0);
            }
            let part = read(turn)?;
            self.state().note_bytes(part.len);
            Ok(part.len)
        });
        self.state().ended(read)
    }

    fn write_bytes(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.write_once(bytes)
    }

    /// One write of the system's: of bytes, or of a whole message, which may be empty.
    pub(super) fn write_once(&self, bytes: &[u8]) -> io::Result<usize> {
        self.in_writing_turn(|turn| self.write_in(turn, bytes, Beside::Lane(self.reading())))
            .map_err(|failure| self.failed(WRITE, failure))
    }

    /// All of `bytes`, so that no other thread's come between them; on a message pipe, one message.
    fn write_whole(&self, mut bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.in_writing_turn(|turn| {
            loop {
                let written = self.write_in(turn, bytes, Beside::Lane(self.reading()))?;
                bytes = bytes.get(written..).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(());
                }
                if written == 0 {
                    return Err(Failure::System(io::ErrorKind::WriteZero.into()));
                }
                turn.check()?;
            }
        })
        .map_err(|failure| self.failed(WRITE, failure))
    }

    /// Does `work` in a turn of the writing lane, where this end may still write.
    pub(super) fn in_writing_turn<T>(
        &self,
        work: impl FnOnce(&Turn<'_, sys::Waiter>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let shared = &*self.shared;
        let turn = shared.writing.enter()?;
        shared.state.may_write()?;
        let result = work(&turn);
        if matches!(result, Err(Failure::Lost)) {
            shared.state.lose_write();
        }
        result
    }

    pub(super) fn write_in(
        &self,
        turn: &Turn<'_, sys::Waiter>,
        bytes: &[u8],
        reading: Beside<'_, sys::Waiter>,
    ) -> Result<usize, Failure> {
        let (io, waiter) = (self.io(), self.shared.writing.waker());
        let bytes = match turn.is_nonblocking() {
            false => bytes,
            // Where a write that had to wait could not be taken back without a loss, it is not begun.
            true => match io.room(bytes.len())? {
                0 if !bytes.is_empty() => return Err(Failure::WouldBlock),
                room => &bytes[..room.min(bytes.len())],
            },
        };
        match self.mode() {
            PipeMode::Byte => Ok(turn.drive(&mut io.write(waiter, bytes, reading), None)?.len),
            PipeMode::Message => {
                self.state().check_length(bytes.len())?;
                Ok(turn.drive(&mut io.send(waiter, bytes, reading), None)?.len)
            }
        }
    }

    /// Several slices by one write of the system's: one message on a message pipe.
    fn write_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let slices = match Buffers::of(slices) {
            Buffers::Empty => return Ok(0),
            Buffers::One(bytes) => return self.write_bytes(bytes),
            Buffers::Several(slices) => slices,
        };
        #[cfg(unix)]
        if self.mode() == PipeMode::Byte {
            let waiter = self.shared.writing.waker();
            let written = self.in_writing_turn(|turn| {
                turn.drive(&mut self.io().write_vectored(waiter, slices), None)
            });
            return written
                .map(|part| part.len)
                .map_err(|failure| self.failed(WRITE, failure));
        }
        let gathered = gather::gathered(slices, self.state())
            .map_err(|failure| self.failed(WRITE, failure))?;
        self.write_bytes(&gathered)
    }

    /// One read of the system's into several buffers.
    fn read_slices(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let Some(first) = slices.iter().position(|slice| !slice.is_empty()) else {
            return Ok(0);
        };
        let slices = &mut slices[first..];
        if slices[1..].iter().all(|slice| slice.is_empty()) {
            return self.read_bytes(&mut slices[0]);
        }
        #[cfg(unix)]
        if self.mode() == PipeMode::Byte {
            let read = self.io().read_vectored(self.reading().waker(), slices);
            return self.read_once(|turn| self.read_by(turn, read));
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut buffer = Vec::new();
        buffer
            .try_reserve_exact(total.min(gather::MOST))
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        buffer.resize(total.min(gather::MOST), 0);
        let length = self.read_bytes(&mut buffer)?;
        let mut rest = &buffer[..length];
        for slice in slices {
            let (now, later) = rest.split_at(rest.len().min(slice.len()));
            slice[..now.len()].copy_from_slice(now);
            rest = later;
        }
        Ok(length)
    }

    fn write_formatted(&self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        if let Some(text) = arguments.as_str() {
            return self.write_whole(text.as_bytes());
        }
        let mut line = Line::default();
        fmt::Write::write_fmt(&mut line, arguments)
            .map_err(|_| io::Error::other("a Display or Debug implementation returned an error"))?;
        self.write_whole(line.bytes())
    }
}

/// A formatted text on its way to one write: a short one costs no allocation.
struct Line {
    short: [u8; 256],
    length: usize,
    long: Vec<u8>,
}

impl Default for Line {
    fn default() -> Line {
        Line {
            short: [0; 256],
            length: 0,
            long: Vec::new(),
        }
    }
}

impl Line {
    fn bytes(&self) -> &[u8] {
        if self.long.is_empty() {
            &self.short[..self.length]
        } else {
            &self.long
        }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let text = text.as_bytes();
        if self.long.is_empty() {
            if let Some(room) = self.short.get_mut(self.length..self.length + text.len()) {
                room.copy_from_slice(text);
                self.length += text.len();
                return Ok(());
            }
            self.long.extend_from_slice(&self.short[..self.length]);
        }
        self.long.extend_from_slice(text);
        Ok(())
    }
}

impl Read for &PipeStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_bytes(buffer)
    }

    /// One system call for all buffers.
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.read_slices(buffers)
    }
}

impl Read for PipeStream {
    /// As for `&PipeStream`. Unix: a stream without clones makes one system call, and waits in it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        if let Some(read) = self.read_alone(buffer) {
            return self.state().ended(read);
        }
        self.read_bytes(buffer)
    }

    /// One system call for all buffers.
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.read_slices(buffers)
    }
}

impl Write for &PipeStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_bytes(bytes)
    }

    /// One system call for all slices, and on a message pipe one message.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_slices(slices)
    }

    /// Nothing that another thread writes comes between; on a message pipe it is one message.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_whole(bytes)
    }

    /// What `write!` and `writeln!` call: one write, and on a message pipe one message, of the whole text.
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_formatted(arguments)
    }

    /// Does nothing, since nothing is held back here. [`PipeStream::wait_drained`] waits for the peer.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for PipeStream {
    /// As for `&PipeStream`. Unix: a stream without clones makes one system call, and waits in it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(unix)]
        if let Some(written) = self.write_alone(bytes) {
            return written.map_err(|failure| self.failed(WRITE, failure));
        }
        self.write_bytes(bytes)
    }

    /// One system call for all slices, and on a message pipe one message.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_slices(slices)
    }

    /// Nothing that another thread writes comes between; on a message pipe it is one message.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(unix)]
        let bytes = self.write_all_alone(bytes)?;
        self.write_whole(bytes)
    }

    /// What `write!` and `writeln!` call: one write, and on a message pipe one message, of the whole text.
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_formatted(arguments)
    }

    /// Does nothing, since nothing is held back here. [`PipeStream::wait_drained`] waits for the peer.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
