//! Two connected ends that no name leads to.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::thread;

use common::{pattern, read_all, watchdog};
use npipe::{Direction, ListenOptions, PipeMode, PipeStream, Role};

#[test]
fn both_ends_talk_and_know_what_they_are() {
    let _watchdog = watchdog(60);
    let (mut server, mut client) = PipeStream::pair().unwrap();
    assert_eq!((server.role(), client.role()), (Role::Server, Role::Client));
    assert_eq!(server.mode(), PipeMode::Byte);
    assert!(server.is_connected().unwrap() && client.is_connected().unwrap());
    assert_eq!(server.peer_pid().unwrap(), std::process::id());
    thread::scope(|scope| {
        scope.spawn(move || {
            client.write_all(&pattern(1, 1 << 20)).unwrap();
            let mut word = [0; 2];
            client.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"ok");
        });
        let mut got = vec![0; 1 << 20];
        server.read_exact(&mut got).unwrap();
        assert!(got == pattern(1, 1 << 20));
        server.write_all(b"ok").unwrap();
        assert_eq!(read_all(&server).unwrap(), b"");
    });
}

#[cfg(any(windows, target_os = "linux"))]
#[test]
fn a_pair_keeps_messages() {
    let _watchdog = watchdog(60);
    let (server, client) = ListenOptions::new().message_mode(true).pair().unwrap();
    for message in [&b"one"[..], b"", b"three"] {
        server.send(message).unwrap();
        let mut got = Vec::new();
        assert_eq!(client.recv(&mut got).unwrap(), Some(message.len()));
        assert_eq!(got, message);
    }
    drop(server);
    assert_eq!(client.recv(&mut Vec::new()).unwrap(), None);
}

#[test]
fn a_pair_goes_one_way_where_it_is_asked_to() {
    let _watchdog = watchdog(60);
    let inbound = ListenOptions::new().direction(Direction::Inbound);
    let (mut server, mut client) = inbound.pair().unwrap();
    client.write_all(b"in").unwrap();
    let mut word = [0; 2];
    server.read_exact(&mut word).unwrap();
    let error = server.write(b"out").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    let error = client.read(&mut word).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[test]
fn an_option_that_cannot_be_meant_is_refused() {
    let error = ListenOptions::new().backlog(0).pair().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}
