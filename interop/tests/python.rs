//! The library and Python on one socket: plain ones, and `multiprocessing.connection`.

#![cfg(unix)] // Python has no named pipes in its library but for multiprocessing's own ends

use std::io::{BufReader, ErrorKind, Read, Write};

use npipe::PipeStream;
use npipe_interop::{both, echo, exchange, hear, pattern, python, read_to_the_end, watchdog};

const MUCH: usize = 300_000;

#[test]
#[cfg_attr(
    not(python),
    ignore = "left out: no Python; `cargo xtask test` sets one up"
)]
fn lines_go_both_ways() {
    let _watchdog = watchdog();
    for (peer, stream) in both(python, &["hear", "say=Hello from Python", "hear"]) {
        writeln!(&stream, "Hello from Rust").unwrap();
        peer.expect("heard Hello from Rust");
        assert_eq!(hear(&mut BufReader::new(&stream)), "Hello from Python");
        drop(stream);
        peer.expect("heard the end");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(python),
    ignore = "left out: no Python; `cargo xtask test` sets one up"
)]
fn three_hundred_kilobytes_are_echoed_both_ways() {
    let _watchdog = watchdog();
    for (peer, stream) in both(python, &["echo"]) {
        exchange(&stream, MUCH);
        drop(stream);
        peer.expect(&format!("echoed {MUCH}"));
        peer.finish();
    }
    for (peer, stream) in both(python, &[&format!("exchange={MUCH}")]) {
        assert_eq!(echo(&stream), MUCH);
        let said = peer.finish();
        assert!(said.contains(&format!("read {MUCH}")), "{said:?}");
    }
}

#[test]
#[cfg_attr(
    not(python),
    ignore = "left out: no Python; `cargo xtask test` sets one up"
)]
fn a_half_close_of_either_side_is_the_end_and_the_answer_arrives() {
    let _watchdog = watchdog();
    for (peer, stream) in both(python, &["write=50000", "half-close", "hear"]) {
        assert!(read_to_the_end(&stream) == pattern(50_000));
        writeln!(&stream, "the answer").unwrap();
        peer.expect("wrote 50000");
        peer.expect("heard the answer");
        peer.finish();
    }
    for (peer, mut stream) in both(python, &["read=50000", "end", "say=the answer"]) {
        stream.write_all(&pattern(50_000)).unwrap();
        stream.close_write().unwrap();
        peer.expect("read 50000");
        peer.expect("the end");
        assert_eq!(read_to_the_end(&stream), b"the answer\n");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(python),
    ignore = "left out: no Python; `cargo xtask test` sets one up"
)]
fn what_was_written_before_the_end_of_either_side_is_read() {
    let _watchdog = watchdog();
    for (peer, mut stream) in both(python, &["read=50000", "end"]) {
        stream.write_all(&pattern(50_000)).unwrap();
        drop(stream);
        peer.expect("read 50000");
        peer.expect("the end");
        peer.finish();
    }
    // The second time with bytes of ours that Python never reads, which the system calls a reset.
    for unread in [&b""[..], b"never read"] {
        for (mut peer, mut stream) in both(python, &["write=50000", "pause", "close"]) {
            stream.write_all(unread).unwrap();
            peer.go();
            assert!(read_to_the_end(&stream) == pattern(50_000));
            peer.expect("wrote 50000");
            peer.expect("closed");
            let error = stream.write(b"too late").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            peer.finish();
        }
    }
}

/// `multiprocessing.connection` puts the length before each message, in 4 bytes, the highest first.
fn send(mut stream: &PipeStream, message: &[u8]) {
    let length = u32::try_from(message.len()).unwrap();
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream.write_all(message).unwrap();
}

fn recv(mut stream: &PipeStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message).unwrap();
    message
}

#[test]
#[cfg_attr(
    not(python),
    ignore = "left out: no Python; `cargo xtask test` sets one up"
)]
fn the_messages_of_multiprocessing_go_both_ways() {
    let _watchdog = watchdog();
    let lengths = [1, 0, 20_000, MUCH];
    for (peer, stream) in both(python, &["connection", "echo"]) {
        for length in lengths {
            send(&stream, &pattern(length));
            assert!(recv(&stream) == pattern(length), "{length}");
        }
        drop(stream);
        peer.expect("echoed 4 messages");
        peer.finish();
    }
    let words = ["connection", "recv", "send=20000", "recv"];
    for (peer, stream) in both(python, &words) {
        send(&stream, &pattern(100));
        peer.expect("message of 100");
        assert!(recv(&stream) == pattern(20_000));
        drop(stream);
        peer.expect("the end");
        peer.finish();
    }
}
