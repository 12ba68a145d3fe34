//! The same sockets for tasks: what waits in `poll(2)` elsewhere waits for tokio's driver here.
//!
//! Nothing is copied or held back: each attempt is the blocking half's, and tokio tells when the next is worth making.
//! (Its readiness is remembered, so that a call that finds it set tries at once, and one whose attempt had to wait takes
//! it back.)

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use ::tokio::io::unix::AsyncFd;
use ::tokio::io::{Interest, ReadBuf};
use ::tokio::runtime::Handle;
use rustix::fd::{AsRawFd, RawFd};

use super::connect::Connector;
use super::listener::{Accepted, Listener, REFUSED_A_TURN};
use super::os;
use super::packets;
use super::stream::{HalfClose, Stream};
use super::unsent::Unsent;
use crate::attempt::{Attempt, Backoff};
use crate::error::{Fault, Reason};
use crate::kinds::{Part, Peek, PipeMode};
use crate::name::PipeName;
use crate::options::ConnectOptions;
use crate::wakers::{Place, Queue};

/// Registers with the runtime that this is called in.
fn register<T: AsRawFd>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    if Handle::try_current().is_err() {
        let why = "this has to be called inside a tokio runtime (in an async fn, or after Runtime::enter), one with enable_io";
        return Err(Fault::new(Reason::NoRuntime, why).into());
    }
    // What takes its place is of the newest tokio alone. What it asks for holds: each type here owns its descriptor, or is
    // released before the owner closes it, and none changes it.
    #[allow(deprecated)]
    AsyncFd::with_interest(socket, interest)
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.shown().as_raw_fd()
    }
}

/// An open pipe that a runtime watches.
#[derive(Debug)]
pub(crate) struct AsyncStream {
    socket: AsyncFd<Stream>,
    /// Held for one call of the system's that does not wait.
    unsent: Mutex<Unsent>,
}

