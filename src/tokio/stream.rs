//! `PipeStream`: one open pipe for tasks, and its bytes.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::inner::{INTO_BLOCKING, Inner};
use crate::error::{Fault, Reason};
use crate::kinds::{Peek, PipeMode, Role};
use crate::name::PipeName;
use crate::stream::Parts;

/// One open pipe, full duplex: [`AsyncRead`] and [`AsyncWrite`].
///
/// The peer's close is `Ok(0)` for a read, and `BrokenPipe` for a write. Dropping a stream loses nothing that was
/// written: the peer can still read it. On a message pipe each write is one message, and reads see a stream of bytes
/// until the peer's half close.
///
/// # Examples
///
/// ```no_run
/// use npipe::tokio::PipeStream;
/// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
///
/// # async fn talk() -> std::io::Result<()> {
/// let mut stream = PipeStream::connect("mypipe").await?;
/// stream.write_all(b"Hello from Rust\n").await?;
/// let mut answer = String::new();
/// BufReader::new(&mut stream).read_line(&mut answer).await?;
/// println!("{}", answer.trim_end());
/// # Ok(())
/// # }
/// ```
pub struct PipeStream {
    pub(super) inner: Arc<Inner>,
}

impl PipeStream {
    pub(super) fn new(parts: Parts) -> io::Result<PipeStream> {
        Ok(PipeStream {
            inner: Arc::new(Inner::new(parts)?),
        })
    }

