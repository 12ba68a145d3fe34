//! The two halves of a stream: each with its own task.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::PipeStream;
use crate::kinds::{Part, Peek};
use crate::name::PipeName;

impl PipeStream {
    /// A half to read and a half to write, which belong to the stream and to each other. They borrow it;
    /// [`into_split`](PipeStream::into_split) gives halves that tasks of their own can have.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        let stream = &*self;
        (ReadHalf { stream }, WriteHalf { stream })
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
        let read = OwnedReadHalf {
            stream: PipeStream {
                inner: self.inner.clone(),
            },
        };
        let write = OwnedWriteHalf {
            stream: self,
            half_close: true,
        };
        (read, write)
    }
}

/// The reading half of a stream that [`into_split`](PipeStream::into_split) was called on.
pub struct OwnedReadHalf {
    stream: PipeStream,
}

/// The writing half of a stream that [`into_split`](PipeStream::into_split) was called on. Dropping it is a half close,
/// where the pipe has one.
pub struct OwnedWriteHalf {
    stream: PipeStream,
    /// Whether its end is the end of what is written.
    half_close: bool,
}

/// The reading half of a stream that is [`split`](PipeStream::split).
pub struct ReadHalf<'a> {
    stream: &'a PipeStream,
}

/// The writing half of a stream that is [`split`](PipeStream::split).
pub struct WriteHalf<'a> {
    stream: &'a PipeStream,
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
    if !Arc::ptr_eq(&read.stream.inner, &write.stream.inner) {
        return Err(ReuniteError(read, write));
    }
    write.half_close = false;
    Ok(read.stream)
}

impl OwnedReadHalf {
    /// The stream that this half and `write` were.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of the same stream.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// let (read, write) = stream.into_split();
    /// match read.reunite(write) {
    ///     Ok(stream) => println!("{stream:?}"),
    ///     Err(refused) => println!("{refused}"), // and has both halves
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// let (read, write) = stream.into_split();
    /// match write.reunite(read) {
    ///     Ok(stream) => println!("{stream:?}"),
    ///     Err(refused) => println!("{refused}"), // and has both halves
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
            self.stream.inner.end_writing();
        }
    }
}

/// What all halves can do.
macro_rules! half {
    ($half:ident [$($life:lifetime)?]) => {
        impl$(<$life>)? $half$(<$life>)? {
            /// The pipe's address. Both ends of a pipe have the same.
            pub fn local_addr(&self) -> &PipeName {
                self.stream.local_addr()
            }

            /// The pipe's address. Both ends of a pipe have the same.
            pub fn peer_addr(&self) -> &PipeName {
                self.stream.peer_addr()
            }
        }

        /// The stream, for all that asks.
        impl$(<$life>)? AsRef<PipeStream> for $half$(<$life>)? {
            fn as_ref(&self) -> &PipeStream {
                &self.stream
            }
        }

        impl$(<$life>)? fmt::Debug for $half$(<$life>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.stream.inner.debug(f, stringify!($half))
            }
        }
    };
}

macro_rules! reading {
    ($half:ident [$($life:lifetime)?]) => {
        half!($half [$($life)?]);

        impl$(<$life>)? $half$(<$life>)? {
            /// As [`PipeStream::readable`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::readable`].
            pub async fn readable(&self) -> io::Result<()> {
                self.stream.readable().await
            }

            /// As [`PipeStream::try_read`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::try_read`].
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream.try_read(buffer)
            }

            /// As [`PipeStream::peek`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::peek`].
            pub fn peek(&self) -> io::Result<Peek> {
                self.stream.peek()
            }

            /// As [`PipeStream::recv`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::recv`].
            pub async fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
                self.stream.recv(message).await
            }

            /// As [`PipeStream::recv_part`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::recv_part`].
            pub async fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part> {
                self.stream.recv_part(buffer).await
            }
        }

        impl$(<$life>)? AsyncRead for $half$(<$life>)? {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.stream.inner.poll_read(cx, buffer)
            }
        }
    };
}

macro_rules! writing {
    ($half:ident [$($life:lifetime)?]) => {
        half!($half [$($life)?]);

        impl$(<$life>)? $half$(<$life>)? {
            /// As [`PipeStream::writable`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::writable`].
            pub async fn writable(&self) -> io::Result<()> {
                self.stream.writable().await
            }

            /// As [`PipeStream::try_write`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::try_write`].
            pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.stream.try_write(bytes)
            }

            /// As [`PipeStream::send`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::send`].
            pub async fn send(&self, message: &[u8]) -> io::Result<()> {
                self.stream.send(message).await
            }

            /// As [`PipeStream::close_write`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::close_write`].
            pub fn close_write(&self) -> io::Result<()> {
                self.stream.close_write()
            }

            /// As [`PipeStream::wait_drained`].
            ///
            /// # Errors
            ///
            /// Those of [`PipeStream::wait_drained`].
            pub async fn wait_drained(&self) -> io::Result<()> {
                self.stream.wait_drained().await
            }
        }

        impl$(<$life>)? AsyncWrite for $half$(<$life>)? {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream.inner.poll_write(cx, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream.inner.poll_write_vectored(cx, slices)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.stream.inner.poll_flush(cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.stream.inner.poll_shutdown(cx)
            }
        }
    };
}

reading!(OwnedReadHalf []);
reading!(ReadHalf ['a]);
writing!(OwnedWriteHalf []);
writing!(WriteHalf ['a]);
