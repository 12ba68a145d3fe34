//! The builders: how to listen, how to connect.

use std::time::Duration;

use crate::cancel::CancelToken;
use crate::error::{Fault, Reason};
use crate::identity::{ExpectServer, ImpersonationLevel};
use crate::kinds::{Directions, PipeMode};
use crate::security::Security;

/// The longest message that is sent and received by default: 64 MiB.
pub(crate) const MAX_MESSAGE_SIZE: usize = 64 << 20;

/// Which way the data of a listener's pipe goes, seen from the server, as .NET's `PipeDirection`. What goes against it
/// (the server's write to an inbound pipe, say) is `PermissionDenied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Direction {
    /// Both ways.
    #[default]
    Duplex,
    /// Clients write, the server reads.
    Inbound,
    /// Clients read, the server writes.
    Outbound,
}

impl Direction {
    /// What the server does.
    pub(crate) fn of_server(self) -> Directions {
        Directions {
            read: self != Direction::Outbound,
            write: self != Direction::Inbound,
        }
    }
}

/// What a client opens a pipe for. Anything else then fails with `PermissionDenied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Access {
    /// To read and to write. On a one-way pipe, whichever it allows.
    #[default]
    ReadWrite,
    /// To read only. Unix: `shutdown(SHUT_WR)` after the connect, as .NET does.
    Read,
    /// To write only. Unix: `shutdown(SHUT_RD)` after the connect, as .NET does.
    Write,
    /// Windows: any access mask, as `CreateFile` takes it. Unix: `Unsupported`.
    Mask(u32),
}

/// How to listen on a pipe. [`PipeListener::bind`](crate::PipeListener::bind) uses the defaults.
///
/// # Examples
///
/// ```no_run
/// use npipe::{ListenOptions, Security};
///
/// let listener = ListenOptions::new()
///     .security(Security::Everyone)
///     .max_instances(10)
///     .bind("mypipe")?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until bind"]
pub struct ListenOptions {
    pub(crate) message_mode: bool,
    pub(crate) input_buffer_size: Option<u32>,
    pub(crate) output_buffer_size: Option<u32>,
    pub(crate) security: Security,
    pub(crate) accept_remote_clients: bool,
    pub(crate) max_instances: Option<u32>,
    pub(crate) backlog: Option<u32>,
    /// The listener is for tasks, and its instances are made when they take it over. (Windows)
    #[cfg_attr(not(all(windows, feature = "tokio")), allow(dead_code))]
    pub(crate) for_tasks: bool,
    pub(crate) direction: Direction,
    pub(crate) current_user_clients_only: bool,
    #[cfg_attr(windows, allow(dead_code))] // of no effect there
    pub(crate) allow_shared_directory: bool,
    pub(crate) max_message_size: usize,
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions {
            message_mode: false,
            input_buffer_size: None,
            output_buffer_size: None,
            security: Security::OwnerOnly,
            accept_remote_clients: false,
            max_instances: None,
            backlog: None,
            for_tasks: false,
            direction: Direction::Duplex,
            current_user_clients_only: false,
            allow_shared_directory: false,
            max_message_size: MAX_MESSAGE_SIZE,
        }
    }
}

impl ListenOptions {
    /// The defaults: a duplex byte pipe for the owner only, no limit on clients.
    pub fn new() -> ListenOptions {
        ListenOptions::default()
    }

    pub(crate) fn mode(&self) -> PipeMode {
        if self.message_mode {
            PipeMode::Message
        } else {
            PipeMode::Byte
        }
    }

    /// Whether writes keep their boundaries as messages. Default: false, a stream of bytes.
    ///
    /// Windows: `PIPE_TYPE_MESSAGE`. Linux: `SOCK_SEQPACKET`, in a form that npipe alone speaks. Elsewhere `bind` is
    /// `Unsupported`.
    ///
    /// # Examples
    ///
    /// A client needs no option: its stream says what the pipe is, [`PipeStream::mode`](crate::PipeStream::mode).
    ///
    /// ```no_run
    /// use std::io::ErrorKind;
    /// use npipe::ListenOptions;
    ///
    /// let listener = match ListenOptions::new().message_mode(true).bind("mypipe") {
    ///     Ok(listener) => listener,
    ///     // macOS: put a length before each of your messages, on a byte pipe.
    ///     Err(e) if e.kind() == ErrorKind::Unsupported => ListenOptions::new().bind("mypipe")?,
    ///     Err(e) => return Err(e),
    /// };
    /// let stream = listener.accept()?;
    /// stream.send(b"one")?;
    /// stream.send(b"two")?; // never read together with the first
    /// # std::io::Result::Ok(())
    /// ```
    pub fn message_mode(mut self, message_mode: bool) -> ListenOptions {
        self.message_mode = message_mode;
        self
    }

