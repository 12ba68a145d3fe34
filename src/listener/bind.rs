//! How a listener comes to its name.

use std::ffi::OsStr;
use std::io;

use super::PipeListener;
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::sys;

impl ListenOptions {
    /// Listens at `name`. The name is this listener's until it is closed or dropped.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: a wrong name (see [`PipeName::new`]) or option; the sentence says which and what is allowed.
    /// * `AddrInUse`: somebody serves that name. Unix: also if something that is not a socket is at its path, or a socket
    ///   that this user may not look at.
    /// * `NotFound`: Unix, the directory of the path does not exist.
    /// * `PermissionDenied`: this user may not make a pipe there. Unix: also if a dead socket at the path is another
    ///   user's, or if others could replace the socket ([`allow_shared_directory`](ListenOptions::allow_shared_directory)).
    /// * `Unsupported`: what this system does not have: [`Security::Sddl`](crate::Security::Sddl) on Unix,
    ///   [`Security::Mode`](crate::Security::Mode) on Windows, message mode on Unix systems other than Linux. Unix: a
    ///   directory that cannot hold sockets.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use npipe::{ListenOptions, PipeError, Reason, Security};
    ///
    /// let bound = ListenOptions::new().security(Security::Everyone).bind("mypipe");
    /// let listener = match bound {
    ///     Ok(listener) => listener,
    ///     Err(error) => match PipeError::of(&error).map(PipeError::reason) {
    ///         Some(Reason::NameTaken) => panic!("it runs already: {error}"),
    ///         Some(Reason::OpenDirectory) => panic!("choose another directory: {error}"),
    ///         _ => return Err(error),
    ///     },
    /// };
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind(&self, name: impl AsRef<OsStr>) -> io::Result<PipeListener> {
        let name = PipeName::new(name)?;
        self.check().map_err(|fault| fault.of("bind", &name))?;
        let (listener, lane) = sys::Listener::bind(&name, self)?;
        Ok(PipeListener::make(listener, name, self, lane))
    }
}
