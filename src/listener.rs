//! `PipeListener`: the server's side, a name and the clients that come to it.

mod bind;
mod held;

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{self, Fault, PipeError, Reason};
use crate::info::PipeInfo;
use crate::kinds::{PipeMode, Role};
use crate::lane::{Failure, Lane, Limit};
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::stream::{Kind, Parts, PipeStream};
use crate::sys;
use held::{Gone, Slot};

pub(crate) use held::Held;

const OPERATION: &str = "accept";

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
    owner: Arc<Owner>,
}

/// What the clones of a listener have in common: the last of them closes it.
struct Owner {
    held: Arc<Held>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.held.close();
    }
}

impl PipeListener {
    /// Listens at `name`, in any of the spellings of [`PipeName`], with the defaults of [`ListenOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`ListenOptions::bind`].
    ///
    /// # Examples
    ///
    /// Bind or connect: of programs that start at the same time exactly one is the server.
    /// `examples/single_instance.rs` is the whole program.
    ///
    /// ```no_run
    /// use std::io::ErrorKind;
    /// use npipe::{PipeListener, PipeStream};
    ///
    /// loop {
    ///     match PipeListener::bind("my-program") {
    ///         Ok(listener) => {
    ///             println!("the first: {}", listener.local_addr());
    ///             break;
    ///         }
    ///         Err(e) if e.kind() == ErrorKind::AddrInUse => {}
    ///         Err(e) => return Err(e),
    ///     }
    ///     match PipeStream::connect("my-program") {
    ///         Ok(stream) => {
    ///             println!("another one runs, as process {}", stream.peer_pid()?);
    ///             break;
    ///         }
    ///         // It has ended between the two calls: try again.
    ///         Err(e) if e.kind() == ErrorKind::NotFound => {}
    ///         Err(e) => return Err(e),
    ///     }
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind(name: impl AsRef<OsStr>) -> io::Result<PipeListener> {
        ListenOptions::new().bind(name)
    }

    pub(crate) fn make(
        listener: sys::Listener,
        name: PipeName,
        options: &ListenOptions,
        lane: Lane<sys::ListenWaiter>,
    ) -> PipeListener {
        let held = Held {
            name: Arc::new(name),
            mode: options.mode(),
            directions: options.direction.of_server(),
            max_message_size: options.max_message_size,
            lane,
            listener,
            gone: Gone::default(),
            #[cfg(feature = "tokio")]
            tasks: Arc::default(),
        };
        PipeListener {
            owner: Arc::new(Owner {
                held: Arc::new(held),
            }),
        }
    }

    #[cfg(unix)]
    pub(crate) fn sys(&self) -> &sys::Listener {
        &self.owner.held.listener
    }

