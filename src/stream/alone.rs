//! Calls of a stream's only owner, on a system in which they may block: nobody else can meet them, or move their limits.
//!
//! They give up, with None, what has to go the common way.

use std::io;
use std::sync::Arc;

use super::{PipeStream, Shared, WRITE};
use crate::kinds::PipeMode;
use crate::lane::Failure;

impl PipeStream {
    pub(super) fn read_alone(&mut self, buffer: &mut [u8]) -> Option<Result<usize, Failure>> {
        Arc::get_mut(&mut self.shared)?.read_alone(buffer)
    }

    pub(super) fn write_alone(&mut self, bytes: &[u8]) -> Option<Result<usize, Failure>> {
        Arc::get_mut(&mut self.shared)?.write_alone(bytes)
    }

    /// Writes as much as may go this way. What is left is to go the common one.
    pub(super) fn write_all_alone<'a>(&mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.write_alone(rest) {
                None => break,
                Some(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
                Some(Err(failure)) => return Err(self.failed(WRITE, failure)),
            }
        }
        Ok(rest)
    }
}

impl Shared {
    fn read_alone(&mut self, buffer: &mut [u8]) -> Option<Result<usize, Failure>> {
        let state = &self.state;
        if state.may_read().is_err() || state.is_read_ended() || buffer.is_empty() {
            return None;
        }
        if *self.busy_poll.get_mut() != 0 {
            return None;
        }
        let until = self.reading.alone()?;
        let read = self.io.read_blocking(buffer, until)?;
        Some(read.map_err(Failure::System).map(|part| {
            state.note_part(part);
            state.note_bytes(part.len);
            part.len
        }))
    }

    fn write_alone(&mut self, bytes: &[u8]) -> Option<Result<usize, Failure>> {
        let state = &self.state;
        if state.may_write().is_err() || bytes.is_empty() {
            return None;
        }
        if state.mode() == PipeMode::Message && state.check_length(bytes.len()).is_err() {
            return None;
        }
        let until = self.writing.alone()?;
        let written = self.io.write_blocking(bytes, until)?;
        Some(written.map(|part| part.len).map_err(Failure::System))
    }
}
