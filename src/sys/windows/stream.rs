//! An open pipe: the handle of one end of an instance.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::os;
use super::overlapped::{GivenUp, Overlapped, Waiter};
use super::peer;
use crate::lane::{Cancelled, Operation, Waited, Waker};
use crate::stream::Part;
use crate::{Peek, PeerIdentity, PipeInfo, PipeMode, PipeName, PipeStream, Role};

#[derive(Debug)]
pub(crate) struct Stream {
    handle: OwnedHandle,
}

impl Stream {
    pub(crate) fn new(handle: OwnedHandle) -> Stream {
        Stream { handle }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Stream> {
        self.handle.try_clone().map(Stream::new)
    }

    pub(crate) fn read<'a>(
        &'a self,
        waiter: &'a Waiter,
        buffer: &'a mut [u8],
    ) -> impl Operation<Output = Part> + 'a {
        Overlapped::new(
            &self.handle,
            waiter,
            GivenUp::Harmless,
            move |handle: &OwnedHandle, overlapped| {
                // SAFETY: the OVERLAPPED is this operation's, the buffer is borrowed for as long as the operation is
                // there, and that ends only once the system has let go of both.
                unsafe { os::read(handle, buffer.as_mut_ptr(), buffer.len(), overlapped) }
            },
        )
    }

    pub(crate) fn write<'a>(
        &'a self,
        waiter: &'a Waiter,
        bytes: &'a [u8],
    ) -> impl Operation<Output = Part> + 'a {
        Overlapped::new(
            &self.handle,
            waiter,
            // Of a write that was taken in part the system reports nothing once it is cancelled.
            GivenUp::Unknown,
            move |handle: &OwnedHandle, overlapped| {
                // SAFETY: as for a read.
                unsafe { os::write(handle, bytes.as_ptr(), bytes.len(), overlapped) }
            },
        )
    }

    /// Waits until the peer has read everything.
    pub(crate) fn drain<'a>(&'a self, waiter: &'a Waiter) -> Drain<'a> {
        Drain {
            handle: &self.handle,
            waiter,
            flush: None,
        }
    }

    /// Sends one message: a write is one.
    pub(crate) fn send<'a>(
        &'a self,
        waiter: &'a Waiter,
        message: &'a [u8],
    ) -> impl Operation<Output = Part> + 'a {
        self.write(waiter, message)
    }

    /// Half close: behind the empty message there is nothing left to do on a message pipe, and on a byte pipe there is
    /// no such thing.
    pub(crate) fn close_write(&self, mode: PipeMode) -> io::Result<()> {
        if mode == PipeMode::Message {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a Windows byte pipe has no half close: drop the stream, use a message pipe, \
             or end what you send with a mark of its own",
        ))
    }

    pub(crate) fn disconnect(&self) -> io::Result<()> {
        match os::disconnect(&self.handle) {
            // Who has gone needs no telling.
            Err(error) if os::is_end(&error) => Ok(()),
            result => result,
        }
    }

    pub(crate) fn peek(&self) -> io::Result<Peek> {
        os::peek(&self.handle)
    }

    pub(crate) fn peer_pid(&self, role: Role) -> io::Result<u32> {
        os::peer_pid(&self.handle, role == Role::Server)
    }

    pub(crate) fn peer_identity(&self, role: Role) -> io::Result<PeerIdentity> {
        peer::identity(&self.handle, role)
    }

    pub(crate) fn impersonate(&self) -> io::Result<os::Impersonation> {
        os::Impersonation::begin(&self.handle)
    }

    pub(crate) fn info(&self, _role: Role, _mode: PipeMode) -> io::Result<PipeInfo> {
        Ok(os::local(&self.handle)?.info())
    }

    /// What the system knows of this handle.
    pub(crate) fn describe(&self) -> (PipeName, Role, PipeMode) {
        let local = os::local(&self.handle);
        let role = match &local {
            Ok(local) if local.server => Role::Server,
            _ => Role::Client,
        };
        let mode = match &local {
            Ok(local) => local.mode,
            Err(_) => PipeMode::Byte,
        };
        let path = os::path_of(&self.handle).unwrap_or_default();
        (PipeName::from_os(path), role, mode)
    }

    /// Whether an error says that the other side has gone: `std` has no kinds for some of Windows's.
    pub(crate) fn is_end(error: &io::Error) -> bool {
        os::is_end(error)
    }
}

