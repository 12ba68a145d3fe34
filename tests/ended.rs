//! What is known of a pipe whose other end has gone: the same on every system.

mod common;

use std::io::{ErrorKind, Read, Write};

use common::{pair, watchdog};
use npipe::{PipeMode, PipeStream};

/// All that was sent has been read, and the peer has gone.
fn is_over(stream: &PipeStream) {
    let peek = stream.peek().unwrap();
    assert_eq!((peek.available, peek.message), (0, 0));
    assert!(peek.ended);
    assert!(!stream.is_connected().unwrap());
    assert_eq!(stream.info().unwrap().mode(), PipeMode::Byte);
    assert_eq!({ stream }.read(&mut [0; 8]).unwrap(), 0);
    let error = { stream }.write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
}

#[test]
fn after_the_peers_close() {
    let _watchdog = watchdog(60);
    for server_goes in [true, false] {
        let (_listener, server, client) = pair("close");
        let (mut goes, stays) = match server_goes {
            true => (server, client),
            false => (client, server),
        };
        assert!(!stays.peek().unwrap().ended);
        goes.write_all(b"last").unwrap();
        drop(goes);
        // What it had sent is still there.
        let peek = stays.peek().unwrap();
        assert_eq!((peek.available, peek.ended), (4, false));
        (&stays).read_exact(&mut [0; 4]).unwrap();
        is_over(&stays);
    }
}

#[test]
fn after_a_disconnect() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("cut");
    server.disconnect().unwrap();
    is_over(&server);
    is_over(&client);
    // Nobody is left to be cut off.
    server.disconnect().unwrap();
}