    /// Takes a blocking stream into this runtime. It must have no other clones.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: there are clones of it ([`try_clone`](crate::PipeStream::try_clone)), which would block in it. What
    /// the system says; outside a runtime, an error that says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn carry() -> std::io::Result<()> {
    /// let blocking = npipe::PipeStream::connect("mypipe")?;
    /// let stream = npipe::tokio::PipeStream::from_blocking(blocking)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_blocking(stream: crate::PipeStream) -> io::Result<PipeStream> {
        match stream.into_parts() {
            Ok(parts) => PipeStream::new(parts),
            Err(stream) => {
                let why = "it has clones, which would go on blocking in it: drop them first";
                Err(Fault::new(Reason::WrongHandle, why).of("from_blocking of", stream.peer_addr()))
            }
        }
    }

    /// Two connected ends of a byte pipe, the server's end first, as [`PipeStream::pair`](crate::PipeStream::pair). Other
    /// pairs come from [`ListenOptions::pair`](crate::ListenOptions::pair) and [`from_blocking`](PipeStream::from_blocking).
    ///
    /// # Errors
    ///
    /// The system's error; outside a runtime, an error that says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let (mut server, mut client) = npipe::tokio::PipeStream::pair()?;
    /// client.write_all(b"hello").await?;
    /// let mut word = [0; 5];
    /// server.read_exact(&mut word).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pair() -> io::Result<(PipeStream, PipeStream)> {
        let (server, client) = crate::PipeStream::pair()?;
        Ok((
            PipeStream::from_blocking(server)?,
            PipeStream::from_blocking(client)?,
        ))
    }

    /// Turns it into a blocking stream.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: something is on its way that the blocking stream could not know of: a part of a message that was
    /// sent or received by a call that was dropped. `flush` first, and `recv` it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut stream = stream;
    /// stream.flush().await?; // nothing is on its way then
    /// let blocking = stream.into_blocking()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_blocking(self) -> io::Result<crate::PipeStream> {
        let inner = Arc::try_unwrap(self.inner).map_err(|inner| {
            let why = "a message is still on its way out: wait for it first (flush)";
            Fault::new(Reason::WrongHandle, why).of(INTO_BLOCKING, inner.state.name())
        })?;
        inner.into_parts().map(crate::PipeStream::from_parts)
    }

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

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.inner.state.kind.role
    }

    /// Waits until there is data, or the end: then a read returns at once, unless another task was faster.
    ///
    /// Any number of tasks may wait. It takes nothing, and may be dropped at any time.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn look(stream: npipe::tokio::PipeStream) -> std::io::Result<()> {
    /// use std::io::ErrorKind;
    ///
    /// let mut buffer = [0; 4096];
    /// loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buffer) {
    ///         Ok(0) => return Ok(()),
    ///         Ok(length) => println!("{length} bytes"),
    ///         Err(e) if e.kind() == ErrorKind::WouldBlock => {}
    ///         Err(e) => return Err(e),
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.inner.readable().await
    }

    /// Waits until a write would take something. (It can be wrong: if [`try_write`](PipeStream::try_write) is `WouldBlock`
    /// afterwards, wait again.)
    ///
    /// Any number of tasks may wait. It writes nothing, and may be dropped at any time.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// use std::io::ErrorKind;
    ///
    /// let mut rest: &[u8] = b"news";
    /// while !rest.is_empty() {
    ///     stream.writable().await?;
    ///     match stream.try_write(rest) {
    ///         Ok(length) => rest = &rest[length..],
    ///         Err(e) if e.kind() == ErrorKind::WouldBlock => {}
    ///         Err(e) => return Err(e),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn writable(&self) -> io::Result<()> {
        self.inner.writable().await
    }

    /// Reads what is there. `Ok(0)` is the end.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: nothing is there.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// use std::io::ErrorKind;
    ///
    /// match stream.try_read(&mut [0; 4096]) {
    ///     Ok(0) => println!("the end"),
    ///     Ok(length) => println!("{length} bytes"),
    ///     Err(e) if e.kind() == ErrorKind::WouldBlock => println!("nothing yet"),
    ///     Err(e) => return Err(e),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buffer)
    }

    /// Writes what there is room for; on a message pipe, one message.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: there is no room.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// use std::io::ErrorKind;
    ///
    /// match stream.try_write(b"42 of 200\n") {
    ///     Ok(length) => println!("{length} bytes of it"),
    ///     Err(e) if e.kind() == ErrorKind::WouldBlock => println!("the peer is slow: leave it out"),
    ///     Err(e) if e.kind() == ErrorKind::BrokenPipe => println!("the peer has gone"),
    ///     Err(e) => return Err(e),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.try_write(bytes)
    }

    /// What can be read without waiting, as [`PipeStream::peek`](crate::PipeStream::peek) has it.
    ///
    /// # Errors
    ///
    /// The system's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// println!("{} bytes can be read at once", stream.peek()?.available);
    /// # Ok(())
    /// # }
    /// ```
    pub fn peek(&self) -> io::Result<Peek> {
        self.inner.peek()
    }

    /// Half close, as [`PipeStream::close_write`](crate::PipeStream::close_write), without waiting: `shutdown` of
    /// [`AsyncWriteExt`](::tokio::io::AsyncWriteExt::shutdown) waits for what is on its way.
    ///
    /// # Errors
    ///
    /// `Unsupported` on a Windows byte pipe. `WouldBlock`: something that was sent is still on its way.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// use std::io::ErrorKind;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut stream = stream;
    /// match stream.close_write() {
    ///     Ok(()) => {}
    ///     // A Windows byte pipe: the peer has to know by itself where the request ends.
    ///     Err(e) if e.kind() == ErrorKind::Unsupported => {}
    ///     Err(e) => return Err(e),
    /// }
    /// let mut reply = Vec::new();
    /// stream.read_to_end(&mut reply).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close_write(&self) -> io::Result<()> {
        self.inner.close_write()
    }

    /// Waits until the peer has read all that was written.
    ///
    /// # Errors
    ///
    /// `BrokenPipe`: the peer has closed before it had read everything. `Unsupported` on Unix systems other than Linux.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// use std::time::Duration;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut stream = stream;
    /// stream.write_all(b"goodbye").await?;
    /// match tokio::time::timeout(Duration::from_secs(5), stream.wait_drained()).await {
    ///     Ok(drained) => drained?,
    ///     Err(_) => println!("the peer does not read"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_drained(&self) -> io::Result<()> {
        self.inner.wait_drained().await
    }

    /// Cuts this client off at once, as [`PipeStream::disconnect`](crate::PipeStream::disconnect).
    ///
    /// # Errors
    ///
    /// `InvalidInput` on a client's stream, which is closed by dropping it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let listener = npipe::tokio::PipeListener::bind("mypipe")?;
    /// let stream = listener.accept().await?;
    /// if stream.peer_pid()? == 4711 {
    ///     stream.disconnect()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn disconnect(&self) -> io::Result<()> {
        const OPERATION: &str = "disconnect";
        self.inner.state.need_server(OPERATION)?;
        self.inner.named(OPERATION, self.inner.io.disconnect())
    }
}

impl AsyncRead for PipeStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner.poll_read(cx, buffer)
    }
}

/// `flush` waits until the system has all that was written, and not until the peer has read it
/// ([`wait_drained`](PipeStream::wait_drained)). `shutdown` does so too, and is the half close where the pipe has one.
impl AsyncWrite for PipeStream {
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

impl fmt::Debug for PipeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.debug(f, "PipeStream")
    }
}
