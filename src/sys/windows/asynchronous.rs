//! Pipes for tasks: the engine's, as tokio's half of this crate calls them. The engine knows no runtime; here the timers of
//! one are used, where the system tells nothing.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tokio::io::ReadBuf;
use ::tokio::runtime::Handle;

use super::connect::Connector;
use super::engine::{self, Free, Who};
use super::listener::Listener;
use super::queue::Queue as Instances;
use super::stream::Stream;
use crate::attempt::Attempt;
use crate::error::{Fault, Reason};
use crate::kinds::{Part, Peek};
use crate::name::PipeName;
use crate::options::ConnectOptions;
use crate::wakers::{Place, Queue};

/// The engine does without; but a program that runs on one system is to run on the other.
fn in_runtime() -> io::Result<()> {
    match Handle::try_current() {
        Ok(_) => Ok(()),
        Err(_) => {
            let why = "this has to be called inside a tokio runtime (in an async fn, or after Runtime::enter)";
            Err(Fault::new(Reason::NoRuntime, why).into())
        }
    }
}

/// An open pipe that the engine looks after.
#[derive(Debug)]
pub(crate) struct AsyncStream {
    io: engine::AsyncStream,
}

impl AsyncStream {
    pub(crate) fn new(stream: Stream) -> io::Result<AsyncStream> {
        in_runtime()?;
        Ok(AsyncStream {
            io: engine::AsyncStream::new(stream)?,
        })
    }

    pub(crate) fn into_stream(self) -> io::Result<Stream> {
        self.io.into_stream()
    }

    pub(crate) fn stream(&self) -> &Stream {
        self.io.stream()
    }

    /// Reads what is there, as much as there is room for.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Part>> {
        let read = self
            .io
            .poll_read(Who::POLLER, cx, buffer.initialize_unfilled());
        if let Poll::Ready(Ok(part)) = &read {
            buffer.advance(part.len);
        }
        read
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.io.try_read(buffer)
    }

    /// Waits until there is data, or the end.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.io.wait(|who, cx| self.io.poll_readable(who, cx)).await;
        Ok(())
    }

    /// Waits until a write would take something.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.wait(|who, cx| self.io.poll_writable(who, cx)).await;
        Ok(())
    }

    /// One write, and on a message pipe one message.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_write(Who::POLLER, cx, bytes)
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.try_write(bytes)
    }

    /// A message on its way. Dropped, it is the engine's, and goes out whole if it has begun.
    pub(crate) fn sending<'a>(&self, message: &'a [u8]) -> Sending<'a> {
        Sending {
            message,
            sending: engine::Sending::default(),
        }
    }

    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        sending: &mut Sending<'_>,
    ) -> Poll<io::Result<()>> {
        let Sending { message, sending } = sending;
        self.io.poll_send(Who::POLLER, cx, message, sending)
    }

    /// Whether the rest of a message is to be sent that nobody waits for any more: the engine sees to that.
    pub(crate) fn is_behind(&self) -> bool {
        false
    }

    /// Sends what a dropped call has left.
    pub(crate) async fn catch_up(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_flush(Who::POLLER, cx)
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_shutdown(Who::POLLER, cx)
    }

    /// Half close, without waiting.
    pub(crate) fn close_write(&self) -> io::Result<()> {
        self.io.close_write()
    }

    /// Waits until the peer has read everything.
    pub(crate) async fn drained(&self) -> io::Result<()> {
        self.io.wait(|who, cx| self.io.poll_drained(who, cx)).await
    }

    pub(crate) fn disconnect(&self) -> io::Result<()> {
        self.stream().disconnect()
    }

    pub(crate) fn peek(&self) -> io::Result<Peek> {
        self.io.peek()
    }
}

/// A message on its way out.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    message: &'a [u8],
    sending: engine::Sending,
}

/// What lets tasks wait for a listener's clients: its instances are on the engine's port.
pub(crate) struct AsyncListener {
    instances: Arc<Instances>,
}

/// Closing many instances takes a while: whoever drops a listener does not wait for it. A bind of the name does.
impl Drop for AsyncListener {
    fn drop(&mut self) {
        self.instances.close_aside();
    }
}

impl fmt::Debug for AsyncListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncListener").finish_non_exhaustive()
    }
}

impl AsyncListener {
    pub(crate) fn new(listener: &Listener, tasks: Arc<Queue>) -> io::Result<AsyncListener> {
        in_runtime()?;
        let old = listener.queue();
        let queue = engine::successor(&old, move || tasks.wake_next())?;
        listener.go_on_with(queue.clone())?;
        Ok(AsyncListener { instances: queue })
    }

    /// Takes the next client, or waits in `place`, among any number of tasks.
    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        listener: &Listener,
        place: &mut Place<'_>,
    ) -> Poll<io::Result<Stream>> {
        place.wait(cx.waker());
        let (queue, slots) = (listener.queue(), listener.slots());
        if let Some(came) = queue.next(slots) {
            place.pass_on();
            let key = came.key;
            let mut stream = Stream::accepted(came, queue.making());
            if let Some(key) = key {
                stream.set_engine_key(key);
            }
            return Poll::Ready(Ok(stream));
        }
        match queue.refill(slots) {
            // With others up, clients can still come.
            (Err(error), false) => Poll::Ready(Err(error)),
            // Whoever closes it wakes everybody.
            _ => Poll::Pending,
        }
    }

    /// Whoever closes the listener does the rest.
    pub(crate) fn close(&self) {}

    /// Leaves the listener to those who block in it.
    pub(crate) fn into_blocking(self, listener: &Listener) -> io::Result<()> {
        listener.go_on_alone()
    }
}

/// How a client's task comes to a stream.
#[derive(Debug)]
pub(crate) struct AsyncConnector {
    connector: Connector,
    /// None inside where it is unavailable.
    free: Option<Option<Free>>,
}

impl AsyncConnector {
    pub(crate) fn new(name: &PipeName, options: &ConnectOptions) -> io::Result<AsyncConnector> {
        Ok(AsyncConnector {
            connector: Connector::new(name, options)?,
            free: None,
        })
    }

    /// One attempt, which never waits.
    pub(crate) async fn attempt(&mut self) -> Attempt<Stream> {
        self.connector.attempt()
    }

    /// After a busy attempt: waits until an instance is free, or long enough to look again.
    pub(crate) async fn wait_free(&mut self) -> io::Result<()> {
        let (device, question, _) = self.connector.free_instance(None);
        if self.free.is_none() {
            let device = device.map(|device| device.try_clone().and_then(Free::new));
            self.free = Some(device.and_then(Result::ok));
        }
        if let Some(Some(free)) = &self.free {
            let mut question = Some(question);
            let mut waited = false;
            let done = poll_fn(|cx| {
                let done = free.poll(cx, &mut question);
                waited |= done.is_pending();
                done
            });
            let done = done.await;
            if waited || done.is_ok() {
                // Others wait for their turn of the runtime too.
                ::tokio::task::yield_now().await;
                return Ok(());
            }
            // It cannot wait, or the pipe has gone: the next attempt will tell which.
        }
        self.sleep().await;
        Ok(())
    }

    /// After an attempt that found no server: looks again in growing intervals.
    pub(crate) async fn wait_server(&mut self) -> io::Result<()> {
        self.sleep().await;
        Ok(())
    }

    async fn sleep(&mut self) {
        if let Some(next) = self.connector.next_look(None) {
            ::tokio::time::sleep_until(next.into()).await;
        }
    }
}
