//! Streams: both ways at once, the ends of a stream, nothing lost.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{name, pair, pair_on, pattern, read_all, timed, watchdog};
use npipe::{ListenOptions, PipeListener, PipeMode, PipeStream, Role};

#[test]
fn types_can_be_shared_between_threads_and_across_a_panic() {
    fn shared<T: Send + Sync + RefUnwindSafe + UnwindSafe + std::fmt::Debug>() {}
    shared::<PipeStream>();
    shared::<PipeListener>();
    shared::<npipe::CancelToken>();
    shared::<npipe::ListenOptions>();
    shared::<npipe::ConnectOptions>();
}

#[test]
fn a_stream_says_what_it_is() {
    let (listener, server, client) = pair("says");
    assert_eq!(server.role(), Role::Server);
    assert_eq!(client.role(), Role::Client);
    for end in [&server, &client] {
        assert_eq!(end.mode(), PipeMode::Byte);
        assert_eq!(end.local_addr(), listener.local_addr());
        assert_eq!(end.peer_addr(), listener.local_addr());
    }
    assert!(format!("{client:?}").contains("Client"), "{client:?}");
}

#[test]
fn one_thread_blocks_in_a_read_while_another_writes() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("duplex");
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut byte = [0];
            (&client).read_exact(&mut byte).unwrap();
            byte
        });
        // The read may be pending or not yet: neither holds up a write on the same end.
        for i in 0..100u8 {
            (&client).write_all(&[i]).unwrap();
            let mut byte = [0];
            (&server).read_exact(&mut byte).unwrap();
            assert_eq!(byte, [i]);
        }
        (&server).write_all(b"!").unwrap();
        assert_eq!(reading.join().unwrap(), *b"!");
    });
}

#[test]
fn eight_megabytes_each_way_at_once() {
    const LENGTH: usize = 8 << 20;
    let _watchdog = watchdog(120);
    let (_listener, server, client) = pair("8mib");
    thread::scope(|scope| {
        for (end, sends, gets) in [(&server, 1, 2), (&client, 2, 1)] {
            scope.spawn(move || {
                let mut end = end;
                end.write_all(&pattern(sends, LENGTH)).unwrap();
            });
            scope.spawn(move || {
                let mut end = end;
                let mut got = vec![0; LENGTH];
                end.read_exact(&mut got).unwrap();
                assert!(
                    got == pattern(gets, LENGTH),
                    "what arrived is not what was sent"
                );
            });
        }
    });
}

#[test]
fn clones_are_the_same_stream() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("clone");
    let mut clone = client.try_clone().unwrap();
    drop(client);
    clone.write_all(b"through a clone").unwrap();
    let other = clone.try_clone().unwrap();
    drop(clone);
    // The stream ends with its last handle.
    drop(other);
    assert_eq!(read_all(&server).unwrap(), b"through a clone");
}

#[test]
fn many_threads_write_whole_lines_and_read_apart() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("lines");
    thread::scope(|scope| {
        for i in 0..4u8 {
            let client = &client;
            scope.spawn(move || {
                for _ in 0..500 {
                    let mut client = client;
                    assert_eq!(client.write(&[i; 16]).unwrap(), 16);
                }
            });
        }
        let mut line = [0; 16];
        for _ in 0..2000 {
            (&server).read_exact(&mut line).unwrap();
            assert!(line.iter().all(|&byte| byte == line[0]), "{line:?}");
        }
    });
}

#[test]
fn the_peers_close_is_end_of_file_and_broken_pipe() {
    let _watchdog = watchdog(60);
    for server_closes in [true, false] {
        let (_listener, server, client) = pair("end");
        let (closes, mut stays) = if server_closes {
            (server, client)
        } else {
            (client, server)
        };
        (&closes).write_all(b"last words").unwrap();
        drop(closes);
        assert_eq!(read_all(&stays).unwrap(), b"last words");
        for _ in 0..3 {
            assert_eq!(stays.read(&mut [0; 8]).unwrap(), 0);
        }
        let error = stays.write_all(b"anybody?").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
        assert!(
            error.to_string().contains("other side has closed"),
            "{error}"
        );
        assert!(error.get_ref().unwrap().source().is_some());
        stays.flush().unwrap();
    }
}

