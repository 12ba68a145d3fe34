//! The two halves of a stream: each with its own task.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::inner::Inner;
use super::stream::PipeStream;
use crate::kinds::{Part, Peek, PipeMode};
use crate::name::PipeName;

impl PipeStream {
    /// A half to read and a half to write, which belong to the stream and to each other. They borrow it;
    /// [`into_split`](PipeStream::into_split) gives halves that tasks of their own can have.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        let inner = &self.inner;
        (ReadHalf { inner }, WriteHalf { inner })
    }

    /// A half to read and a half to write, each for a task of its own. The pipe is closed when both are dropped;
    /// [`reunite`](OwnedReadHalf::reunite) makes a stream of them again.
    ///
    /// Dropping the writing half alone is a half close, where the pipe has one ([`PipeStream::close_write`]).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn talk() -> std::io::Result<()> {
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// let (mut read, mut write) = stream.into_split();
    /// let writer = tokio::spawn(async move { write.write_all(b"a long story").await });
    /// let mut answer = Vec::new();
    /// read.read_to_end(&mut answer).await?;
    /// writer.await??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let inner = self.inner;
        let read = OwnedReadHalf {
            inner: inner.clone(),
        };
        let write = OwnedWriteHalf {
            inner,
            half_close: true,
        };
        (read, write)
    }
}

/// The reading half of a stream that [`into_split`](PipeStream::into_split) was called on.
pub struct OwnedReadHalf {
    inner: Arc<Inner>,
}

/// The writing half of a stream that [`into_split`](PipeStream::into_split) was called on. Dropping it is a half close,
/// where the pipe has one.
pub struct OwnedWriteHalf {
    inner: Arc<Inner>,
    /// Whether its end is the end of what is written.
    half_close: bool,
}

/// The reading half of a stream that is [`split`](PipeStream::split).
pub struct ReadHalf<'a> {
    inner: &'a Arc<Inner>,
}

/// The writing half of a stream that is [`split`](PipeStream::split).
pub struct WriteHalf<'a> {
    inner: &'a Arc<Inner>,
}

/// Two halves that are not of the same stream. From [`OwnedReadHalf::reunite`].
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "reunite {} and {}: these halves are not of one stream",
            self.0.local_addr(),
            self.1.local_addr()
        )
    }
}

impl Error for ReuniteError {}

fn reunite(read: OwnedReadHalf, mut write: OwnedWriteHalf) -> Result<PipeStream, ReuniteError> {
    if !Arc::ptr_eq(&read.inner, &write.inner) {
        return Err(ReuniteError(read, write));
    }
    write.half_close = false;
    Ok(PipeStream { inner: read.inner })
}

impl OwnedReadHalf {
    /// The stream that this half and `write` were.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of the same stream.
    pub fn reunite(self, write: OwnedWriteHalf) -> Result<PipeStream, ReuniteError> {
        reunite(self, write)
    }
}

impl OwnedWriteHalf {
    /// The stream that `read` and this half were.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of the same stream.
    pub fn reunite(self, read: OwnedReadHalf) -> Result<PipeStream, ReuniteError> {
        reunite(read, self)
    }

    /// Drops this half without a half close: the peer sees the end when the reading half is dropped.
    pub fn forget(mut self) {
        self.half_close = false;
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.half_close {
            self.inner.end_writing();
        }
    }
}

impl OwnedReadHalf {
    /// The pipe's address. Both ends of a pipe have the same.
    pub fn local_addr(&self) -> &PipeName {
        self.inner.state.name()
    }

    /// The pipe's address. Both ends of a pipe have the same.
    pub fn peer_addr(&self) -> &PipeName {
        self.inner.state.name()
    }

    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.inner.state.mode()
    }

    /// As [`PipeStream::readable`].
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn readable(&self) -> io::Result<()> {
        self.inner.readable().await
    }

    /// As [`PipeStream::try_read`].
    ///
    /// # Errors
    ///
    /// `WouldBlock`: nothing is there.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buffer)
    }

    /// As [`PipeStream::peek`].
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peek(&self) -> io::Result<Peek> {
        self.inner.peek()
    }

    /// As [`PipeStream::recv`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::recv`].
    pub async fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.inner.recv(message).await
    }

    /// As [`PipeStream::recv_part`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::recv_part`].
    pub async fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.inner.recv_part(buffer).await
    }
}

