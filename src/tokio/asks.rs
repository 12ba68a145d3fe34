//! What a stream tells of its pipe and of who is at the other end, without waiting.

use std::io;

use super::stream::PipeStream;
use crate::identity::PeerIdentity;
use crate::info::PipeInfo;
use crate::stream::is_end;

impl PipeStream {
    /// Whether the peer still has its end of the pipe, as [`PipeStream::is_connected`](crate::PipeStream::is_connected).
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
    /// if !stream.is_connected()? {
    ///     println!("nobody is there to read the rest");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_connected(&self) -> io::Result<bool> {
        match self.inner.io.stream().is_connected() {
            Err(e) if is_end(&e) => Ok(false),
            known => self.inner.named("look at", known),
        }
    }

    /// The process at the other end, as [`PipeStream::peer_pid`](crate::PipeStream::peer_pid).
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system does not tell.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let listener = npipe::tokio::PipeListener::bind("mypipe")?;
    /// let stream = listener.accept().await?;
    /// println!("process {}", stream.peer_pid()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_pid(&self) -> io::Result<u32> {
        let asked = self.inner.io.stream().peer_pid();
        self.inner.named("peer_pid of", asked)
    }

    /// Who is at the other end, as [`PipeStream::peer_identity`](crate::PipeStream::peer_identity).
    ///
    /// # Errors
    ///
    /// The system's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let listener = npipe::tokio::PipeListener::bind("mypipe")?;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut stream = listener.accept().await?;
    /// stream.read_u8().await?; // Windows knows who it is once something has been read
    /// println!("{}", stream.peer_identity()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_identity(&self) -> io::Result<PeerIdentity> {
        let asked = self.inner.io.stream().peer_identity();
        self.inner.named("peer_identity of", asked)
    }

    /// Runs `work` on this thread as the client, as
    /// [`PipeStream::impersonate_client`](crate::PipeStream::impersonate_client). Do not await in it: a task that another thread
    /// polls would not be the client there. Windows only.
    ///
    /// # Errors
    ///
    /// `InvalidInput` on a client's stream; and what the system says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let listener = npipe::tokio::PipeListener::bind("mypipe")?;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut stream = listener.accept().await?;
    /// stream.read_u8().await?; // Windows lets nobody be a client from whom nothing has been read
    /// match stream.impersonate_client(|| std::fs::metadata("report.txt").is_ok()) {
    ///     Ok(may) => println!("the client may see it: {may}"),
    ///     Err(e) => println!("not as the client: {e}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(any(windows, all(doc, not(doctest))))]
    #[cfg_attr(docsrs, doc(cfg(windows)))]
    pub fn impersonate_client<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        crate::stream::as_client(self.inner.io.stream(), &self.inner.state, work)
    }

    /// What the system knows of this pipe, as [`PipeStream::info`](crate::PipeStream::info).
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
    /// println!("{:?}", stream.info()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn info(&self) -> io::Result<PipeInfo> {
        let asked = self.inner.io.stream().info();
        self.inner.named("look at", asked)
    }

    /// The security of the pipe as the system has it, as
    /// [`PipeStream::security_descriptor`](crate::PipeStream::security_descriptor).
    ///
    /// # Errors
    ///
    /// The system's error; `NotFound` on Unix once the socket file is gone.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let stream = npipe::tokio::PipeStream::connect("mypipe").await?;
    /// println!("{}", stream.security_descriptor()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn security_descriptor(&self) -> io::Result<String> {
        let asked = self.inner.io.stream().security(self.local_addr());
        self.inner.named("read the security of", asked)
    }
}
