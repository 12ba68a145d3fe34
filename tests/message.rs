//! Messages: boundaries kept, empty ones and the end told apart, any size, nothing lost through any buffer.

#![cfg(any(windows, target_os = "linux"))] // elsewhere `bind` is Unsupported, as tests/listener.rs shows

mod common;

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{name, pair, pair_on, pattern, read_all, watchdog};
use npipe::{ListenOptions, Part, PipeError, PipeListener, PipeMode, PipeStream, Reason};

fn messages(what: &str) -> (PipeListener, PipeStream, PipeStream) {
    let listener = ListenOptions::new()
        .message_mode(true)
        .bind(name(what))
        .unwrap();
    let (server, client) = pair_on(&listener);
    (listener, server, client)
}

fn recv(stream: &PipeStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let length = stream.recv(&mut message).unwrap()?;
    assert_eq!(length, message.len());
    Some(message)
}

#[test]
fn both_ends_know_the_mode() {
    let (listener, server, client) = messages("mode");
    assert_eq!(listener.mode(), PipeMode::Message);
    assert_eq!(server.mode(), PipeMode::Message);
    assert_eq!(client.mode(), PipeMode::Message);
    let (listener, server, client) = pair("mode");
    assert_eq!(listener.mode(), PipeMode::Byte);
    assert_eq!(server.mode(), PipeMode::Byte);
    assert_eq!(client.mode(), PipeMode::Byte);
}

#[test]
fn boundaries_are_kept_both_ways() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("kept");
    for (from, to) in [(&client, &server), (&server, &client)] {
        for message in ["one", "", "three and more", "", ""] {
            from.send(message.as_bytes()).unwrap();
        }
        for message in ["one", "", "three and more", "", ""] {
            assert_eq!(recv(to).unwrap(), message.as_bytes());
        }
    }
    drop(client);
    assert_eq!(recv(&server), None);
    assert_eq!(recv(&server), None);
    assert_eq!(server.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn an_empty_message_is_not_the_end() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("empty");
    client.send(b"").unwrap();
    assert_eq!(recv(&server).unwrap(), b"");
    client.send(b"").unwrap();
    drop(client);
    assert_eq!(recv(&server).unwrap(), b"");
    assert_eq!(recv(&server), None);
}

#[test]
fn recv_appends() {
    let (_listener, server, client) = messages("append");
    client.send(b"world").unwrap();
    let mut message = b"hello ".to_vec();
    assert_eq!(server.recv(&mut message).unwrap(), Some(5));
    assert_eq!(message, b"hello world");
}

#[test]
fn a_message_comes_in_parts() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("parts");
    client.send(b"0123456789").unwrap();
    client.send(b"").unwrap();
    client.send(b"next").unwrap();
    let mut buffer = [0; 4];
    let part = |len, complete| Part { len, complete };
    assert_eq!(server.recv_part(&mut buffer).unwrap(), part(4, false));
    assert_eq!(&buffer, b"0123");
    assert_eq!(server.recv_part(&mut buffer).unwrap(), part(4, false));
    assert_eq!(server.recv_part(&mut buffer).unwrap(), part(2, true));
    assert_eq!(&buffer[..2], b"89");
    assert_eq!(server.recv_part(&mut buffer).unwrap(), part(0, true));
    assert_eq!(server.recv_part(&mut buffer).unwrap(), part(4, true));
    assert_eq!(&buffer, b"next");
    drop(client);
    let error = server.recv_part(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
}

#[test]
fn what_recv_part_began_recv_can_end() {
    let (_listener, server, client) = messages("mixed");
    client.send(b"0123456789").unwrap();
    client.send(b"next").unwrap();
    assert!(!server.recv_part(&mut [0; 3]).unwrap().complete);
    assert_eq!(recv(&server).unwrap(), b"3456789");
    assert_eq!(recv(&server).unwrap(), b"next");
}

