//! Who may talk to a pipe.

/// Who may connect to a listener's pipe.
///
/// `OwnerOnly` and `Everyone` let nobody but the server's own account, `SYSTEM` and the administrators (root) add an
/// instance to the pipe or replace its socket. With `Sddl`, keep `FILE_CREATE_PIPE_INSTANCE` (0x4, a part of `GA`, `GW`
/// and `FA`) from others: 0x12019b is read and write without it.
///
/// Unix: `bind` refuses (`PermissionDenied`) a directory in which another user could replace the socket; see
/// [`ListenOptions::allow_shared_directory`](crate::ListenOptions::allow_shared_directory). `OsDefault` skips this check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Security {
    /// The user that runs the server, and the system itself.
    ///
    /// Windows: a protected DACL with full access for that user's SID, `SYSTEM` and `Administrators`; of a server in an
    /// AppContainer, or with a restricted token, for its package or logon session too. An elevated server's pipe
    /// belongs to the Administrators; processes of the same user that are not elevated may talk to it but not add
    /// instances. Unix: mode 0600.
    #[default]
    OwnerOnly,
    /// Any local user may read and write.
    ///
    /// Windows: the above, and read and write without `FILE_CREATE_PIPE_INSTANCE` for `Everyone`. Unix: mode 0666.
    Everyone,
    /// The system's default.
    ///
    /// Windows: `RtlDefaultNpAcl`: full access for `SYSTEM`, `Administrators` and the owner, read for everyone. Unix: the process's umask.
    OsDefault,
    /// Windows: a security descriptor in SDDL, such as `D:P(A;;GA;;;SY)(A;;GA;;;OW)`. Unix: `Unsupported`.
    ///
    /// <https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format>
    Sddl(String),
    /// Unix: the permission bits of the socket file, 0 to 0o1777. (The sticky bit keeps clean-up daemons from removing
    /// a socket in `XDG_RUNTIME_DIR`.) Windows: `Unsupported`.
    Mode(u32),
}