/// Waits until the peer has read everything: at once where the system can tell so, else by a flush on a thread of the
/// system's pool, since it has no form that a deadline could end.
pub(crate) struct Drain<'a> {
    handle: &'a OwnedHandle,
    waiter: &'a Waiter,
    flush: Option<Arc<Flush>>,
}

/// What the one who waits and the thread that flushes have in common.
#[derive(Debug, Default)]
struct Flush {
    /// The thread, while it is at it.
    at_it: Mutex<Option<os::Thread>>,
    /// The system's error, or 0.
    result: OnceLock<u32>,
}

/// How often a flush that has just begun, and was not in the system yet to be cancelled, is told again.
const TELL_AGAIN: Duration = Duration::from_millis(5);

impl Flush {
    fn start(handle: &OwnedHandle, waiter: &Waiter) -> io::Result<Arc<Flush>> {
        let flush = Arc::new(Flush::default());
        // Of its own, for it may be the last to let go of them.
        let (handle, event) = (handle.try_clone()?, waiter.event()?.try_clone()?);
        let shared = flush.clone();
        os::run_aside(Box::new(move || {
            let flushed = os::Thread::current().and_then(|thread| {
                shared.thread(Some(thread));
                let flushed = os::flush(&handle);
                // Before anything else of this thread's could be cancelled in its place.
                shared.thread(None);
                flushed
            });
            drop(handle);
            let code = flushed.err().map_or(0, |error| os::code(&error));
            let _ = shared.result.set(code);
            event.set();
        }))?;
        Ok(flush)
    }

    fn thread(&self, thread: Option<os::Thread>) {
        *self.at_it.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }

    fn result(&self) -> Option<io::Result<()>> {
        self.result.get().map(|&code| match code {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code as i32)),
        })
    }

    fn cancel(&self) {
        let at_it = self.at_it.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*at_it {
            thread.cancel_io();
        }
    }
}

impl Operation for Drain<'_> {
    type Output = ();

    fn poll(&mut self) -> Poll<io::Result<()>> {
        if let Some(flush) = &self.flush {
            return flush.result().map_or(Poll::Pending, Poll::Ready);
        }
        if os::local(self.handle).is_ok_and(|local| local.drained) {
            return Poll::Ready(Ok(()));
        }
        match Flush::start(self.handle, self.waiter) {
            Ok(flush) => {
                self.flush = Some(flush);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        Ok(match self.waiter.event()?.wait(until) {
            true => Waited::Ready,
            false => Waited::Expired,
        })
    }

    fn cancel(&mut self) -> Cancelled<()> {
        let Some(flush) = self.flush.take() else {
            return Cancelled::Nothing;
        };
        loop {
            match flush.result() {
                Some(Err(error)) if os::is_cancelled(&error) => return Cancelled::Nothing,
                Some(result) => return Cancelled::Finished(result),
                None => flush.cancel(),
            }
            if let Ok(event) = self.waiter.event() {
                event.wait(Instant::now().checked_add(TELL_AGAIN));
            }
        }
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if self
            .flush
            .as_ref()
            .is_some_and(|flush| flush.result().is_none())
        {
            self.cancel();
            // A wake-up that came for somebody else meanwhile may have been swallowed here.
            self.waiter.wake();
        }
    }
}

impl AsHandle for PipeStream {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.io().handle.as_handle()
    }
}

impl AsRawHandle for PipeStream {
    fn as_raw_handle(&self) -> RawHandle {
        self.io().handle.as_raw_handle()
    }
}

/// Takes one end of a pipe that was opened with `FILE_FLAG_OVERLAPPED`. (On one that was not, a call cannot be ended by
/// a deadline, and a read that waits holds up all writes.)
impl From<OwnedHandle> for PipeStream {
    fn from(handle: OwnedHandle) -> PipeStream {
        PipeStream::adopt(Stream { handle })
    }
}

/// The overlapped handle, without this crate's deadlines. A server's is bound to its listener's completion port.
impl From<PipeStream> for OwnedHandle {
    fn from(stream: PipeStream) -> OwnedHandle {
        stream.into_io().handle
    }
}
