//! Pipes without buffers, where a peer that knows nothing of reading ahead writes first, and so does this side.

#![cfg(windows)] // a socket always has buffers

mod common;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::windows::io::OwnedHandle;
use std::thread;
use std::time::{Duration, Instant};

use common::{name, watchdog};
use npipe::{ListenOptions, Part, PipeStream};

/// Our end, and a plain file for the other: a write of that waits until it has been read.
fn pair(message_mode: bool) -> (PipeStream, File) {
    let listener = ListenOptions::new()
        .message_mode(message_mode)
        .input_buffer_size(0)
        .output_buffer_size(0)
        .bind(name("ahead"))
        .unwrap();
    let peer = OpenOptions::new()
        .read(true)
        .write(true)
        .open(listener.local_addr().os_path())
        .unwrap();
    (listener.accept().unwrap(), peer)
}

/// Waits until the peer's first write is there.
fn until_something_waits(stream: &PipeStream) {
    while stream.peek().unwrap().available == 0 {
        thread::yield_now();
    }
}

/// The peer writes all of `pieces` before it reads, while we write before we read.
fn both_write_first(message_mode: bool, pieces: &[&[u8]], check: impl FnOnce(&PipeStream)) {
    let _watchdog = watchdog(60);
    let (stream, mut peer) = pair(message_mode);
    thread::scope(|scope| {
        scope.spawn(move || {
            for piece in pieces {
                peer.write_all(piece).unwrap();
            }
            let mut heard = [0; 5];
            peer.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"hello");
        });
        until_something_waits(&stream);
        (&stream).write_all(b"hello").unwrap();
        check(&stream);
    });
}

#[test]
fn several_writes_of_the_peer_are_read_ahead() {
    both_write_first(false, &[b"one", b"two", b"three"], |stream| {
        assert_eq!(stream.peek().unwrap().available, 11);
        let mut got = String::new();
        { stream }.read_to_string(&mut got).unwrap();
        assert_eq!(got, "onetwothree");
    });
}

#[test]
fn messages_that_were_read_ahead_keep_their_boundaries() {
    both_write_first(true, &[b"one", b"three", b"seventeen"], |stream| {
        let peek = stream.peek().unwrap();
        assert_eq!((peek.available, peek.message), (17, 3));
        let mut message = Vec::new();
        assert_eq!(stream.recv(&mut message).unwrap(), Some(3));
        let mut small = [0; 4];
        let part = |len, complete| Part { len, complete };
        assert_eq!(stream.recv_part(&mut small).unwrap(), part(4, false));
        assert_eq!(stream.recv_part(&mut small).unwrap(), part(1, true));
        assert_eq!(stream.recv(&mut message).unwrap(), Some(9));
        assert_eq!(message, b"oneseventeen");
        assert_eq!(stream.recv(&mut message).unwrap(), None);
    });
}

#[test]
fn an_empty_message_that_was_read_ahead_is_one() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .message_mode(true)
        .input_buffer_size(0)
        .output_buffer_size(0)
        .bind(name("ahead"))
        .unwrap();
    let client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
    let server = listener.accept().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for message in [&b"one"[..], b"", b"", b"two"] {
                client.send(message).unwrap();
            }
            let mut message = Vec::new();
            assert_eq!(client.recv(&mut message).unwrap(), Some(5));
        });
        until_something_waits(&server);
        server.send(b"hello").unwrap();
        let mut message = Vec::new();
        for length in [3, 0, 0, 3] {
            assert_eq!(server.recv(&mut message).unwrap(), Some(length));
        }
        assert_eq!(message, b"onetwo");
    });
}

#[test]
fn a_message_that_is_larger_than_what_is_read_ahead_stays_whole() {
    const LARGE: usize = 100_000;
    let _watchdog = watchdog(60);
    let (stream, mut peer) = pair(true);
    thread::scope(|scope| {
        scope.spawn(move || {
            peer.write_all(b"first").unwrap();
            peer.write_all(&vec![7; LARGE]).unwrap();
            let _ = peer.read(&mut [0; 5]);
        });
        until_something_waits(&stream);
        // The peer reads only once we have: this one gives up, and what came meanwhile is kept.
        let soon = Instant::now() + Duration::from_millis(200);
        stream.set_write_deadline(Some(soon)).unwrap();
        stream.send(b"hello").unwrap_err();
        let mut message = Vec::new();
        assert_eq!(stream.recv(&mut message).unwrap(), Some(5));
        assert_eq!(stream.recv(&mut message).unwrap(), Some(LARGE));
        assert!(message[5..].iter().all(|byte| *byte == 7));
        stream.disconnect().unwrap();
    });
}

#[test]
fn a_transact_reads_while_it_writes() {
    let _watchdog = watchdog(60);
    let (stream, mut peer) = pair(true);
    thread::scope(|scope| {
        scope.spawn(move || {
            // Waits until it is read, which nobody does but the one who writes to it.
            peer.write_all(b"unasked").unwrap();
            let mut request = [0; 7];
            peer.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"request");
            peer.write_all(b"answer").unwrap();
        });
        until_something_waits(&stream);
        stream
            .set_deadline(Some(Instant::now() + Duration::from_secs(20)))
            .unwrap();
        let mut reply = Vec::new();
        // The first message after the request, as ever: that the peer has said something before is its own affair.
        assert_eq!(stream.transact(b"request", &mut reply).unwrap(), Some(7));
        assert_eq!(reply, b"unasked");
        assert_eq!(stream.recv(&mut reply).unwrap(), Some(6));
        assert_eq!(reply, b"unaskedanswer");
    });
}

#[test]
fn what_was_read_ahead_is_not_lost_with_the_handle() {
    let _watchdog = watchdog(60);
    let (stream, mut peer) = pair(false);
    thread::scope(|scope| {
        scope.spawn(move || {
            peer.write_all(b"from the peer").unwrap();
            peer.read_exact(&mut [0; 5]).unwrap();
        });
        until_something_waits(&stream);
        (&stream).write_all(b"hello").unwrap();
    });
    let error = OwnedHandle::try_from(stream).unwrap_err();
    assert!(error.to_string().contains("read ahead"), "{error}");
    let mut stream = error.into_stream();
    let mut word = [0; 13];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"from the peer");
    OwnedHandle::try_from(stream).unwrap();
}