#[test]
fn ten_megabytes_in_one_message() {
    const LENGTH: usize = 10 << 20;
    let _watchdog = watchdog(120);
    let (_listener, server, client) = messages("10mib");
    thread::scope(|scope| {
        scope.spawn(|| client.send(&pattern(1, LENGTH)).unwrap());
        scope.spawn(|| server.send(&pattern(2, LENGTH)).unwrap());
        assert!(recv(&server).unwrap() == pattern(1, LENGTH));
        assert!(recv(&client).unwrap() == pattern(2, LENGTH));
    });
}

#[test]
fn small_buffers_carry_large_messages() {
    let _watchdog = watchdog(60);
    for size in [0, 1, 512, 4096] {
        let listener = ListenOptions::new()
            .message_mode(true)
            .input_buffer_size(size)
            .output_buffer_size(size)
            .bind(name("small"))
            .unwrap();
        let (server, client) = pair_on(&listener);
        thread::scope(|scope| {
            scope.spawn(|| server.send(&pattern(1, 100_000)).unwrap());
            scope.spawn(|| client.send(&pattern(2, 100_000)).unwrap());
            assert!(recv(&client).unwrap() == pattern(1, 100_000), "{size}");
            assert!(recv(&server).unwrap() == pattern(2, 100_000), "{size}");
        });
    }
}

#[test]
fn a_message_pipe_read_as_bytes_loses_none() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, client) = messages("bytes");
    let sent = pattern(1, 5000);
    thread::scope(|scope| {
        scope.spawn(|| {
            for piece in sent.chunks(999) {
                (&client).write_all(piece).unwrap();
            }
        });
        for size in [1, 7, 100, 892, 4000] {
            let mut got = vec![0; size];
            let at: usize = [0, 1, 8, 108, 1000][[1, 7, 100, 892, 4000]
                .iter()
                .position(|&s| s == size)
                .unwrap()];
            server.read_exact(&mut got).unwrap();
            assert!(got == sent[at..at + size], "{size}");
        }
    });
    // A write of nothing is no message.
    assert_eq!((&client).write(b"").unwrap(), 0);
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"");
}

#[test]
fn close_write_is_an_empty_message_and_the_end_for_read() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, client) = messages("half");
    (&client).write_all(b"question").unwrap();
    client.close_write().unwrap();
    client.close_write().unwrap();
    let error = (&client).write(b"more").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    assert!(error.to_string().contains("close_write"), "{error}");
    assert_eq!(
        client.send(b"more").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    // With the question still ahead of it, the end is seen all the same, and it lasts.
    assert_eq!(read_all(&server).unwrap(), b"question");
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    server.write_all(b"answer").unwrap();
    server.close_write().unwrap();
    assert_eq!(read_all(&client).unwrap(), b"answer");
}

#[test]
fn close_write_is_an_empty_message_for_recv() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("half");
    client.send(b"question").unwrap();
    client.close_write().unwrap();
    assert_eq!(recv(&server).unwrap(), b"question");
    assert_eq!(recv(&server).unwrap(), b"");
    server.send(b"answer").unwrap();
    assert_eq!(recv(&client).unwrap(), b"answer");
    drop(client);
    assert_eq!(recv(&server), None);
}

#[test]
fn sent_and_dropped_at_once_is_read() {
    let _watchdog = watchdog(60);
    for i in 0..200 {
        let (_listener, server, client) = messages("dropped");
        client.send(&pattern(i, 3000)).unwrap();
        drop(client);
        assert!(recv(&server).unwrap() == pattern(i, 3000));
        assert_eq!(recv(&server), None);
    }
}

