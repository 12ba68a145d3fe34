//! tonic serves a pipe: `Server::builder().serve_with_incoming(listener.incoming())`.

use ::tonic::transport::server::Connected;

use super::PipeStream;
use super::peer::Peer;

/// A handler finds the [`Peer`] in its request's extensions.
///
/// Needs Rust 1.88, as tonic does.
impl Connected for PipeStream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer::of(self)
    }
}
