//! The program's stdin and stdout as the multiplexer sees them: two buffers, which a thread each fills and empties.
//!
//! Writing never waits here. The multiplexer stops reading while an answer of its own cannot be written, so that two
//! ends with full buffers could wait for each other for ever; instead whoever has data to send waits for room first.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

/// What has come and is not taken yet.
const IN: usize = 256 * 1024;

/// With so much waiting to go out, nobody adds data.
const OUT: usize = 256 * 1024;

/// How often one that waits for room looks whether it is still wanted to.
const LOOK: Duration = Duration::from_millis(100);

/// Writes to the program, and waits for that if it has to.
type Write = Box<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

pub struct Wire {
    write: Write,
    incoming: Mutex<Incoming>,
    taken: Condvar,
    outgoing: Mutex<Outgoing>,
    added: Condvar,
    sent: Condvar,
}

#[derive(Debug, Default)]
struct Incoming {
    bytes: VecDeque<u8>,
    ended: bool,
    reader: Option<Waker>,
}

#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    /// Somebody writes what was here before.
    writing: bool,
    closed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    pub fn new(write: impl Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static) -> Wire {
        Wire {
            write: Box::new(write),
            incoming: Mutex::default(),
            taken: Condvar::new(),
            outgoing: Mutex::default(),
            added: Condvar::new(),
            sent: Condvar::new(),
        }
    }

    /// Something has come. Waits for room first; false: it is wanted no more.
    pub fn receive(&self, bytes: &[u8]) -> bool {
        let mut incoming = lock(&self.incoming);
        while incoming.bytes.len() >= IN && !incoming.ended {
            incoming = wait(&self.taken, incoming);
        }
        if incoming.ended {
            return false;
        }
        incoming.bytes.extend(bytes);
        wake(incoming);
        true
    }

    /// Nothing more comes, and nothing more can be sent.
    pub fn end(&self) {
        let mut incoming = lock(&self.incoming);
        incoming.ended = true;
        wake(incoming);
        self.taken.notify_all();
        lock(&self.outgoing).closed = true;
        self.added.notify_all();
        self.sent.notify_all();
    }

    /// Writes what there is, unless somebody else is at it, and leaves what comes meanwhile to the thread for that.
    pub fn flush(&self) {
        let outgoing = lock(&self.outgoing);
        if !outgoing.writing && !outgoing.bytes.is_empty() {
            drop(self.write(outgoing));
            self.kick();
        }
    }

    /// Lets the thread for that write what there is.
    pub fn kick(&self) {
        let outgoing = lock(&self.outgoing);
        if !outgoing.writing && !outgoing.bytes.is_empty() {
            self.added.notify_one();
        }
    }

    /// Writes what nobody else does, until nothing more comes.
    pub fn run(&self) {
        let mut outgoing = lock(&self.outgoing);
        while !outgoing.closed {
            if outgoing.writing || outgoing.bytes.is_empty() {
                outgoing = wait(&self.added, outgoing);
            } else {
                outgoing = self.write(outgoing);
            }
        }
    }

    fn write<'a>(&'a self, mut outgoing: MutexGuard<'a, Outgoing>) -> MutexGuard<'a, Outgoing> {
        let bytes = std::mem::take(&mut outgoing.bytes);
        outgoing.writing = true;
        drop(outgoing);
        let written = (self.write)(&bytes);
        if written.is_err() {
            self.end();
        }
        let mut outgoing = lock(&self.outgoing);
        outgoing.writing = false;
        self.sent.notify_all();
        outgoing
    }

    /// Waits until there is room for data, or it is `unwanted`.
    pub fn wait_room(&self, unwanted: impl Fn() -> bool) {
        let mut outgoing = lock(&self.outgoing);
        while outgoing.bytes.len() >= OUT && !outgoing.closed && !unwanted() {
            outgoing = self
                .sent
                .wait_timeout(outgoing, LOOK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn wake(mut incoming: MutexGuard<'_, Incoming>) {
    let reader = incoming.reader.take();
    drop(incoming);
    if let Some(reader) = reader {
        reader.wake();
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// The multiplexer's hold of it.
#[derive(Debug)]
pub struct Tap(pub Arc<Wire>);

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut incoming = lock(&self.0.incoming);
        if incoming.bytes.is_empty() {
            if incoming.ended {
                return Poll::Ready(Ok(0));
            }
            incoming.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let read = io::Read::read(&mut incoming.bytes, buffer);
        if incoming.bytes.len() < IN {
            self.0.taken.notify_one();
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut outgoing = lock(&self.0.outgoing);
        if outgoing.closed {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        outgoing.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.0.outgoing).closed = true;
        self.0.added.notify_all();
        Poll::Ready(Ok(()))
    }
}
