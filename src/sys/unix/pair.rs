//! Two connected sockets without a name.

use std::io;

use rustix::net::{SocketType, sockopt};

use super::os;
use super::stream::Stream;
use crate::error::{Fault, Reason};
use crate::kinds::PipeMode;
use crate::options::ListenOptions;

/// `socketpair(2)`, the server's end first.
pub(crate) fn pair(options: &ListenOptions) -> io::Result<(Stream, Stream)> {
    let kind = match options.mode() {
        PipeMode::Byte => SocketType::STREAM,
        PipeMode::Message if cfg!(target_os = "linux") => SocketType::SEQPACKET,
        PipeMode::Message => {
            let why =
                "the local sockets of this system keep no message boundaries: use a byte pipe";
            return Err(Fault::new(Reason::NotHere, why).into());
        }
    };
    let (server, client) = os::socket_pair(kind)?;
    if let Some(bytes) = options.output_buffer_size.filter(|&bytes| bytes > 0) {
        // A wish, as it is on every system: the kernel has limits of its own.
        let _ = sockopt::set_socket_send_buffer_size(&server, bytes as usize);
    }
    let server = Stream::new(server, options.mode());
    server.narrow(options.direction.of_server())?;
    Ok((server, Stream::new(client, options.mode())))
}
