//! Messages: boundaries kept, empty ones and the end told apart, any size.

use std::io::{ErrorKind, Read, Write};
use std::thread;

use npipe::{ListenOptions, Part, PipeMode};

use crate::common::{name, pattern, read_all, watchdog};
use crate::half::{Half, Stream};

fn recv(stream: &Stream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let length = stream.recv(&mut message).unwrap()?;
    assert_eq!(length, message.len());
    Some(message)
}

both! {
    both_ends_know_the_mode
    boundaries_are_kept_both_ways
    an_empty_message_is_not_the_end
    recv_appends
    a_message_comes_in_parts
    what_recv_part_began_recv_can_end
    ten_megabytes_in_one_message
    small_buffers_carry_large_messages
    a_message_pipe_read_as_bytes_loses_none
    close_write_is_an_empty_message_and_the_end_for_read
    close_write_is_an_empty_message_for_recv
    sent_and_dropped_at_once_is_read
    transact_is_one_request_and_one_reply
    a_reply_that_never_comes_is_none
    peek_takes_nothing
    what_was_sent_before_a_peer_left_without_reading_arrives
    a_byte_pipe_has_no_messages
}

fn both_ends_know_the_mode(half: &dyn Half) {
    let (listener, server, client) = half.messages("mode");
    assert_eq!(listener.mode(), PipeMode::Message);
    assert_eq!(server.mode(), PipeMode::Message);
    assert_eq!(client.mode(), PipeMode::Message);
    let (listener, server, client) = half.pair("mode");
    assert_eq!(listener.mode(), PipeMode::Byte);
    assert_eq!(server.mode(), PipeMode::Byte);
    assert_eq!(client.mode(), PipeMode::Byte);
}

fn boundaries_are_kept_both_ways(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.messages("kept");
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

fn an_empty_message_is_not_the_end(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.messages("empty");
    client.send(b"").unwrap();
    assert_eq!(recv(&server).unwrap(), b"");
    client.send(b"").unwrap();
    drop(client);
    assert_eq!(recv(&server).unwrap(), b"");
    assert_eq!(recv(&server), None);
}

fn recv_appends(half: &dyn Half) {
    let (_listener, server, client) = half.messages("append");
    client.send(b"world").unwrap();
    let mut message = b"hello ".to_vec();
    assert_eq!(server.recv(&mut message).unwrap(), Some(5));
    assert_eq!(message, b"hello world");
}

fn a_message_comes_in_parts(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.messages("parts");
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

fn what_recv_part_began_recv_can_end(half: &dyn Half) {
    let (_listener, server, client) = half.messages("mixed");
    client.send(b"0123456789").unwrap();
    client.send(b"next").unwrap();
    assert!(!server.recv_part(&mut [0; 3]).unwrap().complete);
    assert_eq!(recv(&server).unwrap(), b"3456789");
    assert_eq!(recv(&server).unwrap(), b"next");
}

fn ten_megabytes_in_one_message(half: &dyn Half) {
    const LENGTH: usize = 10 << 20;
    let _watchdog = watchdog(120);
    let (_listener, server, client) = half.messages("10mib");
    thread::scope(|scope| {
        scope.spawn(|| client.send(&pattern(1, LENGTH)).unwrap());
        scope.spawn(|| server.send(&pattern(2, LENGTH)).unwrap());
        assert!(recv(&server).unwrap() == pattern(1, LENGTH));
        assert!(recv(&client).unwrap() == pattern(2, LENGTH));
    });
}

fn small_buffers_carry_large_messages(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for size in [0, 1, 512, 4096] {
        let listener = half
            .listen(
                ListenOptions::new()
                    .message_mode(true)
                    .input_buffer_size(size)
                    .output_buffer_size(size),
                name("small"),
            )
            .unwrap();
        let (server, client) = half.pair_on(&listener);
        thread::scope(|scope| {
            scope.spawn(|| server.send(&pattern(1, 100_000)).unwrap());
            scope.spawn(|| client.send(&pattern(2, 100_000)).unwrap());
            assert!(recv(&client).unwrap() == pattern(1, 100_000), "{size}");
            assert!(recv(&server).unwrap() == pattern(2, 100_000), "{size}");
        });
    }
}

fn a_message_pipe_read_as_bytes_loses_none(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, mut server, client) = half.messages("bytes");
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

fn close_write_is_an_empty_message_and_the_end_for_read(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, mut server, client) = half.messages("half");
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

fn close_write_is_an_empty_message_for_recv(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.messages("half");
    client.send(b"question").unwrap();
    client.close_write().unwrap();
    assert_eq!(recv(&server).unwrap(), b"question");
    assert_eq!(recv(&server).unwrap(), b"");
    server.send(b"answer").unwrap();
    assert_eq!(recv(&client).unwrap(), b"answer");
    drop(client);
    assert_eq!(recv(&server), None);
}

fn sent_and_dropped_at_once_is_read(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for i in 0..200 {
        let (_listener, server, client) = half.messages("dropped");
        client.send(&pattern(i, 3000)).unwrap();
        drop(client);
        assert!(recv(&server).unwrap() == pattern(i, 3000));
        assert_eq!(recv(&server), None);
    }
}

fn transact_is_one_request_and_one_reply(half: &dyn Half) {
    const THREADS: u8 = 8;
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.messages("transact");
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(mut request) = recv(&server) {
                request.reverse();
                server.send(&request).unwrap();
            }
        });
        thread::scope(|scope| {
            for i in 0..THREADS {
                let client = &client;
                scope.spawn(move || {
                    for round in 0..50 {
                        let mut reply = Vec::new();
                        let length = client.transact(&[i, round, 7], &mut reply).unwrap();
                        assert_eq!(length, Some(3));
                        assert_eq!(reply, [7, round, i]);
                    }
                });
            }
        });
        // Now the server sees the end.
        drop(client);
    });
}

fn a_reply_that_never_comes_is_none(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.messages("no-reply");
    thread::scope(|scope| {
        scope.spawn(|| {
            recv(&server).unwrap();
            drop(server);
        });
        assert_eq!(client.transact(b"?", &mut Vec::new()).unwrap(), None);
    });
}

fn peek_takes_nothing(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = half.messages("peek");
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

    let (_listener, server, client) = half.pair("peek");
    (&client).write_all(b"bytes").unwrap();
    let peek = server.peek().unwrap();
    assert_eq!((peek.available, peek.message), (5, 0));
}

fn what_was_sent_before_a_peer_left_without_reading_arrives(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for _ in 0..20 {
        let (_listener, mut server, client) = half.messages("unread");
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

fn a_byte_pipe_has_no_messages(half: &dyn Half) {
    let (_listener, server, client) = half.pair("bytes");
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
