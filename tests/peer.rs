//! Who is at the other end, whom one expects there, and which way the data goes.

mod common;

use std::io::{ErrorKind, Read, Write};

use common::{name, pair, pair_on, read_all, watchdog};
use npipe::{
    Access, ConnectOptions, Direction, ExpectServer, ImpersonationLevel, ListenOptions,
    PipeListener,
};

#[test]
fn the_peer_is_a_process_of_a_user() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("peer");
    (&client).write_all(b"x").unwrap();
    for look in ["before", "after"] {
        for stream in [&server, &client] {
            if !cfg!(any(
                target_os = "freebsd",
                target_os = "netbsd",
                target_os = "openbsd"
            )) {
                assert_eq!(stream.peer_pid().unwrap(), std::process::id());
            }
            let peer = stream.peer_identity().unwrap();
            assert_ne!(peer.to_string(), "unknown");
            if cfg!(unix) {
                assert!(peer.uid().is_some() && peer.gid().is_some());
                assert_eq!(peer.sid(), None);
            } else {
                assert!(peer.sid().unwrap().starts_with("S-1-"), "{peer:?} {look}");
                assert!(peer.session().is_some(), "{peer:?}");
                assert_eq!(peer.uid(), None);
            }
        }
        // On Windows a server may only act as whom it has read from.
        if look == "before" {
            (&server).read_exact(&mut [0]).unwrap();
        }
    }
}

#[test]
fn every_impersonation_level_connects() {
    let listener = PipeListener::bind(name("levels")).unwrap();
    for level in [
        ImpersonationLevel::Anonymous,
        ImpersonationLevel::Identification,
        ImpersonationLevel::Impersonation,
        ImpersonationLevel::Delegation,
    ] {
        let mut client = ConnectOptions::new()
            .impersonation(level)
            .connect(listener.local_addr().os_path())
            .unwrap();
        client.write_all(b"x").unwrap();
        listener.accept().unwrap().read_exact(&mut [0]).unwrap();
    }
    assert!(ImpersonationLevel::default() == ImpersonationLevel::Identification);
}

#[test]
fn the_expected_server_is_connected_to() {
    let listener = PipeListener::bind(name("expected")).unwrap();
    let mut expected = vec![ExpectServer::CurrentUser];
    let (_server, client) = pair_on(&listener);
    let server = client.peer_identity().unwrap();
    if cfg!(unix) {
        expected.push(ExpectServer::Uid(server.uid().unwrap()));
    } else {
        expected.push(ExpectServer::Sid(server.sid().unwrap().to_owned()));
        let owner = listener.security_descriptor().unwrap();
        let owner = owner
            .strip_prefix("O:")
            .unwrap()
            .split("G:")
            .next()
            .unwrap();
        expected.push(ExpectServer::Sid(owner.to_owned()));
        expected.push(ExpectServer::Sid(server.account().unwrap()));
    }
    for expected in expected {
        let mut client = ConnectOptions::new()
            .expect_server(expected)
            .connect(listener.local_addr().os_path())
            .unwrap();
        client.write_all(b"trusted").unwrap();
        drop(client);
        assert_eq!(read_all(&listener.accept().unwrap()).unwrap(), b"trusted");
    }
}

#[test]
fn another_server_is_refused_before_a_byte_is_sent() {
    let listener = PipeListener::bind(name("impostor")).unwrap();
    let expected = if cfg!(windows) {
        ExpectServer::Sid("S-1-5-7".into()) // anonymous, who owns no pipe
    } else {
        ExpectServer::Uid(54321)
    };
    let error = ConnectOptions::new()
        .expect_server(expected)
        .connect(listener.local_addr().os_path())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("was expected"), "{error}");
    assert_eq!(read_all(&listener.accept().unwrap()).unwrap(), b"");
    // The other system's way of saying it.
    let other = if cfg!(windows) {
        ExpectServer::Uid(0)
    } else {
        ExpectServer::Sid("SY".into())
    };
    let error = ConnectOptions::new()
        .expect_server(other)
        .connect(listener.local_addr().os_path())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[cfg(windows)]
#[test]
fn an_account_that_there_is_not_is_wrong_usage() {
    let listener = PipeListener::bind(name("account")).unwrap();
    let error = ConnectOptions::new()
        .expect_server(ExpectServer::Sid(r"NOWHERE\nobody-at-all".into()))
        .connect(listener.local_addr().os_path())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("nobody-at-all"), "{error}");
    assert!(error.get_ref().unwrap().source().is_some(), "{error}");
}