    /// How many bytes the clients can write ahead of the server's reads.
    ///
    /// Windows: the quota of each instance, 65536 by default. 0 is none: each write waits until all of it has been read.
    /// Unix: no effect. The receiving side of a local socket has no buffer of its own: what counts is the client's send
    /// buffer, which the client has whatever is asked for here. So with 0 too its writes do not wait for the server.
    pub fn input_buffer_size(mut self, bytes: u32) -> ListenOptions {
        self.input_buffer_size = Some(bytes);
        self
    }

    /// How many bytes the server can write ahead of the client's reads.
    ///
    /// Windows: the quota of each instance, 65536 by default. 0 is none: each write waits until all of it has been read.
    /// Unix: `SO_SNDBUF` of each accepted socket. By default, and with 0, it is the system's own size (208 KiB on Linux):
    /// there is no socket without a buffer.
    pub fn output_buffer_size(mut self, bytes: u32) -> ListenOptions {
        self.output_buffer_size = Some(bytes);
        self
    }

    /// Who may connect. Default: [`Security::OwnerOnly`].
    pub fn security(mut self, security: Security) -> ListenOptions {
        self.security = security;
        self
    }

    /// Whether clients of other machines may connect, over SMB. Default: false. No effect on Unix, which has none.
    pub fn accept_remote_clients(mut self, accept: bool) -> ListenOptions {
        self.accept_remote_clients = accept;
        self
    }

    /// How many streams of this listener may be alive at once; further clients wait, and `accept` with them, until one
    /// is dropped, or turned into the system's own handle. Default: no limit. 0 is refused by `bind`.
    pub fn max_instances(mut self, instances: u32) -> ListenOptions {
        self.max_instances = Some(instances);
        self
    }

    /// How many clients may connect ahead of `accept`. 0 is refused by `bind`.
    ///
    /// Windows: this many instances are kept ready (default 32, at most 1024); while clients come faster than they are
    /// accepted, up to four times as many may be waiting. Unix: the length of the kernel's queue (default: the
    /// longest that it allows, since a .NET client that meets a full queue hangs past its own timeout).
    pub fn backlog(mut self, clients: u32) -> ListenOptions {
        self.backlog = Some(clients);
        self
    }

    /// Which way the data goes. Default: both ways.
    ///
    /// Windows: `PIPE_ACCESS_INBOUND`, `PIPE_ACCESS_OUTBOUND`; a client's default access fits either. Unix: each
    /// accepted socket is shut down the other way, as .NET does; a client that writes all the same gets `BrokenPipe`, and
    /// one that reads gets end of file.
    pub fn direction(mut self, direction: Direction) -> ListenOptions {
        self.direction = direction;
        self
    }

    /// Whether only clients of this process's own user are served. Default: false.
    ///
    /// Unix: whoever else connects is cut off, and the listener goes on to the next client; .NET's
    /// `PipeOptions.CurrentUserOnly` does the same. Windows: the pipe's DACL, in the place of
    /// [`security`](ListenOptions::security), lets nobody else open it, the Administrators included.
    pub fn current_user_clients_only(mut self, only: bool) -> ListenOptions {
        self.current_user_clients_only = only;
        self
    }

    /// The longest message, in bytes. Default: 64 MiB. A longer one is `InvalidInput` for `send`, before anything is sent,
    /// and `InvalidData` for `recv`.
    ///
    /// Each side has its own limit. No effect on byte pipes.
    pub fn max_message_size(mut self, bytes: usize) -> ListenOptions {
        self.max_message_size = bytes;
        self
    }

    /// Whether the socket may be put where another user could replace it. Default: false, and `bind` is `PermissionDenied`.
    ///
    /// Unix: that is a directory with a component, up to the root, that belongs to neither root nor this user, or that
    /// others may write to and that is not sticky. (`/tmp` is root's, and sticky.) With [`Security::OsDefault`] there is no
    /// such check. Windows: no effect, since a pipe is not in a directory.
    pub fn allow_shared_directory(mut self, allow: bool) -> ListenOptions {
        self.allow_shared_directory = allow;
        self
    }

