//! Messages and deadlines: what is half done when one passes. What tasks have too is in `both/`.

#![cfg(any(windows, target_os = "linux"))] // elsewhere `bind` is Unsupported, as tests/listener.rs shows

mod common;

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{name, pair_on, pattern, watchdog};
use npipe::{ListenOptions, PipeError, PipeListener, PipeStream, Reason};

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

/// The system does not count them where it tells how much is unread.
#[test]
fn wait_drained_waits_for_an_empty_message_too() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = messages("drained-empty");
    for (writes, reads) in [(&client, &server), (&server, &client)] {
        writes.send(b"").unwrap();
        let soon = Instant::now() + Duration::from_millis(50);
        writes.set_write_deadline(Some(soon)).unwrap();
        let error = writes.wait_drained().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        writes.set_write_deadline(None).unwrap();
        assert_eq!(reads.recv(&mut Vec::new()).unwrap(), Some(0));
        writes.wait_drained().unwrap();
    }
}

#[test]
fn who_owns_a_stream_alone_writes_and_reads_messages_as_all_do() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = messages("alone");
    let long = pattern(1, 500_000);
    let far = Instant::now() + Duration::from_secs(3600);
    for deadline in [None, Some(far), None] {
        server.set_deadline(deadline).unwrap();
        client.set_deadline(deadline).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                client.write_all(b"waited for").unwrap();
                client.write_all(&long).unwrap();
                client.write_all(b"short").unwrap();
            });
            let mut piece = [0; 64];
            assert_eq!(server.read(&mut piece).unwrap(), 10);
            // What bytes were taken of a message is not received again.
            server.read_exact(&mut piece[..10]).unwrap();
            assert_eq!(piece[..10], long[..10]);
            assert_eq!(recv(&server).unwrap(), long[10..]);
            assert_eq!(server.read(&mut piece).unwrap(), 5);
        });
    }
    let soon = Instant::now() + Duration::from_millis(150);
    server.set_read_deadline(Some(soon)).unwrap();
    let error = server.read(&mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(Instant::now() >= soon);
    server.set_read_deadline(None).unwrap();
    // The end of bytes, and it lasts.
    client.send(b"").unwrap();
    client.send(b"behind it").unwrap();
    for _ in 0..2 {
        assert_eq!(server.read(&mut [0; 64]).unwrap(), 0);
    }
}
