//! What the system may hold: an `OVERLAPPED` and a buffer, in memory that nobody else can move or free meanwhile.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::super::os::{self, Overlapped, Started};
use crate::kinds::Part;

/// The sizes of buffers that are used again, in bytes. Of the last there are [`MOST`] at the most.
const SIZES: [usize; 3] = [SMALL, MODEST, LARGE];
pub(super) const SMALL: usize = 512;
pub(super) const MODEST: usize = 4096;
pub(super) const LARGE: usize = 65536;

/// How many large buffers the process has at the most: 4 MiB of them.
const MOST: usize = 64;

/// How many of each size that nobody uses are kept.
const KEPT: usize = 16;

#[derive(Debug)]
struct Pool {
    free: [Vec<Buffer>; SIZES.len()],
    large: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: [Vec::new(), Vec::new(), Vec::new()],
    large: 0,
});

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes behind a pointer of its own: unlike a box, it claims no access to them while the system writes there. One of the
/// pool's sizes goes back to it.
#[derive(Debug)]
pub(super) struct Buffer {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns the bytes, and nothing in it belongs to a thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared one gives nothing but a pointer.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Room for `len` bytes or more, of one of the pool's sizes. None: for more than the largest, or of those there are
    /// enough.
    pub(super) fn pooled(len: usize) -> Option<Buffer> {
        let size = SIZES.iter().position(|&size| len <= size)?;
        let mut pool = pool();
        let free = pool.free[size].pop();
        if SIZES[size] == LARGE {
            if free.is_none() && pool.large == MOST {
                return None;
            }
            pool.large += 1;
        }
        drop(pool);
        Some(free.unwrap_or_else(|| Buffer::new(SIZES[size])))
    }

    /// One that is no size of the pool's.
    pub(super) fn own(len: usize) -> Buffer {
        let odd = usize::from(SIZES.contains(&len));
        Buffer::new(len + odd)
    }

    fn new(len: usize) -> Buffer {
        let bytes: Box<[u8]> = vec![0; len].into();
        Buffer {
            start: NonNull::from(Box::leak(bytes)).cast(),
            len,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// # Safety
    ///
    /// The system does not write to it.
    pub(super) unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: its own bytes, all initialised; the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }

    /// # Safety
    ///
    /// The system does not hold it.
    pub(super) unsafe fn fill(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(self.len);
        // SAFETY: its own bytes, which nobody else's can overlap; the caller's promise.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start(), len) };
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(size) = SIZES.iter().position(|&size| size == self.len) {
            let mut pool = pool();
            if self.len == LARGE {
                pool.large -= 1;
            }
            if pool.free[size].len() < KEPT {
                let (start, len) = (self.start, self.len);
                return pool.free[size].push(Buffer { start, len });
            }
        }
        let bytes = ptr::slice_from_raw_parts_mut(self.start(), self.len);
        // SAFETY: from a box, and freed once: here nobody else has it.
        drop(unsafe { Box::from_raw(bytes) });
    }
}

/// An operation, its `OVERLAPPED`, and the buffer that it was given. While it is pending all of that is the system's.
#[derive(Debug)]
pub(super) struct Operation {
    overlapped: NonNull<Overlapped>,
    memory: Option<Buffer>,
    pending: bool,
}

// SAFETY: nothing in it belongs to a thread: the system writes to an OVERLAPPED from any.
unsafe impl Send for Operation {}

impl Operation {
    pub(super) fn new() -> Operation {
        Operation {
            overlapped: NonNull::from(Box::leak(Box::default())),
            memory: None,
            pending: false,
        }
    }

    /// Begins one with `memory`. `start` is given the buffer, and the `OVERLAPPED`, set to `fresh`.
    ///
    /// # Safety
    ///
    /// None is pending. `start` begins an operation with what it is given, or fails and has begun none.
    pub(super) unsafe fn begin(
        &mut self,
        fresh: Overlapped,
        memory: Buffer,
        start: impl FnOnce(&Buffer, *mut Overlapped) -> io::Result<Started>,
    ) -> Poll<io::Result<Part>> {
        // SAFETY: the caller's promise: it is nobody else's at the moment.
        unsafe { *self.overlapped.as_ptr() = fresh };
        let memory = self.memory.insert(memory);
        match start(memory, self.overlapped.as_ptr()) {
            Err(error) => Poll::Ready(Err(error)),
            // Pending until its result has been seen to be there.
            Ok(_) => {
                self.pending = true;
                self.look()
            }
        }
    }

    /// The same, without a buffer, and without a look at how far it has come.
    ///
    /// # Safety
    ///
    /// As for [`begin`](Operation::begin). What else `start` gives the system stays until it is over.
    pub(super) unsafe fn begin_bare(
        &mut self,
        start: impl FnOnce(*mut Overlapped) -> io::Result<Started>,
    ) -> io::Result<Started> {
        // SAFETY: the caller's promise: it is nobody else's at the moment.
        unsafe { *self.overlapped.as_ptr() = Overlapped::default() };
        let started = start(self.overlapped.as_ptr())?;
        self.pending = started == Started::Pending;
        Ok(started)
    }

    /// How far it has come.
    pub(super) fn look(&mut self) -> Poll<io::Result<Part>> {
        // SAFETY: it was begun, in a box of its own.
        let outcome = unsafe { os::outcome(self.overlapped.as_ptr()) };
        self.pending = outcome.is_pending();
        outcome
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// What it was given, and may have filled. Nothing while it is pending.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.memory {
            // SAFETY: none is pending: the system has released it.
            Some(memory) if !self.pending => unsafe { memory.bytes() },
            _ => &[],
        }
    }

    /// Gives the buffer back, once none is pending.
    pub(super) fn emptied(&mut self) {
        if !self.pending {
            self.memory = None;
        }
    }

    /// Asks the system to end it.
    pub(super) fn cancel(&self, pipe: &OwnedHandle) {
        if self.pending {
            // SAFETY: it was begun on this handle, and its OVERLAPPED is there.
            unsafe { os::cancel(pipe, self.overlapped.as_ptr()) };
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if self.pending {
            // It does not come here: who holds an operation is held until it is over. If it ever did, the memory is the
            // system's for good.
            std::mem::forget(self.memory.take());
            return;
        }
        // SAFETY: from a box, freed once, and the system has released it.
        drop(unsafe { Box::from_raw(self.overlapped.as_ptr()) });
    }
}