#[test]
fn current_user_clients_only_admits_the_current_user() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .current_user_clients_only(true)
        .bind(name("own"))
        .unwrap();
    for _ in 0..3 {
        let (server, client) = pair_on(&listener);
        (&client).write_all(b"x").unwrap();
        drop(client);
        assert_eq!(read_all(&server).unwrap(), b"x");
    }
}

#[test]
fn a_listener_reads_its_security_back() {
    let listener = PipeListener::bind(name("security")).unwrap();
    let security = listener.security_descriptor().unwrap();
    if cfg!(unix) {
        assert_eq!(security, "0600");
    } else {
        // The user by their own SID, the system and the administrators, and nobody else.
        assert!(security.contains("D:P(A;;"), "{security}");
        assert!(
            security.contains(";;;SY)") && security.contains(";;;BA)"),
            "{security}"
        );
        assert!(!security.contains(";;;WD)"), "{security}");
    }
    // Either end of a stream sees the same.
    let (server, client) = pair_on(&listener);
    assert_eq!(server.security_descriptor().unwrap(), security);
    assert_eq!(client.security_descriptor().unwrap(), security);
    listener.close();
    let error = listener.security_descriptor().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
}

fn denied(result: std::io::Result<usize>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("alone, and cannot"), "{error}");
}

#[test]
fn one_way_pipes_go_one_way() {
    let _watchdog = watchdog(60);
    for direction in [Direction::Inbound, Direction::Outbound] {
        for access in [
            Access::ReadWrite,
            if direction == Direction::Inbound {
                Access::Write
            } else {
                Access::Read
            },
        ] {
            let listener = ListenOptions::new()
                .direction(direction)
                .bind(name("one-way"))
                .unwrap();
            let client = ConnectOptions::new()
                .access(access)
                .connect(listener.local_addr().os_path())
                .unwrap();
            let server = listener.accept().unwrap();
            let (writes, reads) = match direction {
                Direction::Inbound => (client, server),
                _ => (server, client),
            };
            (&writes).write_all(b"this way").unwrap();
            // The server knows its own pipe, a client what it asked for and, on Windows, what it got.
            let server_reads = direction == Direction::Inbound;
            if server_reads || access != Access::ReadWrite || cfg!(windows) {
                denied((&reads).write(b"that way"));
            }
            if !server_reads || access != Access::ReadWrite || cfg!(windows) {
                denied((&writes).read(&mut [0; 8]));
            }
            drop(writes);
            assert_eq!(read_all(&reads).unwrap(), b"this way");
        }
    }
}