impl AsyncStream {
    pub(crate) fn new(stream: Stream) -> io::Result<AsyncStream> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(AsyncStream {
            socket: register(stream, interest)?,
            unsent: Mutex::default(),
        })
    }

    pub(crate) fn into_stream(self) -> io::Result<Stream> {
        if self.is_behind() {
            let why = "a message has gone in part, by a call that was dropped: flush it first";
            return Err(Fault::new(Reason::WrongHandle, why).into());
        }
        Ok(self.socket.into_inner())
    }

    pub(crate) fn stream(&self) -> &Stream {
        self.socket.get_ref()
    }

    fn unsent(&self) -> MutexGuard<'_, Unsent> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt_write(&self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.stream().mode() {
            PipeMode::Byte => self.stream().try_write(bytes).map_ok(|part| part.len),
            PipeMode::Message => self.unsent().send(self.stream(), bytes),
        }
    }

    /// Whether the socket is empty after a read that brought so much: then the next need not be tried before there is
    /// news.
    fn is_emptied(&self, length: usize, room: usize) -> bool {
        self.stream().mode() == PipeMode::Byte && 0 < length && length < room
    }

    /// Reads what is there, as much as there is room for.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Part>> {
        if self.stream().mode() == PipeMode::Message && self.stream().has_spilled() {
            // No readiness reports what an earlier read has left of a packet.
            if let Poll::Ready(part) = self.attempt_fill(buffer) {
                return Poll::Ready(part);
            }
        }
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            let room = buffer.remaining();
            match self.attempt_fill(buffer) {
                Poll::Pending => ready.clear_ready(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(part)) => {
                    if self.is_emptied(part.len, room) {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(part));
                }
            }
        }
    }

    fn attempt_fill(&self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<Part>> {
        if self.stream().mode() == PipeMode::Message {
            let part = ready!(self.stream().try_read(buffer.initialize_unfilled()))?;
            buffer.advance(part.len);
            return Poll::Ready(Ok(part));
        }
        // SAFETY: what is initialized of it stays so: it is only written to.
        let room = unsafe { buffer.unfilled_mut() };
        let len = match os::recv_uninit(self.stream().fd(), room) {
            Err(rustix::io::Errno::AGAIN) => return Poll::Pending,
            received => received?,
        };
        // SAFETY: recv(2) has filled so many.
        unsafe { buffer.assume_init(len) };
        buffer.advance(len);
        let complete = true;
        Poll::Ready(Ok(Part { len, complete }))
    }

    /// Tries, whatever is known of the readiness; takes it back where it was wrong.
    fn attempt<T>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut() -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let mut tried = false;
        let now = |attempt: Poll<io::Result<T>>| match attempt {
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
            Poll::Ready(result) => result,
        };
        let result = self.socket.try_io(interest, |_| {
            tried = true;
            now(attempt())
        });
        // News of what is there may not have come yet.
        if tried { result } else { now(attempt()) }
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.attempt(Interest::READABLE, || self.stream().try_read(buffer))
    }

    /// Waits until there is data, or the end.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        loop {
            if self.stream().mode() == PipeMode::Message && self.stream().has_spilled() {
                return Ok(());
            }
            let mut ready = self.socket.readable().await?;
            if os::has_news(self.stream().fd())? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    /// Waits until a write would take something.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        let _ready = self.socket.writable().await?;
        Ok(())
    }

    /// One write, and on a message pipe one message.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, bytes.len(), || self.attempt_write(bytes))
    }

    /// One write of bytes out of several buffers.
    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices = &slices[..slices.len().min(os::MOST_SLICES)];
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.poll_write_by(cx, length, || {
            let written = self.stream().try_write_vectored(slices);
            written.map_ok(|part| part.len)
        })
    }

    fn poll_write_by(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        attempt: impl Fn() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.socket.poll_write_ready(cx))?;
            match attempt() {
                Poll::Pending => ready.clear_ready(),
                Poll::Ready(written) => {
                    if written.as_ref().is_ok_and(|&written| written < length) {
                        ready.clear_ready();
                    }
                    return Poll::Ready(written);
                }
            }
        }
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(Interest::WRITABLE, || self.attempt_write(bytes))
    }

    /// A message on its way. Dropped half way it is kept here, and its rest goes out before what is sent next.
    pub(crate) fn sending<'a>(&'a self, message: &'a [u8]) -> Sending<'a> {
        Sending {
            stream: self,
            message,
            progress: packets::Sending::new(),
        }
    }

    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        sending: &mut Sending<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        loop {
            let mut ready = ready!(self.socket.poll_write_ready(cx))?;
            let Sending {
                message, progress, ..
            } = sending;
            match self.stream().try_send(progress, message) {
                Poll::Pending => ready.clear_ready(),
                Poll::Ready(sent) => return Poll::Ready(sent.map(|_| ())),
            }
        }
    }

    /// Whether the rest of a message is to be sent that nobody waits for any more.
    pub(crate) fn is_behind(&self) -> bool {
        self.unsent().is_some()
    }

    /// Sends what a dropped call has left. It may wait beside any other call.
    pub(crate) async fn catch_up(&self) -> io::Result<()> {
        while self.is_behind() {
            let mut ready = self.socket.writable().await?;
            if self.unsent().go_on(self.stream())?.is_pending() {
                ready.clear_ready();
            }
        }
        Ok(())
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_behind() {
            let mut ready = ready!(self.socket.poll_write_ready(cx))?;
            if self.unsent().go_on(self.stream())?.is_pending() {
                ready.clear_ready();
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Poll::Ready(self.stream().close_write().map(|HalfClose| ()))
    }

    /// Half close, without waiting.
    pub(crate) fn close_write(&self) -> io::Result<()> {
        if self.unsent().go_on(self.stream())?.is_pending() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.stream().close_write().map(|HalfClose| ())
    }

    /// Waits until the peer has read everything. No event tells when, so it looks in growing intervals.
    pub(crate) async fn drained(&self) -> io::Result<()> {
        self.catch_up().await?;
        let mut slice = Duration::from_millis(1);
        loop {
            if let Poll::Ready(drained) = self.stream().try_drain() {
                return drained;
            }
            ::tokio::time::sleep(slice).await;
            slice = (slice * 2).min(Duration::from_millis(10));
        }
    }

    pub(crate) fn disconnect(&self) -> io::Result<()> {
        self.stream().disconnect()
    }

    pub(crate) fn peek(&self) -> io::Result<Peek> {
        self.stream().peek()
    }
}

/// A message on its way out.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    stream: &'a AsyncStream,
    message: &'a [u8],
    progress: packets::Sending,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let progress = std::mem::replace(&mut self.progress, packets::Sending::new());
        let stream = self.stream;
        // A message for which there is no memory is reported by the next.
        let _ = stream
            .unsent()
            .keep(stream.stream(), self.message, progress);
    }
}

/// A listener's socket as the driver knows it: its number. It is released before the listener closes it.
#[derive(Debug)]
struct Watched(RawFd);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