    /// Waits for the next client.
    ///
    /// # Errors
    ///
    /// * `TimedOut`: the deadline passed ([`set_deadline`](PipeListener::set_deadline)).
    /// * `WouldBlock`: nobody has come, and the listener is [non-blocking](PipeListener::set_nonblocking).
    /// * `ConnectionAborted`, "listener closed": [`close`](PipeListener::close) was called.
    /// * The system's error when it has no descriptors or memory left; a later `accept` may succeed.
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
        self.accept_within(None)
    }

    /// Waits for the next client, for `timeout` at most. A client that is already there is delivered however short the
    /// timeout is; where there is a deadline too, the earlier one counts.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](PipeListener::accept); `TimedOut` if nobody came.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// match listener.accept_timeout(Duration::from_secs(30)) {
    ///     Ok(stream) => println!("{stream:?}"),
    ///     Err(e) if e.kind() == ErrorKind::TimedOut => println!("nobody came for 30 s"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn accept_timeout(&self, timeout: Duration) -> io::Result<PipeStream> {
        self.accept_within(Some(timeout))
    }

    fn accept_within(&self, timeout: Option<Duration>) -> io::Result<PipeStream> {
        let held = &self.owner.held;
        let accepted = held
            .lane
            .enter_within(timeout)
            .and_then(|turn| turn.drive(&mut held.listener.accept(), None));
        let why = match accepted {
            Ok(stream) => {
                return Ok(PipeStream::from_parts(self.welcome(stream)));
            }
            Err(Failure::System(e)) => return Err(error::named(OPERATION, &held.name, e)),
            Err(Failure::Closed | Failure::Shut) => return Err(held.closed(OPERATION)),
            Err(Failure::WouldBlock) => {
                let why = "nobody has come yet, and the listener is non-blocking";
                return Err(Fault::new(Reason::WouldBlock, why).of(OPERATION, &held.name));
            }
            Err(Failure::TimedOut(Limit::Timeout(timeout))) => {
                format!("nobody came within the timeout of {timeout:?}")
            }
            Err(Failure::TimedOut(Limit::Deadline) | Failure::Lost) => {
                "the deadline has passed, and nobody came before".to_owned()
            }
        };
        Err(Fault::new(Reason::DeadlinePassed, why).of(OPERATION, &held.name))
    }

    /// What a client's stream is, in a slot of its own.
    pub(crate) fn welcome(&self, stream: sys::Stream) -> Parts {
        let held = &self.owner.held;
        let kind = Kind {
            role: Role::Server,
            mode: held.mode,
            directions: held.directions,
            max_message_size: held.max_message_size,
        };
        let slot = Box::new(Slot(held.clone()));
        Parts::new(stream, kind, held.name.clone(), Some(slot))
    }

    /// The clients as they come: an iterator over [`accept`](PipeListener::accept) that ends once the listener is closed.
    ///
    /// A deadline that passes is an item like any other error, and the iterator can go on after it. So is a system that has
    /// no descriptors or memory left: the client stays in the queue, and the next item comes after a pause, so that a loop
    /// does not spin.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// for stream in listener.incoming() {
    ///     match stream {
    ///         Ok(stream) => println!("{stream:?}"),
    ///         // Such as too many open files: the client stays in the queue, and the loop goes on after a moment.
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// }
    /// println!("the listener is closed");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            short: false,
        }
    }

    /// The name that this listener holds.
    pub fn local_addr(&self) -> &PipeName {
        &self.owner.held.name
    }

    /// Sets when `accept` gives up: the pending call and all later ones. `None`, the default, means never. Past the deadline
    /// they fail with `TimedOut`. Setting it does not fail today.
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
        self.owner.held.lane.set_deadline(deadline);
        Ok(())
    }

    /// When `accept` gives up.
    pub fn deadline(&self) -> io::Result<Option<Instant>> {
        Ok(self.owner.held.lane.deadline())
    }

    /// Whether `accept` fails with `WouldBlock` while there is no client, on every clone; a pending call does too. Default:
    /// false. An event loop waits for the descriptor itself (`AsFd`).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// use std::io::ErrorKind;
    ///
    /// listener.set_nonblocking(true)?;
    /// match listener.accept() {
    ///     Ok(stream) => println!("{stream:?}"),
    ///     Err(e) if e.kind() == ErrorKind::WouldBlock => println!("nobody has come yet"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.owner.held.lane.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Whether `accept` fails rather than waits.
    pub fn nonblocking(&self) -> io::Result<bool> {
        Ok(self.owner.held.lane.is_nonblocking())
    }

    /// Another handle to the same listener: any clone's [`close`](PipeListener::close) closes all, and the name is held until
    /// the last is dropped.
    ///
    /// # Errors
    ///
    /// None today: a clone needs nothing from the system.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// let closer = listener.try_clone()?;
    /// std::thread::spawn(move || {
    ///     let _ = std::io::stdin().read_line(&mut String::new());
    ///     closer.close(); // on Enter
    /// });
    /// for stream in listener.incoming() {
    ///     println!("{:?}", stream?);
    /// }
    /// // Closed. The streams live on: `PipeStream::shutdown` ends what other threads read from them.
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_clone(&self) -> io::Result<PipeListener> {
        Ok(PipeListener {
            owner: self.owner.clone(),
        })
    }

    /// The security of the pipe as the system has it, read back.
    ///
    /// Windows: a security descriptor in SDDL, with owner, group, DACL and mandatory label. Unix: the permission bits of the
    /// socket file, as `0600`.
    ///
    /// # Errors
    ///
    /// `ConnectionAborted`, "listener closed"; the system's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// // Unix: "0600". Windows: such as "O:…G:…D:P(A;;…".
    /// println!("{}", listener.security_descriptor()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn security_descriptor(&self) -> io::Result<String> {
        const OPERATION: &str = "read the security of";
        let held = &self.owner.held;
        if held.lane.is_closed() {
            return Err(held.closed(OPERATION));
        }
        held.listener
            .security()
            .map_err(|e| error::named(OPERATION, &held.name, e))
    }

    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.owner.held.mode
    }

    /// Stops listening, from any thread, and for every clone. Every blocked `accept` fails with "listener closed", as does
    /// every later one. Clients that were not accepted yet see end of file; streams live on, and so do the reads that other
    /// threads wait in: [`shutdown`](PipeStream::shutdown) ends those (`examples/json_lines.rs`).
    ///
    /// The name is free when this returns, and no call reports the close before it is (Windows: once the last of its streams
    /// is dropped too, for each holds an instance). Unix: a forked child's copy leaves the name to the process that bound it,
    /// so a daemon should bind after it has forked; otherwise its socket file stays until the next `bind` replaces it.
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
        self.owner.held.close();
    }

    /// What the system knows of this listener's pipe.
    ///
    /// # Errors
    ///
    /// The system's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// println!("{:?}", listener.info()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn info(&self) -> io::Result<PipeInfo> {
        self.owner
            .held
            .listener
            .info()
            .map_err(|e| error::named("look at", self.local_addr(), e))
    }
}

#[cfg(feature = "tokio")]
impl PipeListener {
    pub(crate) fn held(&self) -> &Held {
        &self.owner.held
    }

    pub(crate) fn has_clones(&self) -> bool {
        Arc::strong_count(&self.owner) > 1
    }
}

impl fmt::Debug for PipeListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = &self.owner.held;
        f.debug_struct("PipeListener")
            .field("name", &held.name)
            .field("mode", &held.mode)
            .field("slots", held.listener.slots())
            .field("closed", &held.lane.is_closed())
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

/// How long [`Incoming`] waits after the system had no descriptors or memory, since the client is still in its queue.
const SHORT: Duration = Duration::from_millis(50);

/// The clients of a [`PipeListener`] as they come.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a PipeListener,
    /// The system had no descriptors or memory the last time.
    short: bool,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<PipeStream>;

    fn next(&mut self) -> Option<io::Result<PipeStream>> {
        let held = &self.listener.owner.held;
        if self.short {
            held.lane.pause(SHORT);
        }
        let accepted = self.listener.accept();
        match &accepted {
            Err(_) if held.lane.is_closed() => {
                held.gone.wait();
                return None;
            }
            Err(error) => {
                let inside = PipeError::of(error);
                self.short = inside.is_some_and(|it| it.reason() == Reason::System);
            }
            Ok(_) => self.short = false,
        }
        Some(accepted)
    }
}

impl FusedIterator for Incoming<'_> {}