#[test]
fn transact_is_one_request_and_one_reply() {
    const THREADS: u8 = 8;
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("transact");
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(mut request) = recv(&server) {
                request.reverse();
                server.send(&request).unwrap();
            }
        });
        let clients: Vec<_> = (0..THREADS)
            .map(|i| {
                let client = client.try_clone().unwrap();
                scope.spawn(move || {
                    for round in 0..50 {
                        let mut reply = Vec::new();
                        let length = client.transact(&[i, round, 7], &mut reply).unwrap();
                        assert_eq!(length, Some(3));
                        assert_eq!(reply, [7, round, i]);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        // The last handle: now the server sees the end.
        drop(client);
    });
}

#[test]
fn a_late_reply_is_not_taken_for_the_next_one() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("late");
    let mut reply = Vec::new();
    for request in ["one", "two"] {
        client
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let error = client.transact(request.as_bytes(), &mut reply).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }
    client.set_read_timeout(None).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            // The last one's late reply is longer than any buffer in between.
            for expected in ["one", "two", "three", "four"] {
                let request = recv(&server).unwrap();
                assert_eq!(request, expected.as_bytes());
                let mut answer = b"re: ".to_vec();
                answer.extend(request);
                if expected == "two" {
                    answer.resize(10_000, b'.');
                }
                server.send(&answer).unwrap();
            }
        });
        for request in ["three", "four"] {
            let expected = format!("re: {request}");
            let length = client.transact(request.as_bytes(), &mut reply).unwrap();
            assert_eq!(length, Some(expected.len()));
            assert_eq!(reply, expected.as_bytes());
            reply.clear();
        }
    });
    // One that is received is not owed any more.
    client
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    client.transact(b"five", &mut reply).unwrap_err();
    client.set_read_timeout(None).unwrap();
    server.send(b"re: five").unwrap();
    assert_eq!(recv(&client).unwrap(), b"re: five");
    server.send(b"re: six").unwrap();
    assert_eq!(client.transact(b"six", &mut reply).unwrap(), Some(7));
}

#[test]
fn a_reply_that_never_comes_is_none() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("no-reply");
    thread::scope(|scope| {
        scope.spawn(|| {
            recv(&server).unwrap();
            drop(server);
        });
        assert_eq!(client.transact(b"?", &mut Vec::new()).unwrap(), None);
    });
}

#[test]
fn peek_takes_nothing() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("peek");
    let peek = server.peek().unwrap();
    assert_eq!((peek.available, peek.message), (0, 0));
    client.send(b"0123456789").unwrap();
    client.send(b"next").unwrap();
    for _ in 0..2 {
        let peek = server.peek().unwrap();
        assert_eq!(peek.message, 10);
        assert!(peek.available == 10 || peek.available == 14, "{peek:?}");
    }
    server.recv_part(&mut [0; 4]).unwrap();
    assert_eq!(server.peek().unwrap().message, 6);
    assert_eq!(recv(&server).unwrap(), b"456789");
    assert_eq!(server.peek().unwrap().message, 4);

    let (_listener, server, client) = pair("peek");
    (&client).write_all(b"bytes").unwrap();
    let peek = server.peek().unwrap();
    assert_eq!((peek.available, peek.message), (5, 0));
}

