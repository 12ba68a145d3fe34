//! `PipeListener`: the server's side, a name and the clients that come to it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind};
use std::iter::FusedIterator;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::lane::{Failure, Lane};
use crate::stream::Directions;
use crate::sys;
use crate::{ListenOptions, PipeMode, PipeName, PipeStream, Role, error};

const OPERATION: &str = "accept";
pub(crate) const SECURITY: &str = "read the security of";

/// Listens for the clients of a pipe.
///
/// The name belongs to the listener from [`bind`](PipeListener::bind) until it is closed or dropped, without a gap in
/// which another process could take it. Every client that connects is delivered, in order; one that wrote and left
/// before `accept` too: its bytes can be read, then end of file.
///
/// All methods take `&self`: any number of threads may share a listener.
///
/// # Examples
///
/// ```no_run
/// use std::io::{BufRead, BufReader, Write};
/// use npipe::PipeListener;
///
/// let listener = PipeListener::bind("mypipe")?;
/// for stream in listener.incoming() {
///     let stream = stream?;
///     let mut line = String::new();
///     BufReader::new(&stream).read_line(&mut line)?;
///     writeln!(&stream, "you said {}", line.trim_end())?;
/// }
/// # std::io::Result::Ok(())
/// ```
pub struct PipeListener {
    held: Arc<Held>,
}

/// What a listener and the streams that it made have in common.
pub(crate) struct Held {
    name: Arc<PipeName>,
    mode: PipeMode,
    directions: Directions,
    lane: Lane<sys::ListenWaiter>,
    slots: Slots,
    listener: sys::Listener,
}

/// How many streams of a listener may be alive, and how many are.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    alive: AtomicUsize,
}

impl Slots {
    fn new(most: Option<u32>) -> Slots {
        Slots {
            most: most.map_or(usize::MAX, |most| most as usize),
            alive: AtomicUsize::new(0),
        }
    }

    pub(crate) fn free(&self) -> usize {
        self.most.saturating_sub(self.alive.load(Ordering::SeqCst))
    }

    pub(crate) fn take(&self) {
        self.alive.fetch_add(1, Ordering::SeqCst);
    }

    fn release(&self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A stream's slot in its listener, free again on drop.
pub(crate) struct Slot(Arc<Held>);

impl Drop for Slot {
    fn drop(&mut self) {
        let held = &self.0;
        held.slots.release();
        if held.slots.most != usize::MAX && !held.lane.is_closed() {
            held.listener.released(held.lane.waker(), &held.slots);
        }
    }
}

impl PipeListener {
    /// Listens at `name`, in any of the spellings of [`PipeName`], with the defaults of [`ListenOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`ListenOptions::bind`].
    pub fn bind(name: impl AsRef<OsStr>) -> io::Result<PipeListener> {
        ListenOptions::new().bind(name)
    }

    pub(crate) fn bind_with(name: PipeName, options: &ListenOptions) -> io::Result<PipeListener> {
        for (what, value) in [
            ("max_instances", options.max_instances),
            ("backlog", options.backlog),
        ] {
            if value == Some(0) {
                return Err(error::because(
                    ErrorKind::InvalidInput,
                    "bind",
                    &name,
                    format!("{what} is 0, and no client could ever connect: 1 is the least"),
                ));
            }
        }
        let slots = Slots::new(options.max_instances);
        let (listener, lane) = sys::Listener::bind(&name, options, &slots)?;
        Ok(PipeListener {
            held: Arc::new(Held {
                name: Arc::new(name),
                mode: options.mode(),
                directions: options.direction.of_server(),
                lane,
                slots,
                listener,
            }),
        })
    }

    /// Waits for the next client.
    ///
    /// # Errors
    ///
    /// * `TimedOut`: the deadline passed ([`set_deadline`](PipeListener::set_deadline)).
    /// * `ConnectionAborted`, "listener closed": [`close`](PipeListener::close) was called.
    /// * what the system says when it has no descriptors or memory left; a later `accept` may succeed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// use std::io::Write;
    ///
    /// let mut stream = listener.accept()?;
    /// stream.write_all(b"welcome\n")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn accept(&self) -> io::Result<PipeStream> {
        let held = &self.held;
        let accepted = held.lane.enter().and_then(|turn| {
            let mut accept = held.listener.accept(held.lane.waker(), &held.slots);
            turn.drive(&mut accept, None)
        });
        match accepted {
            Ok(stream) => Ok(PipeStream::new(
                stream,
                Role::Server,
                held.mode,
                held.directions,
                held.name.clone(),
                Some(Slot(held.clone())),
            )),
            Err(Failure::Closed) => Err(self.closed(OPERATION)),
            Err(Failure::TimedOut | Failure::Lost | Failure::Begun | Failure::Shut) => {
                Err(error::timed_out(OPERATION, &held.name))
            }
            Err(Failure::System(e)) => Err(error::from_os(OPERATION, &held.name, e)),
        }
    }

    /// The clients as they come: an iterator over [`accept`](PipeListener::accept) that ends once the listener is closed.
    ///
    /// A deadline that passes is an item like any other error, and the iterator can go on after it.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The name that this listener holds.
    pub fn local_addr(&self) -> &PipeName {
        &self.held.name
    }

    /// When `accept` gives up: for the pending call and all later ones. `None`, the default, is never. Past it they are
    /// `TimedOut`. It does not fail today.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// use std::time::{Duration, Instant};
    ///
    /// listener.set_deadline(Some(Instant::now() + Duration::from_secs(30)))?;
    /// let stream = listener.accept()?; // `TimedOut` if nobody comes
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.held.lane.set_deadline(deadline);
        Ok(())
    }

