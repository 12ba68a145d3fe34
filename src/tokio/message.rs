//! Messages, for tasks.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use ::tokio::io::ReadBuf;
use ::tokio::runtime::Handle;

use super::inner::Inner;
use super::stream::PipeStream;
use crate::kinds::Part;
use crate::lane::Failure;
use crate::stream::{READ, Received, Receiving, WRITE};

impl PipeStream {
    /// Sends one message, as [`PipeStream::send`](crate::PipeStream::send).
    ///
    /// A `send` that is dropped arrives whole or not at all, and in order: if a part of it had gone out, the rest follows
    /// by itself, before anything that is sent later.
    ///
    /// # Errors
    ///
    /// * `Unsupported` on a byte pipe.
    /// * `InvalidInput`: longer than [`max_message_size`](crate::ListenOptions::max_message_size). Nothing was sent.
    /// * `BrokenPipe`: the peer has closed, or this side has closed its writing half.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn talk() -> std::io::Result<()> {
    /// let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// stream.send(b"one message").await?;
    /// let mut reply = Vec::new();
    /// while stream.recv(&mut reply).await?.is_some() {
    ///     println!("{}", String::from_utf8_lossy(&reply));
    ///     reply.clear();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        self.inner.send(message).await
    }

    /// Receives one whole message and appends it to `message`, as [`PipeStream::recv`](crate::PipeStream::recv).
    ///
    /// A `recv` that is dropped has taken nothing: the next one gets the message from its beginning.
    ///
    /// # Errors
    ///
    /// * `Unsupported` on a byte pipe.
    /// * `UnexpectedEof`: the peer has gone in the middle of a message. What had come of it is in `message`.
    /// * `InvalidData`: longer than [`max_message_size`](crate::ListenOptions::max_message_size).
    /// * `OutOfMemory`: there is no room for it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// let mut message = Vec::new();
    /// loop {
    ///     message.clear();
    ///     match stream.recv(&mut message).await? {
    ///         None => break,                       // the peer has closed
    ///         Some(0) => println!("half closed, or an empty message"), // not to be echoed
    ///         Some(_) => stream.send(&message).await?,
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.inner.recv(message).await
    }

    /// Receives what fits into `buffer` of one message, as [`PipeStream::recv_part`](crate::PipeStream::recv_part).
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: the buffer is empty.
    /// * `UnexpectedEof`: the peer has closed.
    /// * `Unsupported` on a byte pipe.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// let mut buffer = [0; 4096];
    /// loop {
    ///     let part = stream.recv_part(&mut buffer).await?;
    ///     println!("{} bytes", part.len);
    ///     if part.complete {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.inner.recv_part(buffer).await
    }

    /// One request, one reply, as [`PipeStream::transact`](crate::PipeStream::transact): tasks that do so at the same time
    /// each get their own reply, from a peer that answers in order.
    ///
    /// If it is dropped after its request has gone out, the next `recv` gets the reply.
    ///
    /// # Errors
    ///
    /// Those of [`send`](PipeStream::send) and [`recv`](PipeStream::recv).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// let mut reply = Vec::new();
    /// match stream.transact(b"what time is it?", &mut reply).await? {
    ///     Some(_) => println!("{}", String::from_utf8_lossy(&reply)),
    ///     None => println!("the server has gone"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transact(&self, request: &[u8], reply: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let inner = &self.inner;
        inner.state.need_messages(READ)?;
        // Held from before the request is sent: nobody else can take its reply.
        let _turn = inner.reading.lock().await;
        inner.send(request).await?;
        inner.receive(reply).await
    }
}

impl Inner {
    pub(super) async fn send(self: &Arc<Self>, message: &[u8]) -> io::Result<()> {
        self.state.need_messages(WRITE)?;
        let sent = self.send_in_turn(message).await;
        sent.map_err(|failure| self.state.failed(WRITE, failure))
    }

    async fn send_in_turn(self: &Arc<Self>, message: &[u8]) -> Result<(), Failure> {
        let _turn = self.writing.lock().await;
        self.may_write(message.len())?;
        let _rest = Rest(self);
        let mut sending = self.io.sending(message);
        poll_fn(|cx| self.io.poll_send(cx, &mut sending)).await?;
        Ok(())
    }

    pub(super) async fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.state.need_messages(READ)?;
        let _turn = self.reading.lock().await;
        self.receive(message).await
    }

    async fn receive(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let mut taking = Taking::new(self, message);
        let received = poll_fn(|cx| taking.poll(cx)).await;
        received.map_err(|failure| self.state.failed(READ, failure))
    }

    pub(super) async fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.state.need_messages(READ)?;
        self.state.need_room(buffer)?;
        let _turn = self.reading.lock().await;
        let mut buffer = ReadBuf::new(buffer);
        let part = poll_fn(|cx| self.poll_part(cx, &mut buffer)).await;
        part.map_err(|failure| self.state.no_part(failure))
    }

    pub(super) fn begun(&self) -> MutexGuard<'_, Vec<u8>> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_begun(&self) -> bool {
        !self.begun().is_empty()
    }

    /// What a dropped `recv` had taken: of a message that is not whole.
    pub(super) fn take_begun(&self, buffer: &mut ReadBuf<'_>) -> Option<Part> {
        let mut begun = self.begun();
        if begun.is_empty() {
            return None;
        }
        let len = begun.len().min(buffer.remaining());
        buffer.put_slice(&begun[..len]);
        begun.drain(..len);
        Some(Part {
            len,
            complete: false,
        })
    }
}

/// Sends the rest of a message whose `send` was dropped half way, if nobody else does before.
struct Rest<'a>(&'a Arc<Inner>);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if !self.0.io.is_behind() {
            return;
        }
        // Outside a runtime nobody waits: it goes out before what is sent next.
        if let Ok(runtime) = Handle::try_current() {
            let inner = self.0.clone();
            runtime.spawn(async move {
                // What fails is told to the next who writes.
                let _ = inner.io.catch_up().await;
            });
        }
    }
}

/// A message that is being received. Until it is whole it is the stream's, and goes back to it on drop.
struct Taking<'a> {
    inner: &'a Inner,
    message: &'a mut Vec<u8>,
    start: usize,
    receiving: Receiving,
    done: bool,
}

impl<'a> Taking<'a> {
    fn new(inner: &'a Inner, message: &'a mut Vec<u8>) -> Taking<'a> {
        let start = message.len();
        message.append(&mut inner.begun());
        Taking {
            inner,
            message,
            start,
            receiving: Receiving::new(start, &inner.state),
            done: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        let received = ready!(self.poll_whole(cx));
        self.done = true;
        Poll::Ready(received)
    }

    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            let mut room = ReadBuf::new(self.receiving.room(self.message)?);
            let read = self.inner.poll_part(cx, &mut room);
            let length = room.filled().len();
            self.receiving.filled(self.message, length);
            let read = ready!(read);
            let peek = || self.inner.io.peek().unwrap_or_default();
            let state = &self.inner.state;
            if let Some(received) = self.receiving.took(self.message, read, state, peek) {
                return Poll::Ready(received);
            }
        }
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if !self.done && self.message.len() > self.start {
            *self.inner.begun() = self.message.split_off(self.start);
        }
    }
}