impl AsyncRead for OwnedReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner.poll_read(cx, buffer)
    }
}

impl fmt::Debug for OwnedReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.debug(f, "OwnedReadHalf")
    }
}

impl ReadHalf<'_> {
    /// The pipe's address. Both ends of a pipe have the same.
    pub fn local_addr(&self) -> &PipeName {
        self.inner.state.name()
    }

    /// The pipe's address. Both ends of a pipe have the same.
    pub fn peer_addr(&self) -> &PipeName {
        self.inner.state.name()
    }

    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.inner.state.mode()
    }

    /// As [`PipeStream::readable`].
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn readable(&self) -> io::Result<()> {
        self.inner.readable().await
    }

    /// As [`PipeStream::try_read`].
    ///
    /// # Errors
    ///
    /// `WouldBlock`: nothing is there.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buffer)
    }

    /// As [`PipeStream::peek`].
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peek(&self) -> io::Result<Peek> {
        self.inner.peek()
    }

    /// As [`PipeStream::recv`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::recv`].
    pub async fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.inner.recv(message).await
    }

    /// As [`PipeStream::recv_part`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::recv_part`].
    pub async fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.inner.recv_part(buffer).await
    }
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner.poll_read(cx, buffer)
    }
}

impl fmt::Debug for ReadHalf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.debug(f, "ReadHalf")
    }
}

impl OwnedWriteHalf {
    /// The pipe's address. Both ends of a pipe have the same.
    pub fn local_addr(&self) -> &PipeName {
        self.inner.state.name()
    }

    /// The pipe's address. Both ends of a pipe have the same.
    pub fn peer_addr(&self) -> &PipeName {
        self.inner.state.name()
    }

    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.inner.state.mode()
    }

    /// As [`PipeStream::writable`].
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn writable(&self) -> io::Result<()> {
        self.inner.writable().await
    }

    /// As [`PipeStream::try_write`].
    ///
    /// # Errors
    ///
    /// `WouldBlock`: there is no room.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.try_write(bytes)
    }

    /// As [`PipeStream::send`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::send`].
    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        self.inner.send(message).await
    }

    /// As [`PipeStream::close_write`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::close_write`].
    pub fn close_write(&self) -> io::Result<()> {
        self.inner.close_write()
    }

    /// As [`PipeStream::wait_drained`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::wait_drained`].
    pub async fn wait_drained(&self) -> io::Result<()> {
        self.inner.wait_drained().await
    }
}

impl AsyncWrite for OwnedWriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown(cx)
    }
}

impl fmt::Debug for OwnedWriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.debug(f, "OwnedWriteHalf")
    }
}

impl WriteHalf<'_> {
    /// The pipe's address. Both ends of a pipe have the same.
    pub fn local_addr(&self) -> &PipeName {
        self.inner.state.name()
    }

    /// The pipe's address. Both ends of a pipe have the same.
    pub fn peer_addr(&self) -> &PipeName {
        self.inner.state.name()
    }

    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.inner.state.mode()
    }

    /// As [`PipeStream::writable`].
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn writable(&self) -> io::Result<()> {
        self.inner.writable().await
    }

    /// As [`PipeStream::try_write`].
    ///
    /// # Errors
    ///
    /// `WouldBlock`: there is no room.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.try_write(bytes)
    }

    /// As [`PipeStream::send`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::send`].
    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        self.inner.send(message).await
    }

    /// As [`PipeStream::close_write`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::close_write`].
    pub fn close_write(&self) -> io::Result<()> {
        self.inner.close_write()
    }

    /// As [`PipeStream::wait_drained`].
    ///
    /// # Errors
    ///
    /// Those of [`PipeStream::wait_drained`].
    pub async fn wait_drained(&self) -> io::Result<()> {
        self.inner.wait_drained().await
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown(cx)
    }
}

impl fmt::Debug for WriteHalf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.debug(f, "WriteHalf")
    }
}
