//! What go-winio's own pipe tests ask, where no other test here asks the same: `docs/from-go-winio.md` has the table.

mod common;

use std::io::ErrorKind;
use std::thread;

use common::{name, read_all, watchdog};
use npipe::{PipeListener, PipeStream};

/// `TestConnectRace`.
#[test]
fn a_thousand_clients_that_leave_at_once_fail_no_accept() {
    const CLIENTS: usize = 1000;
    let _watchdog = watchdog(120);
    let listener = PipeListener::bind(name("race")).unwrap();
    thread::scope(|scope| {
        let accepting = scope.spawn(|| (0..CLIENTS).for_each(|_| drop(listener.accept().unwrap())));
        for _ in 0..CLIENTS {
            drop(PipeStream::connect(listener.local_addr().os_path()).unwrap());
        }
        accepting.join().unwrap();
    });
}

/// `TestListenConnectRace`.
#[test]
fn a_connect_while_a_listener_comes_and_goes_ends_and_leaves_the_name_free() {
    let _watchdog = watchdog(120);
    let name = name("race");
    for _ in 0..50 {
        thread::scope(|scope| {
            let connecting = scope.spawn(|| PipeStream::connect(&name));
            drop(PipeListener::bind(&name).unwrap());
            match connecting.join().unwrap() {
                Ok(stream) => assert_eq!(read_all(&stream).unwrap(), b""),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
            }
        });
    }
}

/// Elsewhere the system does not tell what has been read, and keeps no message boundaries.
#[cfg(any(windows, target_os = "linux"))]
mod where_the_system_tells {
    use super::*;
    use common::pair;
    use npipe::ListenOptions;
    use std::io::{Read, Write};

    /// `TestDisconnectPipe`.
    #[test]
    fn what_was_drained_before_a_disconnect_is_read() {
        let _watchdog = watchdog(60);
        let (_listener, mut server, mut client) = pair("drained");
        thread::scope(|scope| {
            scope.spawn(move || {
                server.write_all(b"foo").unwrap();
                server.wait_drained().unwrap();
                server.disconnect().unwrap();
            });
            let mut got = [0; 3];
            client.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"foo");
            // To go-winio an error; here an end as any other.
            assert_eq!(client.read(&mut got).unwrap(), 0);
        });
    }

    /// `TestMessageReadMode`.
    #[test]
    fn a_message_read_byte_by_byte_is_whole_and_then_the_end() {
        let _watchdog = watchdog(60);
        let listener = ListenOptions::new()
            .message_mode(true)
            .bind(name("bytes"))
            .unwrap();
        let (mut server, mut client) = common::pair_on(&listener);
        server.write_all(b"hello world").unwrap();
        drop(server);
        let mut message = Vec::new();
        let mut byte = [0; 1];
        while client.read(&mut byte).unwrap() == 1 {
            message.extend(byte);
        }
        assert_eq!(message, b"hello world");
    }
}

#[cfg(windows)]
mod windows {
    use super::*;
    use npipe::ListenOptions;

    /// `TestDialAccessDeniedWithRestrictedSD`.
    #[test]
    #[ignore = "real Windows only: Wine checks no access"]
    fn real_windows_a_security_that_lacks_a_right_denies_its_owner_too() {
        // Everything but FILE_WRITE_ATTRIBUTES, which is a part of writing.
        let listener = ListenOptions::new()
            .backlog(1) // the server's own further instances would need it too
            .security(npipe::Security::Sddl("D:P(A;;0x1200FF;;;WD)".into()))
            .bind(name("denied"))
            .unwrap();
        let error = PipeStream::connect(listener.local_addr().os_path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
}