#[test]
fn a_peer_that_closes_with_our_bytes_unread_is_end_of_file() {
    let _watchdog = watchdog(60);
    for _ in 0..100 {
        let (_listener, server, mut client) = pair("unread");
        client.write_all(b"never read").unwrap();
        (&server).write_all(b"bye").unwrap();
        drop(server);
        assert_eq!(read_all(&client).unwrap(), b"bye");
    }
}

#[test]
fn a_pending_read_ends_when_the_peer_closes() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("pending");
    thread::scope(|scope| {
        let (about_to, begun) = mpsc::channel();
        let reading = scope.spawn(move || {
            about_to.send(()).unwrap();
            read_all(&client).unwrap()
        });
        begun.recv().unwrap();
        drop(server);
        assert_eq!(reading.join().unwrap(), b"");
    });
}

#[test]
fn a_pending_write_ends_when_the_peer_closes() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("pending");
    thread::scope(|scope| {
        let writing = scope.spawn(move || (&client).write_all(&pattern(1, 8 << 20)));
        // Some of it was read, and the rest cannot have been.
        (&server).read_exact(&mut [0; 1000]).unwrap();
        drop(server);
        let error = writing.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    });
}

#[test]
fn written_and_dropped_at_once_a_thousand_times() {
    let _watchdog = watchdog(120);
    let listener = PipeListener::bind(name("dropped")).unwrap();
    for i in 0..1000 {
        let (mut server, mut client) = pair_on(&listener);
        let words = pattern(i as u8, 1 + (i * 37) % 20_000);
        if i % 2 == 0 {
            client.write_all(&words).unwrap();
            drop(client);
            assert!(read_all(&server).unwrap() == words);
            assert_eq!(server.read(&mut [0]).unwrap(), 0);
        } else {
            server.write_all(&words).unwrap();
            drop(server);
            assert!(read_all(&client).unwrap() == words);
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
    }
}

#[test]
fn dropped_with_its_listener_and_still_read() {
    let (listener, server, client) = pair("all-gone");
    (&server).write_all(b"all gone").unwrap();
    drop((listener, server));
    assert_eq!(read_all(&client).unwrap(), b"all gone");
}

#[test]
fn empty_reads_and_writes_do_nothing() {
    let (_listener, mut server, mut client) = pair("empty");
    assert_eq!(client.write(&[]).unwrap(), 0);
    assert_eq!(server.read(&mut []).unwrap(), 0);
    client.write_all(b"x").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"x");
}

#[test]
fn disconnect_cuts_the_client_off_and_the_listener_goes_on() {
    let _watchdog = watchdog(60);
    let (listener, server, mut client) = pair("disconnect");
    let error = client.disconnect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("drops its stream"), "{error}");
    thread::scope(|scope| {
        // A read of the server's own that is pending ends too.
        let reading = scope.spawn(|| read_all(&server));
        server.disconnect().unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), b"");
    });
    assert_eq!(read_all(&client).unwrap(), b"");
    assert_eq!(
        client.write_all(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert_eq!((&server).read(&mut [0]).unwrap(), 0);
    assert_eq!(
        (&server).write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    server.disconnect().unwrap();
    // The same client may connect again.
    let (mut server, mut client) = pair_on(&listener);
    client.write_all(b"again").unwrap();
    drop(client);
    let mut again = String::new();
    server.read_to_string(&mut again).unwrap();
    assert_eq!(again, "again");
}

#[test]
fn wait_drained_returns_once_the_peer_has_read_everything() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("drained");
    // Nothing was written: at once.
    client.wait_drained().unwrap();
    for (writes, reads) in [(&client, &server), (&server, &client)] {
        let (mut writes, mut reads) = (writes, reads);
        writes.write_all(&pattern(1, 5000)).unwrap();
        thread::scope(|scope| {
            let (drained, is_drained) = mpsc::channel();
            scope.spawn(move || {
                writes.wait_drained().unwrap();
                drained.send(()).unwrap();
            });
            reads.read_exact(&mut [0; 4999]).unwrap();
            // One byte is left, so it still waits.
            let waits = is_drained.recv_timeout(Duration::from_millis(50));
            assert_eq!(waits, Err(mpsc::RecvTimeoutError::Timeout));
            reads.read_exact(&mut [0]).unwrap();
            is_drained.recv().unwrap();
        });
        // While the peer already waits for more, too.
        thread::scope(|scope| {
            scope.spawn(move || reads.read_exact(&mut [0; 2]).unwrap());
            writes.write_all(b"x").unwrap();
            writes.wait_drained().unwrap();
            writes.write_all(b"y").unwrap();
        });
    }
}

#[test]
fn wait_drained_keeps_the_write_deadline() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("drain-late");
    (&client).write_all(b"abc").unwrap();
    let soon = || Some(Instant::now() + Duration::from_millis(50));
    client.set_write_deadline(soon()).unwrap();
    let (error, took) = timed(|| client.wait_drained().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    // One that is set while it waits.
    client.set_write_deadline(None).unwrap();
    thread::scope(|scope| {
        let draining = scope.spawn(|| client.wait_drained().unwrap_err());
        client.set_write_deadline(soon()).unwrap();
        assert_eq!(draining.join().unwrap().kind(), ErrorKind::TimedOut);
    });
    // Nothing is lost by it.
    client.set_write_deadline(None).unwrap();
    (&client).write_all(b"def").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"abcdef");
}

