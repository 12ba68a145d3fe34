//! Who the other end is, and what each side lets the other do.

use std::fmt;

/// How far a server may act as its client. Unix: of no effect, since a server there only ever learns who its client is.
///
/// <https://learn.microsoft.com/windows/win32/secauthz/impersonation-levels>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum ImpersonationLevel {
    /// The server cannot learn who the client is. Some servers refuse such clients.
    Anonymous,
    /// The server can learn who the client is, and cannot act as it.
    #[default]
    Identification,
    /// The server can act as the client on its own machine.
    Impersonation,
    /// The server can act as the client on other machines too, where the client's logon is one that can be delegated.
    Delegation,
}

impl fmt::Display for ImpersonationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ImpersonationLevel::Anonymous => "anonymous",
            ImpersonationLevel::Identification => "identification",
            ImpersonationLevel::Impersonation => "impersonation",
            ImpersonationLevel::Delegation => "delegation",
        })
    }
}

/// Which server a client accepts. It is checked before a byte is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum ExpectServer {
    /// A server of this process's own user.
    ///
    /// Windows: the pipe's owner is this user, or whom this process makes the owner of what it creates (for an elevated
    /// one, the Administrators); this is what .NET's `PipeOptions.CurrentUserOnly` compares. Unix: the effective user
    /// that the server had when it began to listen.
    CurrentUser,
    /// Unix: a server that runs as this user. Windows: `Unsupported`.
    Uid(u32),
    /// Windows: the pipe's owner, as `S-1-5-18` or by SDDL's two letters, `SY`; or the user whose server owns its pipe as
    /// another, as an elevated one does (the Administrators). What is neither is taken for an account, `DOMAIN\user` or
    /// `user`, and looked up by `connect`, which may ask a domain controller. Unix: `Unsupported`.
    Sid(String),
}

/// Who is at the other end of a pipe, as far as the system tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) sid: Option<String>,
    pub(crate) session: Option<u32>,
}

impl PeerIdentity {
    /// Unix: the effective user that the peer had when it connected, or began to listen.
    pub fn uid(&self) -> Option<u32> {
        self.uid
    }

    /// Unix: its effective group.
    pub fn gid(&self) -> Option<u32> {
        self.gid
    }

    /// Windows: the SID of the peer's user, as `S-1-5-21-…`.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Windows: the session of the peer's process.
    pub fn session(&self) -> Option<u32> {
        self.session
    }
}

/// The SID or uid. (The account's name may need a look-up on the network: [`account`](PeerIdentity::account).)
impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.sid, self.uid) {
            (Some(sid), _) => f.pad(sid),
            (None, Some(uid)) => write!(f, "uid {uid}"),
            (None, None) => f.write_str("unknown"),
        }
    }
}
