//! `PipeListener`: the server's side for tasks.

use std::ffi::OsStr;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::tokio::time::{Sleep, sleep};
use futures_core::Stream;

use super::stream::PipeStream;
use crate::error::{self, Fault, PipeError, Reason};
use crate::info::PipeInfo;
use crate::kinds::PipeMode;
use crate::listener::Held;
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::sys::asynchronous::AsyncListener;
use crate::wakers::Place;

const OPERATION: &str = "accept";

/// How long [`Incoming`] waits after the system had no descriptors or memory, since the client is still in its queue.
const SHORT: Duration = Duration::from_millis(50);

/// Listens for the clients of a pipe.
///
/// The name belongs to the listener from [`bind`](PipeListener::bind) until it is closed or dropped, without a gap in
/// which another process could take it. Every client that connects is delivered, in order; one that wrote and left
/// before `accept` too: its bytes can be read, then end of file.
///
/// All methods take `&self`: any number of tasks may share a listener, and accept at the same time.
///
/// # Examples
///
/// ```no_run
/// use npipe::tokio::PipeListener;
/// use tokio::io::AsyncWriteExt;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = PipeListener::bind("mypipe")?;
/// loop {
///     let mut stream = listener.accept().await?;
///     tokio::spawn(async move { stream.write_all(b"welcome\n").await });
/// }
/// # }
/// ```
pub struct PipeListener {
    /// Before the listener, which closes what this watches.
    io: AsyncListener,
    listener: crate::PipeListener,
}

impl PipeListener {
    /// Listens at `name`, in any of the spellings of [`PipeName`], with the defaults of [`ListenOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`ListenOptions::bind`]; outside a runtime, an error that says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use std::io::ErrorKind;
    /// use npipe::tokio::PipeListener;
    ///
    /// match PipeListener::bind("mypipe") {
    ///     Ok(listener) => println!("listening at {}", listener.local_addr()),
    ///     Err(e) if e.kind() == ErrorKind::AddrInUse => println!("it runs already ({e})"),
    ///     Err(e) => return Err(e),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind(name: impl AsRef<OsStr>) -> io::Result<PipeListener> {
        ListenOptions::new().bind_tokio(name)
    }

    fn held(&self) -> &Held {
        self.listener.held()
    }

    /// Waits for the next client. If the future is dropped, no client is lost.
    ///
    /// # Errors
    ///
    /// * `ConnectionAborted`, "listener closed": [`close`](PipeListener::close) was called.
    /// * The system's error when it has no descriptors or memory left; a later `accept` may succeed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let listener = npipe::tokio::PipeListener::bind("mypipe")?;
    /// use npipe::{PipeError, Reason};
    ///
    /// loop {
    ///     match listener.accept().await {
    ///         Ok(stream) => println!("{stream:?}"),
    ///         Err(error) => match PipeError::of(&error).map(PipeError::reason) {
    ///             Some(Reason::Closed) => break,
    ///             // Such as too many open files: the client is still in the queue.
    ///             _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
    ///         },
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn accept(&self) -> io::Result<PipeStream> {
        let mut place = self.held().tasks.place();
        poll_fn(|cx| self.poll_accept(cx, &mut place)).await
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        place: &mut Place<'_>,
    ) -> Poll<io::Result<PipeStream>> {
        let held = self.held();
        let accepted = self.io.poll_accept(cx, &held.listener, place);
        match accepted {
            Poll::Pending if held.is_gone() => Poll::Ready(Err(held.closed(OPERATION))),
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(e)) => Poll::Ready(Err(error::named(OPERATION, self.local_addr(), e))),
            Poll::Ready(Ok(stream)) => Poll::Ready(PipeStream::new(self.listener.welcome(stream))),
        }
    }

    /// The clients as they come: a [`Stream`] of what [`accept`](PipeListener::accept) gives, that ends once the listener is
    /// closed. An item may be the error that the system has no descriptors or memory left: the client stays in the queue,
    /// and the next item comes after a pause, so that a loop does not spin.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let listener = npipe::tokio::PipeListener::bind("mypipe")?;
    /// use tokio_stream::StreamExt;
    ///
    /// let mut clients = listener.incoming();
    /// while let Some(stream) = clients.next().await {
    ///     match stream {
    ///         Ok(stream) => println!("{stream:?}"),
    ///         // Such as too many open files: the client stays in the queue, and the loop goes on after a moment.
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// }
    /// println!("the listener is closed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            place: self.held().tasks.place(),
            pause: None,
        }
    }

    /// The name that this listener holds.
    pub fn local_addr(&self) -> &PipeName {
        self.listener.local_addr()
    }

    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.listener.mode()
    }

    /// What the system knows of this listener's pipe, as [`PipeListener::info`](crate::PipeListener::info).
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
    /// println!("{:?}", listener.info()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn info(&self) -> io::Result<PipeInfo> {
        self.listener.info()
    }

    /// The security of the pipe as the system has it, as
    /// [`PipeListener::security_descriptor`](crate::PipeListener::security_descriptor).
    ///
    /// # Errors
    ///
    /// `ConnectionAborted`, "listener closed"; and what the system says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// # let listener = npipe::tokio::PipeListener::bind("mypipe")?;
    /// println!("{}", listener.security_descriptor()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn security_descriptor(&self) -> io::Result<String> {
        self.listener.security_descriptor()
    }

    /// Stops listening. Every `accept` that waits fails with "listener closed", as does every later one, and the streams of
    /// [`incoming`](PipeListener::incoming) end; the name is free by then. Clients that were not accepted yet see end of
    /// file; streams live on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn serve() -> std::io::Result<()> {
    /// use std::sync::Arc;
    /// use npipe::tokio::PipeListener;
    ///
    /// let listener = Arc::new(PipeListener::bind("mypipe")?);
    /// let server = listener.clone();
    /// tokio::spawn(async move { while server.accept().await.is_ok() {} });
    /// tokio::signal::ctrl_c().await?;
    /// listener.close(); // ends the loop
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        self.io.close();
        self.listener.close();
    }

    /// Takes a blocking listener into this runtime. The streams that it has accepted stay blocking.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: there are clones of it ([`try_clone`](crate::PipeListener::try_clone)), which would block in it. What
    /// the system says; outside a runtime, an error that says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// // Bound before there is a runtime, for example with privileges that are dropped in between.
    /// let blocking = npipe::PipeListener::bind("mypipe")?;
    /// let listener = npipe::tokio::PipeListener::from_blocking(blocking)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_blocking(listener: crate::PipeListener) -> io::Result<PipeListener> {
        const OPERATION: &str = "from_blocking of";
        if listener.has_clones() {
            let why = "it has clones, which would go on blocking in it: drop them first";
            return Err(Fault::new(Reason::WrongHandle, why).of(OPERATION, listener.local_addr()));
        }
        PipeListener::of_tasks(listener, OPERATION)
    }

    fn of_tasks(
        listener: crate::PipeListener,
        operation: &'static str,
    ) -> io::Result<PipeListener> {
        let held = listener.held();
        let io = AsyncListener::new(&held.listener, held.tasks.clone())
            .map_err(|e| error::named(operation, listener.local_addr(), e))?;
        Ok(PipeListener { io, listener })
    }

    /// Turns it into a blocking listener.
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
    /// let blocking = listener.into_blocking()?;
    /// std::thread::spawn(move || blocking.accept());
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_blocking(self) -> io::Result<crate::PipeListener> {
        let PipeListener { io, listener } = self;
        let held = listener.held();
        io.into_blocking(&held.listener)
            .map_err(|e| error::named("into_blocking of", listener.local_addr(), e))?;
        Ok(listener)
    }
}