    /// The security of the pipe as the system has it, read back.
    ///
    /// Windows: a security descriptor in SDDL, with owner, group, DACL and mandatory label. Unix: the permission bits of the
    /// socket file, as `0600`.
    ///
    /// # Errors
    ///
    /// `ConnectionAborted`, "listener closed"; and what the system says.
    pub fn security_descriptor(&self) -> io::Result<String> {
        const OPERATION: &str = SECURITY;
        let held = &self.held;
        if held.lane.is_closed() {
            return Err(self.closed(OPERATION));
        }
        held.listener
            .security()
            .map_err(|e| error::from_os(OPERATION, &held.name, e))
    }

    fn closed(&self, operation: &'static str) -> io::Error {
        error::because(
            ErrorKind::ConnectionAborted,
            operation,
            &*self.held.name,
            "listener closed",
        )
    }

    pub(crate) fn sys(&self) -> &sys::Listener {
        &self.held.listener
    }

    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.held.mode
    }

    /// Stops listening, from any thread. Every blocked `accept` fails with "listener closed", as does every later one.
    /// Clients that were not accepted yet see end of file; streams live on. The name is free when this returns (Windows:
    /// once the last of its streams is dropped too, for each holds an instance).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         for stream in listener.incoming() {
    ///             println!("{stream:?}");
    ///         }
    ///     });
    ///     listener.close(); // ends the loop
    /// });
    /// # std::io::Result::Ok(())
    /// ```
    pub fn close(&self) {
        let held = &self.held;
        held.lane.close();
        let _turn = held.lane.enter_last();
        held.listener.close(held.lane.waker());
    }
}

impl Drop for PipeListener {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for PipeListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeListener")
            .field("name", &self.held.name)
            .field("mode", &self.held.mode)
            .field("slots", &self.held.slots)
            .field("closed", &self.held.lane.is_closed())
            .finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a PipeListener {
    type Item = io::Result<PipeStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

/// The clients of a [`PipeListener`] as they come.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a PipeListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<PipeStream>;

    fn next(&mut self) -> Option<io::Result<PipeStream>> {
        match self.listener.accept() {
            Err(_) if self.listener.held.lane.is_closed() => None,
            accepted => Some(accepted),
        }
    }
}

impl FusedIterator for Incoming<'_> {}