#[test]
fn a_client_that_goes_one_way_talks_to_a_duplex_server() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("client-way")).unwrap();
    let connect = |access| {
        let options = ConnectOptions::new().access(access);
        let client = options.connect(listener.local_addr().os_path()).unwrap();
        (client, listener.accept().unwrap())
    };
    let (client, server) = connect(Access::Write);
    denied((&client).read(&mut [0]));
    (&client).write_all(b"up").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"up");
    let (client, server) = connect(Access::Read);
    denied((&client).write(b"x"));
    (&server).write_all(b"down").unwrap();
    drop(server);
    assert_eq!(read_all(&client).unwrap(), b"down");
    let mask = ConnectOptions::new()
        .access(Access::Mask(0xC000_0000))
        .connect(listener.local_addr().os_path());
    if cfg!(windows) {
        let (client, server) = (mask.unwrap(), listener.accept().unwrap());
        (&client).write_all(b"masked").unwrap();
        drop(client);
        assert_eq!(read_all(&server).unwrap(), b"masked");
    } else {
        let error = mask.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[test]
fn a_pipe_says_what_it_is_like() {
    let listener = ListenOptions::new()
        .max_instances(7)
        .input_buffer_size(8192)
        .output_buffer_size(16384)
        .bind(name("info"))
        .unwrap();
    let (server, client) = pair_on(&listener);
    for info in [
        listener.info().unwrap(),
        server.info().unwrap(),
        client.info().unwrap(),
    ] {
        assert_eq!(info.mode(), npipe::PipeMode::Byte);
        if cfg!(windows) {
            assert!(
                info.instances().is_some_and(|instances| instances >= 2),
                "{info:?}"
            );
            assert_eq!(info.input_buffer_size(), Some(8192));
            assert_eq!(info.output_buffer_size(), Some(16384));
        }
    }
    // The limit is the listener's, of which the system knows nothing.
    assert_eq!(listener.info().unwrap().max_instances(), Some(7));
    assert_eq!(client.info().unwrap().max_instances(), None);
    if cfg!(unix) {
        assert_eq!(listener.info().unwrap().output_buffer_size(), Some(16384));
    }
}

#[test]
fn the_state_of_a_pipe_is_told_without_opening_it() {
    use npipe::{PipeState, PipeStream};
    let _watchdog = watchdog(60);
    let name = name("state");
    let absent = || {
        let error = npipe::state(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(
            error.to_string().contains(&name) && error.to_string().contains("no such pipe"),
            "{error}"
        );
    };
    absent();
    let listener = ListenOptions::new().max_instances(1).bind(&name).unwrap();
    assert_eq!(npipe::state(&name).unwrap(), PipeState::Live);
    // The server has noticed nothing: who is accepted is who connects now.
    let mut client = PipeStream::connect(&name).unwrap();
    client.write_all(b"first").unwrap();
    let server = listener.accept().unwrap();
    assert_eq!(
        npipe::state(&name).unwrap(),
        PipeState::Live,
        "whose instances are all taken"
    );
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"first");
    drop((server, listener));
    absent();
    let error = npipe::state("").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[cfg(unix)]
#[test]
fn pipes_are_listed_without_opening_any() {
    use npipe::{PipeState, PipeStream};
    use std::os::unix::net::UnixListener;
    let _watchdog = watchdog(60);
    let (live, stale) = (name("listed"), name("listed"));
    let listener = PipeListener::bind(&live).unwrap();
    drop(UnixListener::bind(npipe::PipeName::new(&stale).unwrap().os_path()).unwrap());
    let all = npipe::list().unwrap();
    let found = |name: &str| all.iter().find(|entry| entry.name() == name).unwrap();
    assert_eq!(found(&live).state(), PipeState::Live);
    assert_eq!(found(&live).address(), listener.local_addr());
    assert_eq!(found(&stale).state(), PipeState::Stale);
    assert_eq!(npipe::state(&stale).unwrap(), PipeState::Stale);
    std::fs::remove_file(found(&stale).path()).unwrap();
    // The server has noticed nothing: who is accepted is who connects now.
    let mut client = PipeStream::connect(&live).unwrap();
    client.write_all(b"first").unwrap();
    drop(client);
    assert_eq!(read_all(&listener.accept().unwrap()).unwrap(), b"first");
}

/// On Linux, where a file's name may be any bytes.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_are_listed_by_their_exact_path() {
    use npipe::{PipeName, PipeStream};
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let plain = PipeName::new(name("bytes")).unwrap();
    let mut path = plain.os_path().as_os_str().to_owned();
    path.push(OsString::from_vec(b"\xff\xfe".to_vec()));
    let listener = PipeListener::bind(&path).unwrap();
    let all = npipe::list().unwrap();
    let found = all.iter().find(|entry| entry.path().as_os_str() == path);
    let found = found.unwrap();
    assert!(found.name().ends_with("\u{fffd}\u{fffd}"), "{found:?}");
    PipeStream::connect(found.path()).unwrap();
    drop(listener);
}

#[cfg(windows)]
#[test]
fn wine_lists_no_pipes_and_says_so() {
    match npipe::list() {
        Ok(entries) => assert!(!entries.is_empty()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("Wine"), "{error}");
        }
    }
}

#[cfg(windows)]
#[test]
fn a_server_acts_as_its_client_and_is_itself_again() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("act")).unwrap();
    let mut client = ConnectOptions::new()
        .impersonation(ImpersonationLevel::Impersonation)
        .connect(listener.local_addr().os_path())
        .unwrap();
    let mut server = listener.accept().unwrap();
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
    assert_eq!(server.impersonate_client(|| 42).unwrap(), 42);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = server.impersonate_client(|| panic!("as the client"));
    }));
    assert!(panicked.is_err());
    server.peer_identity().unwrap();
    let error = client.impersonate_client(|| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}
