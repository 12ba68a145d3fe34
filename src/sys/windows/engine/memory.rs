//! What the system may hold: an `OVERLAPPED` and a buffer, in memory that nobody else can move or free meanwhile.

use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::io::OwnedHandle;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use super::super::os::{self, Overlapped, Started};
use crate::kinds::Part;

pub(super) const SMALL: usize = 512;
pub(super) const LARGE: usize = 65536;

/// How many large buffers the process has at the most: 4 MiB of them.
const MOST: usize = 64;

/// How many that nobody uses are kept.
const KEPT: usize = 16;

#[derive(Debug)]
struct Pool {
    free: Vec<Buffer>,
    out: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: Vec::new(),
    out: 0,
});

/// Bytes behind a pointer of its own: unlike a box, it claims no access to them while the system writes there.
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
    pub(super) fn new(len: usize) -> Buffer {
        Buffer::from_box(vec![0; len].into())
    }

    pub(super) fn of(bytes: &[u8]) -> Buffer {
        Buffer::from_box(bytes.into())
    }

    fn from_box(bytes: Box<[u8]>) -> Buffer {
        let len = bytes.len();
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
        let bytes = ptr::slice_from_raw_parts_mut(self.start(), self.len);
        // SAFETY: from a box, and freed once.
        drop(unsafe { Box::from_raw(bytes) });
    }
}

/// A buffer of [`LARGE`] bytes that is the pool's.
#[derive(Debug)]
pub(super) struct Pooled(ManuallyDrop<Buffer>);

impl Pooled {
    /// One, if there is one to be had.
    pub(super) fn take() -> Option<Pooled> {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let free = pool.free.pop();
        if free.is_none() && pool.out == MOST {
            return None;
        }
        pool.out += 1;
        drop(pool);
        let buffer = free.unwrap_or_else(|| Buffer::new(LARGE));
        Some(Pooled(ManuallyDrop::new(buffer)))
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        // SAFETY: taken out once, here, and not used after.
        let buffer = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        pool.out -= 1;
        if pool.free.len() < KEPT {
            pool.free.push(buffer);
        }
    }
}

/// One or the other.
#[derive(Debug)]
pub(super) enum Memory {
    Own(Buffer),
    Pooled(Pooled),
}

impl Memory {
    pub(super) fn buffer(&self) -> &Buffer {
        match self {
            Memory::Own(buffer) => buffer,
            Memory::Pooled(pooled) => &pooled.0,
        }
    }

    pub(super) fn buffer_mut(&mut self) -> &mut Buffer {
        match self {
            Memory::Own(buffer) => buffer,
            Memory::Pooled(pooled) => &mut pooled.0,
        }
    }
}

/// An operation, its `OVERLAPPED`, and the buffer that it was given. While it is pending all of that is the system's.
#[derive(Debug)]
pub(super) struct Operation {
    overlapped: NonNull<Overlapped>,
    memory: Option<Memory>,
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
        memory: Memory,
        start: impl FnOnce(&Buffer, *mut Overlapped) -> io::Result<Started>,
    ) -> Poll<io::Result<Part>> {
        // SAFETY: the caller's promise: it is nobody else's at the moment.
        unsafe { *self.overlapped.as_ptr() = fresh };
        let memory = self.memory.insert(memory);
        match start(memory.buffer(), self.overlapped.as_ptr()) {
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
            // SAFETY: none is pending: the system has let go of it.
            Some(memory) if !self.pending => unsafe { memory.buffer().bytes() },
            _ => &[],
        }
    }

    /// Takes the buffer back, once none is pending.
    pub(super) fn take_memory(&mut self) -> Option<Memory> {
        match self.pending {
            true => None,
            false => self.memory.take(),
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
        // SAFETY: from a box, freed once, and the system has let go of it.
        drop(unsafe { Box::from_raw(self.overlapped.as_ptr()) });
    }
}