/// What lets tasks wait for a listener's clients.
pub(crate) struct AsyncListener {
    /// None once it has been released.
    socket: Mutex<Option<AsyncFd<Watched>>>,
    /// Wakes the next of those who wait.
    news: Waker,
}

impl fmt::Debug for AsyncListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncListener").finish_non_exhaustive()
    }
}

impl AsyncListener {
    pub(crate) fn new(listener: &Listener, queue: Arc<Queue>) -> io::Result<AsyncListener> {
        let number = listener.socket().as_raw_fd();
        let socket = match listener.is_closed() {
            false => Some(register(Watched(number), Interest::READABLE)?),
            true => None,
        };
        Ok(AsyncListener {
            socket: Mutex::new(socket),
            news: queue.into(),
        })
    }

    fn socket(&self) -> MutexGuard<'_, Option<AsyncFd<Watched>>> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next client, or waits in `place`, among any number of tasks.
    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        listener: &Listener,
        place: &mut Place<'_>,
    ) -> Poll<io::Result<Stream>> {
        place.wait(cx.waker());
        let socket = self.socket();
        let Some(socket) = &*socket else {
            return Poll::Pending; // whoever closes it wakes everybody
        };
        let mut refused = 0;
        loop {
            if listener.slots().free() == 0 {
                return Poll::Pending; // a slot that comes free wakes one of us
            }
            let mut ready = ready!(socket.poll_read_ready(&mut Context::from_waker(&self.news)))?;
            let accepted = match listener.try_accept() {
                Ok(Accepted::Nobody) => {
                    ready.clear_ready();
                    continue;
                }
                Ok(Accepted::Refused) => {
                    refused += 1;
                    if refused < REFUSED_A_TURN {
                        continue;
                    }
                    // Others have their turn, and then this one again.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Ok(Accepted::Client(stream)) => Ok(stream),
                Err(error) => Err(error),
            };
            place.pass_on();
            return Poll::Ready(accepted);
        }
    }

    /// Lets go of the socket, which can be closed then.
    pub(crate) fn close(&self) {
        self.socket().take();
    }

    /// Leaves the listener to those who block in it. (On Windows it gets another port; here it stays as it is.)
    pub(crate) fn into_blocking(self, _: &Listener) -> io::Result<()> {
        self.close();
        Ok(())
    }
}

/// How a client's task comes to a stream.
#[derive(Debug)]
pub(crate) struct AsyncConnector {
    connector: Connector,
    #[cfg(target_os = "linux")]
    watch: Option<Option<AsyncFd<rustix::fd::OwnedFd>>>,
    backoff: Backoff,
}

impl AsyncConnector {
    pub(crate) fn new(name: &PipeName, options: &ConnectOptions) -> io::Result<AsyncConnector> {
        Ok(AsyncConnector {
            connector: Connector::new(name, options)?,
            #[cfg(target_os = "linux")]
            watch: None,
            backoff: Backoff::new(),
        })
    }

    /// One attempt, which never waits.
    pub(crate) async fn attempt(&mut self) -> Attempt<Stream> {
        self.connector.attempt()
    }

    /// After an attempt that found the queue full: nothing reports room in it.
    pub(crate) async fn wait_free(&mut self) -> io::Result<()> {
        self.sleep().await;
        Ok(())
    }

    /// After an attempt that found no server: waits until one may have come.
    #[cfg(target_os = "linux")]
    pub(crate) async fn wait_server(&mut self) -> io::Result<()> {
        let Some(watch) = &self.watch else {
            // The attempt was before the watch: it has to be made once more before any wait.
            let watch = self.connector.watch_directory().ok();
            let watch = watch.map(|watch| register(watch, Interest::READABLE));
            self.watch = Some(watch.transpose()?);
            return Ok(());
        };
        let Some(watch) = watch else {
            self.sleep().await;
            return Ok(());
        };
        // A socket that is there but does not listen yet is why it looks up in growing intervals besides.
        match ::tokio::time::timeout(self.backoff.time(), watch.readable()).await {
            Err(_) => self.backoff.grow(),
            Ok(ready) => {
                let mut ready = ready?;
                self.backoff = Backoff::new();
                os::drain(watch.get_ref());
                ready.clear_ready();
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn wait_server(&mut self) -> io::Result<()> {
        self.sleep().await;
        Ok(())
    }

    async fn sleep(&mut self) {
        ::tokio::time::sleep(self.backoff.time()).await;
        self.backoff.grow();
    }
}
