//! Deadlines: they end pending and future calls alike, move while a call waits, and lose no byte.

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{pair, pattern, read_all, timed, watchdog};

fn after(millis: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(millis))
}

#[test]
fn a_read_ends_at_its_deadline() {
    let _watchdog = watchdog(60);
    let (_listener, _server, client) = pair("read");
    let asked = Duration::from_millis(100);
    client.set_read_deadline(after(100)).unwrap();
    let (error, took) = timed(|| (&client).read(&mut [0]).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("read from"), "{error}");
    assert!(error.to_string().contains("npipe-read-"), "{error}");
    assert!(took + Duration::from_millis(2) >= asked, "{took:?}");
    assert!(took < asked * 10, "{took:?}");
}

#[test]
fn a_pending_read_ends_within_100_ms_of_a_deadline_set_elsewhere() {
    let _watchdog = watchdog(60);
    let (_listener, _server, client) = pair("elsewhere");
    let client = &client;
    let mut slow = Vec::new();
    for _ in 0..50 {
        client.set_read_deadline(None).unwrap();
        thread::scope(|scope| {
            let (about_to, begun) = mpsc::channel();
            let mut reads = client;
            let reading = scope.spawn(move || {
                about_to.send(()).unwrap();
                reads.read(&mut [0]).unwrap_err()
            });
            begun.recv().unwrap();
            let (error, took) = timed(|| {
                client.set_read_deadline(Some(Instant::now())).unwrap();
                reading.join().unwrap()
            });
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            if took >= Duration::from_millis(100) {
                slow.push(took);
            }
        });
    }
    // One or two may have been other people's work on this machine.
    assert!(slow.len() <= 2, "{slow:?}");
}

#[test]
fn a_deadline_can_be_moved_while_a_read_waits() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("moved");
    let client = &client;
    client.set_read_deadline(after(50)).unwrap();
    thread::scope(|scope| {
        let mut reads = client;
        let reading = scope.spawn(move || {
            let mut byte = [0];
            reads.read(&mut byte).map(|_| byte)
        });
        // Later, never, sooner, never again: what counts is the last.
        for deadline in [after(60_000), None, after(30_000), None] {
            client.set_read_deadline(deadline).unwrap();
        }
        let past = Instant::now() + Duration::from_millis(80);
        while Instant::now() < past {
            thread::yield_now();
        }
        (&server).write_all(b"x").unwrap();
        match reading.join().unwrap() {
            Ok(byte) => assert_eq!(byte, *b"x"),
            // The first deadline may have come before it was moved.
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        }
    });
}

