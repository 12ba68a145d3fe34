//! Streams: both ways at once, the ends of a stream, nothing lost.

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use npipe::{ListenOptions, PipeMode, Role};

use crate::common::{name, pattern, read_all, watchdog};
use crate::half::Half;

both! {
    a_stream_says_what_it_is
    one_thread_blocks_in_a_read_while_another_writes
    eight_megabytes_each_way_at_once
    many_threads_write_whole_lines_and_read_apart
    the_peers_close_is_end_of_file_and_broken_pipe
    a_peer_that_closes_with_our_bytes_unread_is_end_of_file
    a_pending_read_ends_when_the_peer_closes
    a_pending_write_ends_when_the_peer_closes
    written_and_dropped_at_once_a_thousand_times
    dropped_with_its_listener_and_still_read
    empty_reads_and_writes_do_nothing
    disconnect_cuts_the_client_off_and_the_listener_goes_on
    wait_drained_returns_once_the_peer_has_read_everything
    wait_drained_says_when_the_peer_left_without_reading
    a_half_close_is_end_of_file_and_the_answer_still_arrives
    a_stream_knows_whether_its_peer_is_there
    both_sides_may_write_first_where_there_are_no_buffers
    a_read_gets_what_comes_while_a_write_waits_where_there_are_no_buffers
}

fn a_stream_says_what_it_is(half: &dyn Half) {
    let (listener, server, client) = half.pair("says");
    assert_eq!(server.role(), Role::Server);
    assert_eq!(client.role(), Role::Client);
    for end in [&server, &client] {
        assert_eq!(end.mode(), PipeMode::Byte);
        assert_eq!(end.local_addr(), listener.local_addr());
        assert_eq!(end.peer_addr(), listener.local_addr());
    }
    assert!(format!("{client:?}").contains("Client"), "{client:?}");
}

fn one_thread_blocks_in_a_read_while_another_writes(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.pair("duplex");
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

fn eight_megabytes_each_way_at_once(half: &dyn Half) {
    const LENGTH: usize = 8 << 20;
    let _watchdog = watchdog(120);
    let (_listener, server, client) = half.pair("8mib");
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

fn many_threads_write_whole_lines_and_read_apart(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.pair("lines");
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

fn the_peers_close_is_end_of_file_and_broken_pipe(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for server_closes in [true, false] {
        let (_listener, server, client) = half.pair("end");
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

fn a_peer_that_closes_with_our_bytes_unread_is_end_of_file(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for _ in 0..100 {
        let (_listener, server, mut client) = half.pair("unread");
        client.write_all(b"never read").unwrap();
        (&server).write_all(b"bye").unwrap();
        drop(server);
        assert_eq!(read_all(&client).unwrap(), b"bye");
    }
}

fn a_pending_read_ends_when_the_peer_closes(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.pair("pending");
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

fn a_pending_write_ends_when_the_peer_closes(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.pair("pending");
    thread::scope(|scope| {
        let writing = scope.spawn(move || (&client).write_all(&pattern(1, 8 << 20)));
        // Some of it was read, and the rest cannot have been.
        (&server).read_exact(&mut [0; 1000]).unwrap();
        drop(server);
        let error = writing.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    });
}

fn written_and_dropped_at_once_a_thousand_times(half: &dyn Half) {
    let _watchdog = watchdog(120);
    let listener = half.bind(name("dropped")).unwrap();
    for i in 0..1000 {
        let (mut server, mut client) = half.pair_on(&listener);
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

fn dropped_with_its_listener_and_still_read(half: &dyn Half) {
    let (listener, server, client) = half.pair("all-gone");
    (&server).write_all(b"all gone").unwrap();
    drop((listener, server));
    assert_eq!(read_all(&client).unwrap(), b"all gone");
}

fn empty_reads_and_writes_do_nothing(half: &dyn Half) {
    let (_listener, mut server, mut client) = half.pair("empty");
    assert_eq!(client.write(&[]).unwrap(), 0);
    assert_eq!(server.read(&mut []).unwrap(), 0);
    client.write_all(b"x").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"x");
}

fn disconnect_cuts_the_client_off_and_the_listener_goes_on(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (listener, server, mut client) = half.pair("disconnect");
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
    let (mut server, mut client) = half.pair_on(&listener);
    client.write_all(b"again").unwrap();
    drop(client);
    let mut again = String::new();
    server.read_to_string(&mut again).unwrap();
    assert_eq!(again, "again");
}

fn wait_drained_returns_once_the_peer_has_read_everything(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.pair("drained");
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

fn wait_drained_says_when_the_peer_left_without_reading(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.pair("left");
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

fn a_half_close_is_end_of_file_and_the_answer_still_arrives(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = half.pair("half");
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

fn a_stream_knows_whether_its_peer_is_there(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for mode in [PipeMode::Byte, PipeMode::Message] {
        if mode == PipeMode::Message && cfg!(not(any(windows, target_os = "linux"))) {
            continue;
        }
        let listener = half
            .listen(
                ListenOptions::new().message_mode(mode == PipeMode::Message),
                name("there"),
            )
            .unwrap();
        let (server, client) = half.pair_on(&listener);
        assert!(server.is_connected().unwrap() && client.is_connected().unwrap());
        (&client).write_all(b"last").unwrap();
        // A half close is no end of the connection; Windows has none for bytes.
        if client.close_write().is_ok() {
            assert!(server.is_connected().unwrap() && client.is_connected().unwrap());
        }
        drop(client);
        // Windows: a half close that has not got through is given up first, and nobody waits for that.
        while server.is_connected().unwrap() {
            thread::yield_now();
        }
        // What had been sent is still there.
        assert_eq!(read_all(&server).unwrap(), b"last");
        assert!(!server.is_connected().unwrap());

        let (server, client) = half.pair_on(&listener);
        server.disconnect().unwrap();
        assert!(!client.is_connected().unwrap());
        assert!(!server.is_connected().unwrap());
    }
}

fn both_sides_may_write_first_where_there_are_no_buffers(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for round in 0..50u8 {
        let listener = half
            .listen(
                ListenOptions::new()
                    .input_buffer_size(0)
                    .output_buffer_size(0),
                name("write-first"),
            )
            .unwrap();
        let (mut server, mut client) = half.pair_on(&listener);
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

fn a_read_gets_what_comes_while_a_write_waits_where_there_are_no_buffers(half: &dyn Half) {
    const LENGTH: usize = 300_000;
    let _watchdog = watchdog(60);
    let listener = half
        .listen(
            ListenOptions::new()
                .input_buffer_size(0)
                .output_buffer_size(0),
            name("no-buffers"),
        )
        .unwrap();
    let (server, client) = half.pair_on(&listener);
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