    /// Whether these options make sense.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        for (what, value) in [
            ("max_instances", self.max_instances),
            ("backlog", self.backlog),
        ] {
            if value == Some(0) {
                let why = format!("{what} is 0, and no client could ever connect: 1 is the least");
                return Err(Fault::new(Reason::WrongOption, why));
            }
        }
        check_message_size(self.max_message_size)
    }
}

/// A length has to fit into what a message's head and the systems' calls can say.
fn check_message_size(bytes: usize) -> Result<(), Fault> {
    if u32::try_from(bytes).is_ok() {
        return Ok(());
    }
    let why = format!(
        "max_message_size is {bytes} bytes: a message has at most {}, which is 4 GiB less one byte",
        u32::MAX
    );
    Err(Fault::new(Reason::WrongOption, why))
}

/// How to connect to a pipe. [`PipeStream::connect`](crate::PipeStream::connect) uses the defaults.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use npipe::ConnectOptions;
///
/// let stream = ConnectOptions::new()
///     .timeout(Duration::from_secs(5))
///     .wait_for_server(true)
///     .connect("mypipe")?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until connect"]
pub struct ConnectOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait_for_server: bool,
    pub(crate) cancel: Option<CancelToken>,
    pub(crate) access: Access,
    #[cfg_attr(unix, allow(dead_code))] // of no effect there
    pub(crate) impersonation: ImpersonationLevel,
    pub(crate) expect_server: Option<ExpectServer>,
    #[cfg_attr(windows, allow(dead_code))] // of no effect there
    pub(crate) allow_shared_directory: bool,
    pub(crate) max_message_size: usize,
}

impl Default for ConnectOptions {
    fn default() -> ConnectOptions {
        ConnectOptions {
            timeout: Some(Duration::from_secs(2)),
            wait_for_server: false,
            cancel: None,
            access: Access::ReadWrite,
            impersonation: ImpersonationLevel::Identification,
            expect_server: None,
            allow_shared_directory: false,
            max_message_size: MAX_MESSAGE_SIZE,
        }
    }
}

impl ConnectOptions {
    /// The defaults: wait 2 s for a busy server, and do not wait for a missing one.
    pub fn new() -> ConnectOptions {
        ConnectOptions::default()
    }

    /// How long to wait for a busy server, or for one to come. Default: 2 s. At least one attempt is always made.
    pub fn timeout(mut self, timeout: Duration) -> ConnectOptions {
        self.timeout = Some(timeout);
        self
    }

    /// Waits forever.
    pub fn no_timeout(mut self) -> ConnectOptions {
        self.timeout = None;
        self
    }

    /// Whether to wait for a server that has not started yet. Default: false, and a missing pipe is `NotFound` at once.
    pub fn wait_for_server(mut self, wait: bool) -> ConnectOptions {
        self.wait_for_server = wait;
        self
    }

    /// What to open the pipe for. Default: to read and to write.
    pub fn access(mut self, access: Access) -> ConnectOptions {
        self.access = access;
        self
    }

    /// How far the server may act as this client. Default: [`ImpersonationLevel::Identification`]. Unix: of no effect.
    pub fn impersonation(mut self, level: ImpersonationLevel) -> ConnectOptions {
        self.impersonation = level;
        self
    }

    /// Which server to accept; with any other, `connect` fails with `PermissionDenied` before a byte is sent. Default: anyone.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use npipe::{ConnectOptions, ExpectServer};
    ///
    /// let stream = ConnectOptions::new()
    ///     .expect_server(ExpectServer::CurrentUser)
    ///     .connect("mypipe")?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn expect_server(mut self, server: ExpectServer) -> ConnectOptions {
        self.expect_server = Some(server);
        self
    }

    /// Whether a socket that another user could have put there counts as the expected server's. Default: false, and with
    /// [`expect_server`](ConnectOptions::expect_server) such a directory is `PermissionDenied`.
    ///
    /// Unix: [`ListenOptions::allow_shared_directory`] says which directories these are; here the expected user is trusted
    /// as this one is. Windows: no effect.
    pub fn allow_shared_directory(mut self, allow: bool) -> ConnectOptions {
        self.allow_shared_directory = allow;
        self
    }

    /// A token with which another thread can end the wait.
    pub fn cancel(mut self, token: &CancelToken) -> ConnectOptions {
        self.cancel = Some(token.clone());
        self
    }

    /// The longest message, in bytes, as [`ListenOptions::max_message_size`]. Default: 64 MiB.
    pub fn max_message_size(mut self, bytes: usize) -> ConnectOptions {
        self.max_message_size = bytes;
        self
    }

    /// Whether these options make sense.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        check_message_size(self.max_message_size)
    }
}
