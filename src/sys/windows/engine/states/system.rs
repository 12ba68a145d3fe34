//! What a system does for a pipe, one direction at a time.

use std::io;
use std::task::Poll;

use crate::kinds::Part;

/// Where bytes or messages come from.
pub(crate) trait Source {
    /// What a small read takes, in bytes. It waits in the system for as long as the pipe is idle.
    const SMALL: usize;

    /// Begins a read into memory of its own, of `want` bytes at the most: of fewer where there is no memory for so many.
    fn start(&mut self, want: usize) -> Poll<io::Result<Part>>;

    /// How far it has come. `Interrupted`: somebody else has cancelled it, and it has had no effect.
    fn look(&mut self) -> Poll<io::Result<Part>>;

    /// What the last read, which is over, may have filled; at least as much as it said.
    fn room(&self) -> &[u8];

    /// All that was brought has been taken.
    fn emptied(&mut self);

    /// Reads what is known to be there, straight into `buffer`; None if somebody else has taken it.
    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<Part>>;

    /// Has the system end a read that is pending. It may bring something all the same.
    fn cancel(&mut self);

    /// Lets go of the pipe. A read that is pending is cancelled, and comes to its end.
    fn close(&mut self);
}

/// Where they go.
pub(crate) trait Sink {
    /// How much is taken along of what the system does not take at once, in bytes.
    const AHEAD: usize;

    /// Takes a copy of `bytes`, or of their beginning; of a message all.
    fn take(&mut self, bytes: &[u8], whole: bool) -> usize;

    /// Begins to write what was taken.
    fn start(&mut self) -> Poll<io::Result<usize>>;

    /// How far it has come.
    fn look(&mut self) -> Poll<io::Result<usize>>;

    /// Lets go of the pipe. Nothing is pending.
    fn close(&mut self);
}
