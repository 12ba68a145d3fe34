//! Who is at the other end, as the frameworks hand it to a handler.

use crate::identity::PeerIdentity;
use crate::tokio::PipeStream;

/// Who is at the other end of a connection: axum's `ConnectInfo<Peer>`, tonic's connection info.
///
/// Both were looked up when the connection was accepted. Windows: at that moment nothing has been read from the client, so
/// its identity is the user of its process, which is only a hint; let the pipe's [`Security`](crate::Security) decide who
/// gets in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Peer {
    /// Its process; None where the system does not tell.
    pub pid: Option<u32>,
    /// Its user; None where the system does not tell.
    pub identity: Option<PeerIdentity>,
}

impl Peer {
    pub(crate) fn of(stream: &PipeStream) -> Peer {
        Peer {
            pid: stream.peer_pid().ok(),
            identity: stream.peer_identity().ok(),
        }
    }
}