#[test]
fn a_past_deadline_refuses_even_what_is_there_and_loses_nothing() {
    let (_listener, server, client) = pair("past");
    (&server).write_all(b"kept").unwrap();
    client.set_deadline(Some(Instant::now())).unwrap();
    for _ in 0..3 {
        let error = (&client).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let error = (&client).write(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    client.set_deadline(None).unwrap();
    (&client).write_all(b"only this").unwrap();
    drop(server.try_clone().unwrap());
    let mut got = [0; 9];
    (&server).read_exact(&mut got).unwrap();
    assert_eq!(&got, b"only this");
    drop(server);
    assert_eq!(read_all(&client).unwrap(), b"kept");
}

#[test]
fn reads_that_time_out_all_the_time_lose_no_byte() {
    const LENGTH: usize = 1 << 20;
    let _watchdog = watchdog(120);
    let (_listener, server, client) = pair("lossless");
    thread::scope(|scope| {
        scope.spawn(move || {
            // Pieces, so that the reader is often ahead and its deadline often comes as the data does.
            for piece in pattern(3, LENGTH).chunks(257) {
                (&server).write_all(piece).unwrap();
                thread::yield_now();
            }
        });
        let mut got = Vec::new();
        let mut buffer = [0; 1000];
        let mut timeouts = 0;
        let mut micros = 0;
        loop {
            micros = (micros + 37) % 400;
            let soon = Instant::now() + Duration::from_micros(micros);
            client.set_read_deadline(Some(soon)).unwrap();
            match (&client).read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => got.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::TimedOut => timeouts += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(
            got == pattern(3, LENGTH),
            "{} bytes after {timeouts} timeouts",
            got.len()
        );
        assert!(timeouts > 0);
    });
}

/// Writes until the deadline stops it; the bytes that were reported, and the error.
fn write_until_full(mut stream: &npipe::PipeStream, piece: &[u8]) -> (usize, io::Error) {
    let mut written = 0;
    loop {
        match stream.write(piece) {
            Ok(length) => written += length,
            Err(error) => return (written, error),
        }
    }
}

#[test]
fn a_write_ends_at_its_deadline() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("write");
    client.set_write_deadline(after(100)).unwrap();
    let ((written, error), took) = timed(|| write_until_full(&client, &[7; 4096]));
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("write to"), "{error}");
    assert!(took < Duration::from_millis(1000), "{took:?}");
    assert!(written > 0);
    client.set_write_deadline(None).unwrap();
    if cfg!(unix) {
        // What was reported is what went out, and the stream goes on.
        thread::scope(|scope| {
            let reading = scope.spawn(move || read_all(&server).unwrap());
            (&client).write_all(b"end").unwrap();
            drop(client);
            let got = reading.join().unwrap();
            assert_eq!(got.len(), written + 3);
            assert!(got.ends_with(b"\x07end"));
        });
    } else {
        // Nobody knows how much of the last write went out: said, and not papered over.
        assert!(error.to_string().contains("can tell how much"), "{error}");
        let later = (&client).write(b"more").unwrap_err();
        assert_eq!(later.kind(), ErrorKind::TimedOut);
        assert!(later.to_string().contains("can tell how much"), "{later}");
        // The other way is not concerned.
        (&server).write_all(b"hello").unwrap();
        (&client).read_exact(&mut [0; 5]).unwrap();
        drop(client);
        let got = read_all(&server).unwrap();
        assert!(
            got.len() >= written && got.iter().all(|&byte| byte == 7),
            "{}",
            got.len()
        );
    }
}

#[test]
fn a_pending_write_ends_by_a_deadline_set_elsewhere() {
    let _watchdog = watchdog(60);
    let (_listener, _server, client) = pair("write-elsewhere");
    let client = &client;
    thread::scope(|scope| {
        let writing = scope.spawn(move || write_until_full(client, &[7; 100_000]).1);
        let (error, took) = timed(|| {
            client.set_write_deadline(Some(Instant::now())).unwrap();
            writing.join().unwrap()
        });
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(took < Duration::from_millis(1000), "{took:?}");
    });
}

#[test]
fn the_two_directions_have_deadlines_of_their_own() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("own");
    client.set_read_deadline(Some(Instant::now())).unwrap();
    (&client).write_all(b"written").unwrap();
    (&server).read_exact(&mut [0; 7]).unwrap();
    client.set_read_deadline(None).unwrap();
    client.set_write_deadline(Some(Instant::now())).unwrap();
    (&server).write_all(b"read").unwrap();
    (&client).read_exact(&mut [0; 4]).unwrap();
}

#[test]
fn a_deadline_is_the_streams_and_not_the_handles() {
    let _watchdog = watchdog(60);
    let (_listener, _server, client) = pair("clones");
    let clone = client.try_clone().unwrap();
    thread::scope(|scope| {
        let reading = scope.spawn(|| (&clone).read(&mut [0]).unwrap_err());
        client.set_read_deadline(Some(Instant::now())).unwrap();
        assert_eq!(reading.join().unwrap().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn who_waits_for_another_read_to_end_has_the_same_deadline() {
    let _watchdog = watchdog(60);
    let (_listener, _server, client) = pair("queue");
    let client = &client;
    thread::scope(|scope| {
        let reads: Vec<_> = (0..4)
            .map(|_| {
                let mut reads = client;
                scope.spawn(move || reads.read(&mut [0]).unwrap_err())
            })
            .collect();
        client.set_read_deadline(after(50)).unwrap();
        for read in reads {
            assert_eq!(read.join().unwrap().kind(), ErrorKind::TimedOut);
        }
    });
}

#[test]
fn a_timeout_is_for_each_call() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("timeout");
    client
        .set_read_timeout(Some(Duration::from_millis(30)))
        .unwrap();
    for _ in 0..3 {
        let (error, took) = timed(|| (&client).read(&mut [0]).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(took >= Duration::from_millis(28), "{took:?}");
    }
    (&server).write_all(b"x").unwrap();
    (&client).read_exact(&mut [0]).unwrap();
    client
        .set_write_timeout(Some(Duration::from_millis(30)))
        .unwrap();
    let (_, error) = write_until_full(&client, &[0; 4096]);
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    for zero in [
        client.set_read_timeout(Some(Duration::ZERO)),
        client.set_write_timeout(Some(Duration::ZERO)),
    ] {
        let error = zero.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("zero"), "{error}");
    }
    // A timeout beyond what a clock can hold is none.
    client.set_read_timeout(Some(Duration::MAX)).unwrap();
    (&server).write_all(b"y").unwrap();
    (&client).read_exact(&mut [0]).unwrap();
}
