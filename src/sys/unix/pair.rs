//! Two connected sockets without a name.

use std::io;

use super::os;
use super::stream::{Stream, kind};
use crate::kinds::Role;
use crate::options::ListenOptions;

/// `socketpair(2)`, the server's end first.
pub(crate) fn pair(options: &ListenOptions) -> io::Result<(Stream, Stream)> {
    let mode = options.mode();
    let (server, client) = os::socket_pair(kind(mode)?)?;
    if let Some(bytes) = options.output_buffer_size.filter(|&bytes| bytes > 0) {
        os::set_send_buffer_size(&server, bytes);
    }
    let server = Stream::new(server, mode, Role::Server);
    server.narrow(options.direction.of_server())?;
    Ok((server, Stream::new(client, mode, Role::Client)))
}
