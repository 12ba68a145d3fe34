//! What a stream knows of its pipe, and who is at the other end.

use std::io;

use super::PipeStream;
#[cfg(windows)]
use super::state::State;
use crate::error;
#[cfg(windows)]
use crate::error::{Fault, Reason};
use crate::identity::PeerIdentity;
use crate::info::PipeInfo;
#[cfg(windows)]
use crate::kinds::Role;

/// Runs `work` on this thread as the client, for either half.
#[cfg(windows)]
pub(crate) fn as_client<T>(
    pipe: &crate::sys::Stream,
    state: &State,
    work: impl FnOnce() -> T,
) -> io::Result<T> {
    const OPERATION: &str = "impersonate the client of";
    if state.kind.role == Role::Client {
        let why = "only the server can act as its client";
        return Err(Fault::new(Reason::WrongRole, why).of(OPERATION, state.name()));
    }
    let _as_client = pipe
        .impersonate()
        .map_err(|e| error::named(OPERATION, state.name(), e))?;
    Ok(work())
}

impl PipeStream {
    /// The process at the other end. It may have ended by now, and its number may have been reused.
    ///
    /// Windows: `GetNamedPipeClientProcessId`, `GetNamedPipeServerProcessId`. Linux: `SO_PEERCRED`, which for a
    /// server is the process that began to listen. macOS: `LOCAL_PEERPID`.
    ///
    /// # Errors
    ///
    /// `Unsupported` on the other BSDs, and for a peer in another pid namespace, which has no number here.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// use std::io::ErrorKind;
    ///
    /// let stream = listener.accept()?;
    /// match stream.peer_pid() {
    ///     Ok(process) => println!("process {process}"),
    ///     Err(e) if e.kind() == ErrorKind::Unsupported => println!("this system does not tell"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peer_pid(&self) -> io::Result<u32> {
        self.io()
            .peer_pid()
            .map_err(|e| error::named("peer_pid of", self.peer_addr(), e))
    }

    /// Who is at the other end.
    ///
    /// Windows, server: the user that the client lets it see, by [`ImpersonationLevel`](crate::ImpersonationLevel); as long as nothing has been
    /// read from the client, the user of its process, which is only a hint and must not decide who gets in: read first.
    /// Windows, client: the user of the server's process, or, where this user may not look at that, the pipe's owner.
    /// Unix: `SO_PEERCRED`, `getpeereid`.
    ///
    /// # Errors
    ///
    /// The system's error; `PermissionDenied` for a client that came with [`ImpersonationLevel::Anonymous`](crate::ImpersonationLevel::Anonymous).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// let stream = listener.accept()?;
    /// println!("process {} of {}", stream.peer_pid()?, stream.peer_identity()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn peer_identity(&self) -> io::Result<PeerIdentity> {
        self.io()
            .peer_identity()
            .map_err(|e| error::named("peer_identity of", self.peer_addr(), e))
    }

    /// Runs `work` on this thread as the client, as far as its [`ImpersonationLevel`](crate::ImpersonationLevel) lets the server, and reverts when
    /// it returns or panics. Windows only; for the server's side.
    ///
    /// If the system refuses to revert, the process is aborted: going on as another user would be worse.
    ///
    /// # Errors
    ///
    /// * `InvalidInput` on a client's stream.
    /// * The system's: among them 1368, since Windows requires that something has been read from the client first.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::fs::File;
    /// use std::io::Read;
    ///
    /// # let listener = npipe::PipeListener::bind("mypipe")?;
    /// let stream = listener.accept()?;
    /// let mut request = [0; 4];
    /// (&stream).read_exact(&mut request)?;
    /// // Opened if the client may open it, whatever this server may.
    /// let file = stream.impersonate_client(|| File::open(r"C:\reports\today.txt"))??;
    /// # std::io::Result::Ok(())
    /// ```
    #[cfg(any(windows, all(doc, not(doctest))))]
    #[cfg_attr(docsrs, doc(cfg(windows)))]
    pub fn impersonate_client<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        as_client(self.io(), self.state(), work)
    }

    /// What the system knows of this pipe. Windows: `NtQueryInformationFile`, `FilePipeLocalInformation`; Unix: the
    /// send buffer of this end.
    ///
    /// # Errors
    ///
    /// The system's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// println!("{:?}", stream.info()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn info(&self) -> io::Result<PipeInfo> {
        self.io()
            .info()
            .map_err(|e| error::named("look at", self.peer_addr(), e))
    }

    /// The security of the pipe as the system has it, in the form of
    /// [`PipeListener::security_descriptor`](crate::PipeListener::security_descriptor). (Its SDDL has an owner that
    /// a client may want to know; [`ConnectOptions::expect_server`](crate::ConnectOptions::expect_server) checks it.)
    ///
    /// # Errors
    ///
    /// The system's error; `NotFound` on Unix once the socket file is gone.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let stream = npipe::PipeStream::connect("mypipe")?;
    /// use std::io::ErrorKind;
    ///
    /// match stream.security_descriptor() {
    ///     Ok(descriptor) => println!("{descriptor}"),
    ///     Err(e) if e.kind() == ErrorKind::NotFound => println!("its socket file is gone"),
    ///     Err(e) => return Err(e),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn security_descriptor(&self) -> io::Result<String> {
        self.io()
            .security(self.name())
            .map_err(|e| error::named("read the security of", self.name(), e))
    }
}

impl PeerIdentity {
    /// Windows: the account's name, as `DOMAIN\user`; None where the system has none for the SID. Unix: None.
    ///
    /// It is looked up at each call (`LookupAccountSid`): for an account of a domain the system asks a domain controller,
    /// which can take seconds where none answers.
    pub fn account(&self) -> Option<String> {
        #[cfg(windows)]
        return self.sid().and_then(crate::sys::account);
        #[cfg(not(windows))]
        None
    }
}