#[test]
fn a_deadline_in_a_recv_loses_nothing() {
    let _watchdog = watchdog(120);
    let (_listener, server, client) = messages("deadline");
    let lengths = [0, 1, 5000, 70_000, 300_000];
    thread::scope(|scope| {
        let client = &client;
        scope.spawn(move || {
            for (i, length) in lengths.into_iter().cycle().take(60).enumerate() {
                client.send(&pattern(i as u8, length)).unwrap();
            }
        });
        let mut timeouts = 0;
        for (i, length) in lengths.into_iter().cycle().take(60).enumerate() {
            let mut message = Vec::new();
            loop {
                let soon = Instant::now() + Duration::from_micros(timeouts % 300);
                server.set_read_deadline(Some(soon)).unwrap();
                match server.recv(&mut message) {
                    Ok(Some(_)) => break,
                    Ok(None) => panic!("the end, too early"),
                    Err(error) if error.kind() == ErrorKind::TimedOut => timeouts += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(
                message == pattern(i as u8, length),
                "message {i} after {timeouts} timeouts"
            );
        }
    });
}

#[test]
fn a_send_that_timed_out_half_way_is_told_and_not_papered_over() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("torn");
    let message = pattern(1, 10 << 20);
    client
        .set_write_deadline(Some(Instant::now() + Duration::from_millis(50)))
        .unwrap();
    for _ in 0..2 {
        // Past its deadline a call does nothing.
        let error = client.send(&message).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }
    client.set_write_deadline(None).unwrap();
    // The same message again is another message: nobody may take it for the rest of the first.
    for later in [&message[..], b"next"] {
        let later = client.send(later).unwrap_err();
        assert_eq!(later.kind(), ErrorKind::TimedOut, "{later}");
        let reason = PipeError::of(&later).map(PipeError::reason);
        assert_eq!(reason, Some(Reason::WriteLost), "{later}");
    }
    // The other way is not concerned.
    server.send(b"hello").unwrap();
    assert_eq!(recv(&client).unwrap(), b"hello");
}

#[test]
fn a_peer_that_dies_in_the_middle_of_a_message_is_told_from_its_end() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("middle");
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        let sending = client.try_clone().unwrap();
        scope.spawn(move || {
            // Ends by the deadline, with a part gone.
            let message = pattern(1, 10 << 20);
            let deadline = Instant::now() + Duration::from_millis(50);
            sending.set_write_deadline(Some(deadline)).unwrap();
            sending.send(&message).unwrap_err();
            drop(sending);
            drop(done);
        });
        is_done.recv().unwrap_err();
        drop(client);
        let mut message = Vec::new();
        // On Windows what nobody had read of it is taken back with it.
        match server.recv(&mut message) {
            Ok(None) => assert!(cfg!(windows) && message.is_empty()),
            Ok(Some(_)) => panic!("a torn message was taken for a whole one"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
                assert!(pattern(1, message.len()) == message);
            }
        }
    });
}

#[test]
fn what_was_sent_before_a_peer_left_without_reading_arrives() {
    let _watchdog = watchdog(60);
    for _ in 0..20 {
        let (_listener, mut server, client) = messages("unread");
        for message in ["one", "", "three"] {
            client.send(message.as_bytes()).unwrap();
        }
        server.send(b"never read").unwrap();
        assert_eq!(server.peek().unwrap().message, 3);
        drop(client);
        assert_eq!(server.peek().unwrap().message, 3);
        for message in ["one", "", "three"] {
            assert_eq!(recv(&server).unwrap(), message.as_bytes());
        }
        assert_eq!(recv(&server), None);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_torn_message_is_no_end_however_many_calls_it_takes() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("torn-recv");
    let soon = || Some(Instant::now() + Duration::from_millis(50));
    let message = pattern(1, 10 << 20);
    client.set_write_deadline(soon()).unwrap();
    client.send(&message).unwrap_err();
    let mut got = Vec::new();
    server.set_read_deadline(soon()).unwrap();
    let error = server.recv(&mut got).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    server.set_read_deadline(None).unwrap();
    drop(client);
    match server.recv(&mut got) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}"),
        // On Windows what nobody had read of it is taken back with it.
        Ok(None) if cfg!(windows) && got.is_empty() => {}
        Ok(end) => panic!("{end:?}, after {} bytes", got.len()),
    }
}

#[test]
fn a_byte_pipe_has_no_messages() {
    let (_listener, server, client) = pair("bytes");
    for stream in [&server, &client] {
        for error in [
            stream.send(b"x").unwrap_err(),
            stream.recv(&mut Vec::new()).unwrap_err(),
            stream.recv_part(&mut [0]).unwrap_err(),
            stream.transact(b"x", &mut Vec::new()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("byte pipe"), "{error}");
        }
    }
}
