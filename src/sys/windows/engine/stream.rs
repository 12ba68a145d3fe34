//! A stream that is polled: any number of tasks, from any thread.

use std::future::{Future, poll_fn};
use std::io;
use std::os::windows::io::OwnedHandle;
#[cfg(test)]
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::super::aside::{Flush, HalfClose};
use super::super::os::{self, Key, Watch};
use super::super::stream::Stream;
use super::core::{Engine, Target, engine};
use super::pipe::{Bound, Elsewhere, PipeSink, PipeSource};
use super::states::{Reading, Sending, Wakers, Who, Woken, Writing};
use crate::kinds::{Part, Peek, PipeMode};

/// An open pipe whose calls never block.
pub(crate) struct AsyncStream {
    pipe: Arc<Stream>,
    inner: Arc<Inner>,
    /// What `close_write` has begun. (Given up with the stream: the end of the pipe says as much.)
    half_close: OnceLock<HalfClose>,
}

/// What the engine's table keeps until the system has released it.
struct Inner {
    engine: &'static Engine,
    key: Key,
    mode: PipeMode,
    /// The peer has no buffer: while a write waits for it, what it writes is read ahead.
    reads_ahead: bool,
    elsewhere: bool,
    reading: Mutex<Reading<PipeSource>>,
    writing: Mutex<Writing<PipeSink>>,
    /// Few ever need it.
    draining: OnceLock<Box<Mutex<Draining>>>,
    closed: AtomicBool,
    #[cfg(test)]
    hints: AtomicUsize,
}

#[derive(Default)]
struct Draining {
    flush: Option<Flush>,
    waiting: Wakers,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half way, so a poisoned lock guards a whole state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Does `work` with the reading direction, and wakes whom it says.
    fn read<T>(&self, work: impl FnOnce(&mut Reading<PipeSource>, &mut Woken) -> T) -> T {
        let mut woken = Woken::default();
        let done = work(&mut lock(&self.reading), &mut woken);
        woken.wake();
        done
    }

    fn write<T>(&self, work: impl FnOnce(&mut Writing<PipeSink>, &mut Woken) -> T) -> T {
        let mut woken = Woken::default();
        let done = work(&mut lock(&self.writing), &mut woken);
        woken.wake();
        done
    }

    /// While a write waits for a peer that may have to write first.
    fn read_ahead(&self) {
        if self.reads_ahead && !lock(&self.writing).is_clear() {
            self.read(|reading, woken| reading.read_ahead(woken));
        }
    }

    /// Looks how far all has come.
    fn look(&self) {
        self.read(|reading, woken| reading.completed(woken));
        self.write(|writing, woken| writing.completed(woken));
        self.read_ahead();
        if self.closed.load(Ordering::SeqCst)
            && lock(&self.reading).is_clear()
            && lock(&self.writing).is_clear()
        {
            self.engine.let_go(self.key);
        }
    }
}

impl Target for Inner {
    fn hint(&self) {
        #[cfg(test)]
        self.hints.fetch_add(1, Ordering::Relaxed);
        if self.elsewhere {
            lock(&self.reading).source_mut().run_errand();
            lock(&self.writing).sink_mut().run_errand();
        }
        self.look();
    }
}

impl AsyncStream {
    /// Takes over an open pipe.
    pub(crate) fn new(mut stream: Stream) -> io::Result<AsyncStream> {
        let engine = engine()?;
        let (key, bound) = match stream.engine_key() {
            Some(key) => (key, Bound::Here),
            None => {
                let key = Key::new();
                match bind(engine, stream.handle(), key) {
                    Ok(()) => {
                        stream.set_engine_key(key);
                        (key, Bound::Here)
                    }
                    Err(_) => {
                        let watch = Watch::new(key, |key| {
                            if let Ok(engine) = super::core::engine() {
                                // Without memory for a packet there is no way left to tell.
                                let _ = engine.post(key);
                            }
                        })?;
                        let elsewhere = Elsewhere { watch, engine, key };
                        (key, Bound::Elsewhere(Arc::new(elsewhere)))
                    }
                }
            }
        };
        let elsewhere = matches!(bound, Bound::Elsewhere(_));
        if !elsewhere {
            // Without it there are packets that nobody needs.
            let _ = os::skip_packets(stream.handle());
        }
        let mode = stream.mode();
        let reads_ahead = stream.reads_ahead();
        let pipe = Arc::new(stream);
        let source = PipeSource::new(pipe.clone(), bound.clone());
        let mut reading = Reading::new(source, mode);
        reading.put_ahead(pipe.take_kept());
        let inner = Arc::new(Inner {
            engine,
            key,
            mode,
            reads_ahead,
            elsewhere,
            reading: Mutex::new(reading),
            writing: Mutex::new(Writing::new(PipeSink::new(pipe.clone(), bound))),
            draining: OnceLock::new(),
            closed: AtomicBool::new(false),
            #[cfg(test)]
            hints: AtomicUsize::new(0),
        });
        engine.hold(key, inner.clone());
        Ok(AsyncStream {
            pipe,
            inner,
            half_close: OnceLock::new(),
        })
    }