#[test]
fn wait_drained_says_when_the_peer_left_without_reading() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("left");
    (&client).write_all(b"unread").unwrap();
    thread::scope(|scope| {
        let draining = scope.spawn(|| client.wait_drained());
        drop(server);
        match draining.join().unwrap() {
            Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}"),
            // Of a peer that has gone Windows does not tell whether it had read everything.
            Ok(()) if cfg!(windows) => {}
            Ok(()) => panic!("what the peer had not read counted as read"),
        }
    });
}

#[test]
fn a_half_close_is_end_of_file_and_the_answer_still_arrives() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("half");
    client.write_all(b"question").unwrap();
    let closed = client.close_write();
    if cfg!(windows) {
        let error = closed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("byte pipe"), "{error}");
        return;
    }
    closed.unwrap();
    assert_eq!(read_all(&server).unwrap(), b"question");
    let error = client.write_all(b"more").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    server.write_all(b"answer").unwrap();
    drop(server);
    assert_eq!(read_all(&client).unwrap(), b"answer");
}

#[test]
fn a_stream_knows_whether_its_peer_is_there() {
    let _watchdog = watchdog(60);
    for mode in [PipeMode::Byte, PipeMode::Message] {
        if mode == PipeMode::Message && cfg!(not(any(windows, target_os = "linux"))) {
            continue;
        }
        let listener = ListenOptions::new()
            .message_mode(mode == PipeMode::Message)
            .bind(name("there"))
            .unwrap();
        let (server, client) = pair_on(&listener);
        assert!(server.is_connected().unwrap() && client.is_connected().unwrap());
        (&client).write_all(b"last").unwrap();
        // A half close is no end of the connection; Windows has none for bytes.
        if client.close_write().is_ok() {
            assert!(server.is_connected().unwrap() && client.is_connected().unwrap());
        }
        drop(client);
        assert!(!server.is_connected().unwrap());
        // What had been sent is still there.
        assert_eq!(read_all(&server).unwrap(), b"last");
        assert!(!server.is_connected().unwrap());

        let (server, client) = pair_on(&listener);
        server.disconnect().unwrap();
        assert!(!client.is_connected().unwrap());
        assert!(!server.is_connected().unwrap());
    }
}

