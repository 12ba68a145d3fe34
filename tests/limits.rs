//! How long calls may take: what a timeout and a deadline mean, non-blocking calls, and what each setter's getter says.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use common::{name, pair, pair_on, timed, watchdog};
#[cfg(any(windows, target_os = "linux"))]
use npipe::ListenOptions;
use npipe::{PipeListener, PipeStream};

#[test]
fn a_timeout_limits_waiting_alone() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("nanosecond");
    let shortest = Some(Duration::from_nanos(1));
    server.set_read_timeout(shortest).unwrap();
    client.set_write_timeout(shortest).unwrap();
    for round in 0..2000u32 {
        let word = round.to_le_bytes();
        (&client).write_all(&word).unwrap();
        let mut got = [0; 4];
        (&server).read_exact(&mut got).unwrap();
        assert_eq!(got, word);
    }
    let error = (&server).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

#[test]
fn a_deadline_that_has_passed_refuses_what_is_there() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("passed");
    client.write_all(b"there").unwrap();
    server.set_read_deadline(Some(Instant::now())).unwrap();
    let error = server.read(&mut [0; 5]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("read deadline"), "{error}");
    server.set_read_deadline(None).unwrap();
    let mut got = [0; 5];
    server.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"there");
}

#[test]
fn what_was_set_is_told() {
    let (listener, server, _client) = pair("getters");
    let moment = Some(Instant::now() + Duration::from_secs(60));
    let long = Some(Duration::from_secs(7));
    assert_eq!(server.read_deadline().unwrap(), None);
    server.set_read_deadline(moment).unwrap();
    assert_eq!(server.read_deadline().unwrap(), moment);
    assert_eq!(server.write_deadline().unwrap(), None);
    server.set_deadline(None).unwrap();
    server.set_write_deadline(moment).unwrap();
    assert_eq!(server.read_deadline().unwrap(), None);
    assert_eq!(server.write_deadline().unwrap(), moment);
    server.set_read_timeout(long).unwrap();
    assert_eq!(server.read_timeout().unwrap(), long);
    assert_eq!(server.write_timeout().unwrap(), None);
    server.set_write_timeout(long).unwrap();
    assert_eq!(server.write_timeout().unwrap(), long);
    server.set_busy_poll(long).unwrap();
    assert_eq!(server.busy_poll().unwrap(), long);
    assert!(!server.nonblocking().unwrap());
    server.set_nonblocking(true).unwrap();
    assert!(server.try_clone().unwrap().nonblocking().unwrap());
    listener.set_deadline(moment).unwrap();
    assert_eq!(listener.deadline().unwrap(), moment);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.nonblocking().unwrap());
}

#[test]
fn a_non_blocking_read_waits_for_nothing_and_loses_nothing() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("nonblocking");
    server.set_nonblocking(true).unwrap();
    let error = server.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    for round in 0..500u32 {
        client.write_all(&round.to_le_bytes()).unwrap();
        let mut got = Vec::new();
        while got.len() < 4 {
            let mut byte = [0; 3];
            match server.read(&mut byte) {
                Ok(length) => got.extend_from_slice(&byte[..length]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        assert_eq!(got, round.to_le_bytes());
    }
    // A call that waits already ends with it too.
    server.set_nonblocking(false).unwrap();
    thread::scope(|scope| {
        let reading = scope.spawn(|| (&server).read(&mut [0; 8]));
        while !reading.is_finished() {
            server.set_nonblocking(true).unwrap();
            thread::yield_now();
        }
        let error = reading.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    });
    drop(client);
    while let Err(error) = server.read(&mut [0; 8]) {
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    }
}

/// Several writers, or one that does not know whether its peer reads, fill the buffers and are told.
#[cfg(unix)]
#[test]
fn a_non_blocking_write_is_told_when_the_buffers_are_full() {
    let _watchdog = watchdog(60);
    let (_listener, server, mut client) = pair("full");
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let error = loop {
        match client.write(&[7; 1000]) {
            Ok(length) => sent += length,
            Err(error) => break error,
        }
        assert!(sent < 64 << 20, "it takes everything");
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    assert!(sent > 0);
    drop(client);
    let got = common::read_all(&server).unwrap();
    assert_eq!(got.len(), sent);
}

#[test]
fn an_accept_that_would_wait_is_told() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("accept")).unwrap();
    let soon = Duration::from_millis(20);
    let (timed_out, took) = timed(|| listener.accept_timeout(soon));
    assert_eq!(timed_out.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(took >= soon, "{took:?}");
    listener.set_nonblocking(true).unwrap();
    let error = listener.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    let _client = PipeStream::connect(listener.local_addr()).unwrap();
    // Who has come is delivered, however short the time is; under Wine the packet may still be on its way.
    listener.set_nonblocking(false).unwrap();
    listener.accept_timeout(Duration::from_secs(30)).unwrap();
}

#[test]
fn clones_of_a_listener_are_one_listener() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("clones")).unwrap();
    let clone = listener.try_clone().unwrap();
    let address = listener.local_addr().clone();
    drop(listener);
    let (server, client) = pair_on(&clone);
    drop((server, client));
    let third = clone.try_clone().unwrap();
    thread::scope(|scope| {
        let accepting = scope.spawn(|| third.accept());
        clone.close();
        let error = accepting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
    });
    PipeListener::bind(&address).unwrap();
}

#[test]
fn a_shutdown_ends_the_read_of_another_thread() {
    let _watchdog = watchdog(60);
    for how in [Shutdown::Read, Shutdown::Both] {
        let (_listener, server, client) = pair("shutdown");
        for stream in [&server, &client] {
            thread::scope(|scope| {
                let clone = stream.try_clone().unwrap();
                let reading = scope.spawn(move || (&clone).read(&mut [0; 8]));
                stream.shutdown(how).unwrap();
                assert_eq!(reading.join().unwrap().unwrap(), 0);
                // Later ones too.
                assert_eq!((&mut &*stream).read(&mut [0; 8]).unwrap(), 0);
            });
        }
    }
}

#[test]
fn a_shutdown_of_both_ends_a_write_that_waits_and_tells_the_peer() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("stuck");
    thread::scope(|scope| {
        let clone = client.try_clone().unwrap();
        let writing = scope.spawn(move || (&clone).write_all(&vec![1; 8 << 20]));
        (&server).read_exact(&mut [0; 1]).unwrap(); // it has begun
        client.shutdown(Shutdown::Both).unwrap();
        let error = writing.join().unwrap().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::TimedOut),
            "{error}"
        );
        let error = (&mut &client).write(b"?").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
        // Where there is no half close, the peer sees the end once the last clone is gone.
        drop(client);
        common::read_all(&server).unwrap();
    });
}

#[cfg(any(windows, target_os = "linux"))]
#[test]
fn a_shutdown_ends_a_recv() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .message_mode(true)
        .bind(name("recv"))
        .unwrap();
    let (server, client) = pair_on(&listener);
    thread::scope(|scope| {
        let receiving = scope.spawn(|| client.recv(&mut Vec::new()));
        client.shutdown(Shutdown::Both).unwrap();
        assert_eq!(receiving.join().unwrap().unwrap(), None);
    });
    let part = client.recv_part(&mut [0; 8]).unwrap_err();
    assert_eq!(part.kind(), ErrorKind::UnexpectedEof, "{part}");
    // The half close of messages.
    assert_eq!(server.recv(&mut Vec::new()).unwrap(), Some(0));
}
