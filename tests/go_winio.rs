//! What go-winio's own pipe tests ask, where no other test here asks the same: `docs/from-go-winio.md` has the table.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

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

/// What go-winio's `InputBufferSize: 0` does, on Windows; a Unix socket always has a buffer.
#[test]
fn a_buffer_of_0_makes_a_write_wait_for_its_reader_on_windows_alone() {
    let _watchdog = watchdog(60);
    let listener = npipe::ListenOptions::new()
        .input_buffer_size(0)
        .output_buffer_size(0)
        .bind(name("no-buffer"))
        .unwrap();
    let (server, client) = common::pair_on(&listener);
    for (mut writes, mut reads) in [(&server, &client), (&client, &server)] {
        thread::scope(|scope| {
            let (wrote, written) = mpsc::channel();
            scope.spawn(move || {
                writes.write_all(b"word").unwrap();
                wrote.send(()).unwrap();
            });
            let unread = written.recv_timeout(Duration::from_millis(200));
            assert_eq!(unread.is_err(), cfg!(windows), "before it is read");
            reads.read_exact(&mut [0; 4]).unwrap();
            if cfg!(windows) {
                written.recv_timeout(Duration::from_secs(30)).unwrap();
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

    /// `DialPipeAccess` with `windows.GENERIC_READ`, `GENERIC_WRITE` and both.
    #[test]
    fn the_generic_masks_open_what_they_say() {
        let _watchdog = watchdog(60);
        let listener = PipeListener::bind(name("masks")).unwrap();
        for (mask, reads, writes) in [
            (0x8000_0000, true, false),
            (0x4000_0000, false, true),
            (0xC000_0000, true, true),
        ] {
            let mut client = npipe::ConnectOptions::new()
                .access(npipe::Access::Mask(mask))
                .connect(listener.local_addr().os_path())
                .unwrap();
            let mut server = listener.accept().unwrap();
            server.write_all(b"down").unwrap();
            assert_eq!(client.read_exact(&mut [0; 4]).is_ok(), reads, "{mask:x}");
            assert_eq!(client.write_all(b"up").is_ok(), writes, "{mask:x}");
            drop(client);
            let up: &[u8] = if writes { b"up" } else { b"" };
            assert_eq!(read_all(&server).unwrap(), up, "{mask:x}");
        }
    }

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