    /// The pipe as it was given, with what has been read and not delivered yet.
    ///
    /// # Errors
    ///
    /// Something is still on its way out.
    pub(crate) fn into_stream(self) -> io::Result<Stream> {
        let half_closing = self.half_close.get().is_some_and(HalfClose::is_under_way);
        if half_closing || !lock(&self.inner.writing).is_clear() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let kept = self.inner.read(|reading, _| {
            reading.cancel();
            reading.take_all()
        });
        // The system lets go of it at once.
        let kept = kept.unwrap_or_else(|| {
            loop {
                let kept = self.inner.read(|reading, woken| {
                    reading.completed(woken);
                    reading.take_all()
                });
                match kept {
                    Some(kept) => return kept,
                    None => thread::yield_now(),
                }
            }
        });
        let pipe = self.pipe.clone();
        drop(self);
        match Arc::try_unwrap(pipe) {
            Ok(mut pipe) => {
                pipe.keep(kept);
                Ok(pipe)
            }
            // Nobody has it but the two directions, and they have let go.
            Err(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// What asks the system without waiting.
    pub(crate) fn stream(&self) -> &Stream {
        &self.pipe
    }

    pub(crate) fn mode(&self) -> PipeMode {
        self.inner.mode
    }

    /// How many packets have come for it.
    #[cfg(test)]
    pub(super) fn hints(&self) -> usize {
        self.inner.hints.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> Key {
        self.inner.key
    }

    /// One read, into a buffer that is not empty. Given up it has taken nothing.
    pub(crate) fn poll_read(
        &self,
        who: Who,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Part>> {
        self.read(Some((who, cx.waker())), buffer)
    }

    /// The same, without waiting: `WouldBlock`.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<Part> {
        ready(self.read(None, buffer))
    }

    fn read(&self, waiter: Option<(Who, &Waker)>, buffer: &mut [u8]) -> Poll<io::Result<Part>> {
        let read =
            |reading: &mut Reading<_>, woken: &mut Woken| reading.poll(waiter, buffer, woken);
        let read = self.inner.read(read);
        if read.is_ready() {
            self.inner.read_ahead();
        }
        read
    }

    /// Waits until there is something to read, or the end, or an error.
    pub(crate) fn poll_readable(&self, who: Who, cx: &mut Context<'_>) -> Poll<()> {
        let waiter = Some((who, cx.waker()));
        self.inner
            .read(|reading, woken| reading.poll_ready(waiter, woken))
    }

    /// Writes, or takes along, some of `bytes`. Pending: nothing of them.
    pub(crate) fn poll_write(
        &self,
        who: Who,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(Some((who, cx.waker())), bytes)
    }

    /// The same, without waiting: `WouldBlock`.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        ready(self.write(None, bytes))
    }

    fn write(&self, waiter: Option<(Who, &Waker)>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self
            .inner
            .write(|writing, woken| writing.poll_write(waiter, bytes, woken));
        self.inner.read_ahead();
        written
    }

    /// Waits until a write would take something: until the system has all, that is.
    pub(crate) fn poll_writable(&self, who: Who, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_flush(who, cx).map(drop)
    }

    /// Waits until the system has all that was written.
    pub(crate) fn poll_flush(&self, who: Who, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiter = Some((who, cx.waker()));
        self.inner
            .write(|writing, woken| writing.poll_flush(waiter, woken))
    }

    /// Sends one whole message. For one that is longer than a stream copies the caller waits; given up, it arrives whole or not at
    /// all.
    pub(crate) fn poll_send(
        &self,
        who: Who,
        cx: &mut Context<'_>,
        message: &[u8],
        sending: &mut Sending,
    ) -> Poll<io::Result<()>> {
        if message.is_empty() {
            self.stream().note_empty();
        }
        let waiter = Some((who, cx.waker()));
        let sent = self
            .inner
            .write(|writing, woken| writing.poll_send(waiter, message, sending, woken));
        self.inner.read_ahead();
        sent
    }

    /// Flushes, and closes the writing half where the pipe has one: see [`close_write`](AsyncStream::close_write).
    pub(crate) fn poll_shutdown(&self, who: Who, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_flush(who, cx) {
            Poll::Ready(Ok(())) if self.mode() == PipeMode::Message => {
                Poll::Ready(self.close_write())
            }
            flushed => flushed,
        }
    }

    /// Half close, of message pipes alone. `WouldBlock`: what was taken along is not out yet.
    pub(crate) fn close_write(&self) -> io::Result<()> {
        let clear = self.inner.write(|writing, woken| {
            writing.completed(woken);
            writing.is_clear()
        });
        if !clear {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.half_close.get().is_none() {
            let begun = self.stream().close_write()?;
            let _ = self.half_close.set(begun);
        }
        Ok(())
    }

    /// Waits until the peer has read everything.
    pub(crate) fn poll_drained(&self, who: Who, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_flush(who, cx) {
            Poll::Ready(Ok(())) => {}
            waits => return waits,
        }
        let mut draining = lock(self.inner.draining.get_or_init(Box::default));
        if draining.flush.is_none() {
            if self.stream().is_drained() {
                return Poll::Ready(Ok(()));
            }
            let inner = Arc::downgrade(&self.inner);
            let tell = move || {
                if let Some(draining) = inner
                    .upgrade()
                    .as_ref()
                    .and_then(|inner| inner.draining.get())
                {
                    let mut woken = Woken::default();
                    lock(draining).waiting.wake_all(&mut woken);
                    woken.wake();
                }
            };
            draining.flush = Some(Flush::start(self.stream().handle(), tell)?);
        }
        match draining.flush.as_ref().and_then(Flush::result) {
            Some(result) => {
                draining.flush = None;
                Poll::Ready(result)
            }
            None => {
                draining.waiting.add(who, cx.waker());
                Poll::Pending
            }
        }
    }

    /// What waits in the pipe, and here.
    pub(crate) fn peek(&self) -> io::Result<Peek> {
        let held = self.inner.read(|reading, woken| {
            reading.completed(woken);
            reading.held()
        });
        if held.failed && !held.any {
            // What it was, the next read tells.
            return Ok(Peek {
                ended: true,
                ..Peek::default()
            });
        }
        let pipe = match self.stream().peek() {
            Err(_) if held.any => Peek::default(),
            pipe => pipe?,
        };
        let message = match self.mode() {
            PipeMode::Byte => 0,
            PipeMode::Message if held.message_ends => held.message,
            PipeMode::Message => held.message + pipe.message,
        };
        Ok(Peek {
            available: held.available + pipe.available,
            message,
            ended: pipe.ended && !held.any,
        })
    }

    /// One who waited does not any more.
    pub(crate) fn forget(&self, who: Who) {
        lock(&self.inner.reading).forget(who);
        lock(&self.inner.writing).forget(who);
        let Some(draining) = self.inner.draining.get() else {
            return;
        };
        let mut draining = lock(draining);
        draining.waiting.remove(who);
        if draining.waiting.is_empty() && draining.flush.is_some() {
            let flush = draining.flush.take();
            drop(draining);
            drop(flush);
        }
    }

    /// A future of what `poll` does here, for a task of its own: any number of them wait at the same time.
    pub(crate) fn wait<'a, T>(
        &'a self,
        mut poll: impl FnMut(Who, &mut Context<'_>) -> Poll<T> + 'a,
    ) -> impl Future<Output = T> + 'a {
        struct Waits<'a>(&'a AsyncStream, Who);

        impl Drop for Waits<'_> {
            fn drop(&mut self) {
                self.0.forget(self.1);
            }
        }

        let waits = Waits(self, Who::new());
        poll_fn(move |cx| poll(waits.1, cx))
    }
}

/// Has the packets of `handle` come to the engine's port.
fn bind(engine: &Engine, handle: &OwnedHandle, key: Key) -> io::Result<()> {
    engine.port().add(handle, key).or_else(|error| {
        // It is another's: on Windows 8.1 and later it can leave that.
        os::leave_port(handle).map_err(|_| error)?;
        engine.port().add(handle, key)
    })
}

fn ready<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Reads are cancelled, and the handle closed once the last write is out; nothing here waits for either.
impl Drop for AsyncStream {
    fn drop(&mut self) {
        let inner = &self.inner;
        if let Some(draining) = inner.draining.get() {
            lock(draining).flush = None;
        }
        lock(&inner.reading).close();
        lock(&inner.writing).close();
        inner.closed.store(true, Ordering::SeqCst);
        inner.look();
    }
}

impl std::fmt::Debug for AsyncStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncStream").finish_non_exhaustive()
    }
}