impl ListenOptions {
    /// Listens at `name`, for tokio's tasks. A plain function, to be called inside a runtime.
    ///
    /// # Errors
    ///
    /// Those of [`bind`](ListenOptions::bind); outside a runtime, an error that says so.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use npipe::{ListenOptions, Security};
    ///
    /// let listener = ListenOptions::new()
    ///     .security(Security::Everyone)
    ///     .bind_tokio("mypipe")?;
    /// let stream = listener.accept().await?;
    /// # drop(stream);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind_tokio(&self, name: impl AsRef<OsStr>) -> io::Result<PipeListener> {
        let options = ListenOptions {
            for_tasks: true,
            ..self.clone()
        };
        PipeListener::of_tasks(options.bind(name)?, "bind")
    }
}

impl fmt::Debug for PipeListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.listener, f)
    }
}

/// The clients of a [`PipeListener`] as they come. From [`PipeListener::incoming`].
#[derive(Debug)]
#[must_use = "a stream does nothing until it is polled"]
pub struct Incoming<'a> {
    listener: &'a PipeListener,
    place: Place<'a>,
    /// The system had no descriptors or memory the last time: until then.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<PipeStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let listener = self.listener;
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let accepted = ready!(listener.poll_accept(cx, &mut self.place));
        if let Err(error) = &accepted {
            if listener.held().is_gone() {
                return Poll::Ready(None);
            }
            if PipeError::of(error).is_some_and(|it| it.reason() == Reason::System) {
                self.pause = Some(Box::pin(sleep(SHORT)));
            }
        }
        Poll::Ready(Some(accepted))
    }
}