#[test]
fn a_busy_poll_ends_at_a_deadline() {
    let _watchdog = watchdog(60);
    let (_listener, _server, client) = pair("busy-poll-deadline");
    client.set_busy_poll(Some(Duration::MAX)).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = (&client).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    client.set_read_timeout(None).unwrap();
    // One that comes while it spins.
    thread::scope(|scope| {
        let read = scope.spawn(|| (&client).read(&mut [0]).unwrap_err());
        client.set_read_deadline(Some(Instant::now())).unwrap();
        assert_eq!(read.join().unwrap().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_busy_poll_changes_nothing_but_the_time() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("spin");
    for spin in [Some(Duration::from_micros(200)), Some(Duration::MAX), None] {
        client.set_busy_poll(spin).unwrap();
        thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut word = [0; 4];
                client.read_exact(&mut word).unwrap();
                word
            });
            server.write_all(b"spin").unwrap();
            assert_eq!(reading.join().unwrap(), *b"spin");
        });
    }
    // A deadline ends a spin as it ends a wait.
    client
        .set_busy_poll(Some(Duration::from_secs(3600)))
        .unwrap();
    let client = &client;
    thread::scope(|scope| {
        let mut reads = client;
        let reading = scope.spawn(move || reads.read(&mut [0]).unwrap_err());
        client.set_read_deadline(Some(Instant::now())).unwrap();
        assert_eq!(reading.join().unwrap().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn handles_come_and_go() {
    let _watchdog = watchdog(60);
    let (listener, server, client) = pair("handles");
    #[cfg(unix)]
    let (server, client) = {
        use std::os::fd::OwnedFd;
        use std::os::unix::net::UnixStream;
        let std: UnixStream = server.into();
        (
            PipeStream::from(std),
            PipeStream::from(OwnedFd::from(client)),
        )
    };
    #[cfg(windows)]
    let (server, client) = {
        use std::os::windows::io::OwnedHandle;
        (
            PipeStream::try_from(OwnedHandle::try_from(server).unwrap()).unwrap(),
            PipeStream::try_from(OwnedHandle::try_from(client).unwrap()).unwrap(),
        )
    };
    assert_eq!(server.role(), Role::Server);
    assert_eq!(client.role(), Role::Client);
    for end in [&server, &client] {
        assert_eq!(end.mode(), PipeMode::Byte);
        assert_eq!(end.peer_addr(), listener.local_addr());
    }
    (&client).write_all(b"still a pipe").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"still a pipe");
}

#[test]
fn both_sides_may_write_first_where_there_are_no_buffers() {
    let _watchdog = watchdog(60);
    for round in 0..50u8 {
        let listener = ListenOptions::new()
            .input_buffer_size(0)
            .output_buffer_size(0)
            .bind(name("write-first"))
            .unwrap();
        let (mut server, mut client) = pair_on(&listener);
        thread::scope(|scope| {
            scope.spawn(|| {
                // As a StreamWriter's byte order mark, and then a line.
                server.write_all(b"\xef\xbb\xbf").unwrap();
                server.write_all(b"hello client").unwrap();
                let mut heard = [0; 12];
                server.read_exact(&mut heard).unwrap();
                assert_eq!(&heard, b"hello server");
                server.write_all(&[round]).unwrap();
            });
            client.write_all(b"hello server").unwrap();
            let mut heard = [0; 16];
            client.read_exact(&mut heard).unwrap();
            assert_eq!(&heard[..15], b"\xef\xbb\xbfhello client");
            assert_eq!(heard[15], round);
        });
    }
}

#[test]
fn a_read_gets_what_comes_while_a_write_waits_where_there_are_no_buffers() {
    const LENGTH: usize = 300_000;
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .input_buffer_size(0)
        .output_buffer_size(0)
        .bind(name("no-buffers"))
        .unwrap();
    let (server, client) = pair_on(&listener);
    thread::scope(|scope| {
        for (end, sends, gets) in [(&server, 1, 2), (&client, 2, 1)] {
            scope.spawn(move || {
                let mut end = end;
                for piece in pattern(sends, LENGTH).chunks(777) {
                    end.write_all(piece).unwrap();
                }
            });
            scope.spawn(move || {
                let mut end = end;
                let mut got = vec![0; LENGTH];
                for piece in got.chunks_mut(1000) {
                    end.read_exact(piece).unwrap();
                }
                assert!(
                    got == pattern(gets, LENGTH),
                    "what arrived is not what was sent"
                );
            });
        }
    });
}
