//! Who may talk to a pipe.

/// Who may connect to a listener's pipe.
///
/// Whatever is chosen, nobody but the server's own account, `SYSTEM` and the administrators (root) may add an instance
/// to the pipe or replace its socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Security {
    /// The user that runs the server, and the system itself.
    ///
    /// Windows: a protected DACL with full access for that user's SID, `SYSTEM` and `Administrators`. Unix: mode 0600.
    #[default]
    OwnerOnly,
    /// Any local user may read and write.
    ///
    /// Windows: the above, and read and write without `FILE_CREATE_PIPE_INSTANCE` for `Everyone`. Unix: mode 0666.
    Everyone,
    /// What the system does when nothing is said.
    ///
    /// Windows: full access for `SYSTEM`, `Administrators` and the owner, read for everyone. Unix: the process's umask.
    OsDefault,
    /// Windows: a security descriptor in SDDL, such as `D:P(A;;GA;;;SY)(A;;GA;;;OW)`. Unix: `Unsupported`.
    ///
    /// <https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format>
    Sddl(String),
    /// Unix: the permission bits of the socket file, 0 to 0o777. Windows: `Unsupported`.
    Mode(u32),
}
