//! The library and go-winio, as its module comes, on one pipe, in either role, bytes and messages.
//!
//! go-winio is for Windows alone. Under Wine its servers' pipes are message pipes whatever they ask for.

#![cfg(windows)]

use std::io::{BufReader, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use npipe::{PipeMode, PipeStream};
use npipe_interop::{
    Peer, echo, exchange, go, hear, listener, name, pattern, read_to_the_end, watchdog,
};

const MUCH: usize = 300_000;
const SOON: Duration = Duration::from_millis(200);

/// How soon something ends that was told to end [`SOON`], on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(5);

const MODES: [PipeMode; 2] = [PipeMode::Byte, PipeMode::Message];

/// A go-winio server for one client, and our stream to it.
fn go_serves(mode: PipeMode, words: &[&str]) -> (Peer, PipeStream) {
    let pipe = name("go");
    let mut all = vec!["serve", &pipe];
    if mode == PipeMode::Message {
        all.push("message");
    }
    let server = go(&[&all, words].concat());
    server.expect("ready");
    let stream = PipeStream::connect(&pipe).unwrap();
    server.expect("connected");
    if mode == PipeMode::Message {
        assert_eq!(stream.mode(), mode);
    }
    (server, stream)
}

/// A go-winio client of a listener of ours, and our stream to it.
fn go_connects(mode: PipeMode, words: &[&str]) -> (Peer, PipeStream) {
    let (pipe, listener) = listener(mode);
    let client = go(&[&["connect", &pipe], words].concat());
    let stream = listener.accept().unwrap();
    client.expect("connecting");
    client.expect("connected");
    (client, stream)
}

/// Both roles of go-winio, with buffers of 64 KiB where it is the server.
fn both(mode: PipeMode, words: &[&str]) -> [(Peer, PipeStream); 2] {
    let buffers = ["in=65536", "out=65536"];
    [
        go_connects(mode, words),
        go_serves(mode, &[&buffers, words].concat()),
    ]
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn lines_go_both_ways() {
    let _watchdog = watchdog();
    for mode in MODES {
        let words = ["hear", "say=Hello from Go", "hear"];
        // go-winio's own buffer sizes are 0 and 0: each write then waits for its reader.
        for (peer, stream) in [go_connects(mode, &words), go_serves(mode, &words)] {
            let mut reader = BufReader::new(&stream);
            writeln!(&stream, "Hello from Rust").unwrap();
            peer.expect("heard Hello from Rust");
            assert_eq!(hear(&mut reader), "Hello from Go");
            drop(stream);
            peer.expect("heard the end");
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn three_hundred_kilobytes_are_echoed_by_go() {
    let _watchdog = watchdog();
    for mode in MODES {
        for (peer, stream) in [
            go_connects(mode, &["echo"]),
            go_serves(mode, &["echo"]),
            go_serves(mode, &["in=65536", "out=65536", "echo"]),
        ] {
            exchange(&stream, MUCH);
            drop(stream);
            peer.expect(&format!("echoed {MUCH}"));
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn three_hundred_kilobytes_are_echoed_to_go() {
    let _watchdog = watchdog();
    let exchange = format!("exchange={MUCH}");
    for mode in MODES {
        for (peer, stream) in [
            go_connects(mode, &[&exchange]),
            go_serves(mode, &[&exchange]),
            go_serves(mode, &["in=65536", "out=65536", &exchange]),
        ] {
            assert_eq!(echo(&stream), MUCH);
            let said = peer.finish();
            assert!(said.contains(&format!("read {MUCH}")), "{said:?}");
        }
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn every_write_of_go_is_a_message() {
    let _watchdog = watchdog();
    let words = ["send=3", "send=70000", "send=1", "read=9"];
    for (peer, stream) in [
        go_connects(PipeMode::Message, &words),
        go_serves(PipeMode::Message, &words),
    ] {
        for length in [3, 70_000, 1] {
            let mut message = Vec::new();
            assert_eq!(stream.recv(&mut message).unwrap(), Some(length));
            assert!(message == pattern(length), "{length}");
        }
        // And go-winio reads messages as bytes.
        stream.send(&pattern(9)[..4]).unwrap();
        stream.send(&pattern(9)[4..]).unwrap();
        peer.expect("read 9");
        peer.finish();
        assert_eq!(stream.recv(&mut Vec::new()).unwrap(), None);
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn our_close_write_is_the_end_for_go() {
    let _watchdog = watchdog();
    let words = ["end", "say=the answer", "pause"];
    for (mut peer, stream) in both(PipeMode::Message, &words) {
        stream.close_write().unwrap();
        peer.expect("the end");
        assert_eq!(hear(&mut BufReader::new(&stream)), "the answer");
        let error = (&stream).write(b"more").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        peer.go();
        peer.finish();
        assert_eq!(read_to_the_end(&stream), b"");
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn our_close_write_is_the_end_for_go_behind_data_that_it_has_not_read() {
    let _watchdog = watchdog();
    let words = ["pause", "read=20000", "read=20000", "end", "say=the answer"];
    for (mut peer, stream) in both(PipeMode::Message, &words) {
        stream.send(&pattern(20_000)).unwrap();
        stream.send(&pattern(20_000)).unwrap();
        // go-winio's own CloseWrite waits here until all has been read.
        let called = Instant::now();
        stream.close_write().unwrap();
        assert!(called.elapsed() < AT_ONCE);
        peer.go();
        peer.expect("read 20000");
        peer.expect("read 20000");
        peer.expect("the end");
        assert_eq!(read_to_the_end(&stream), b"the answer\n");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn the_close_write_of_go_is_the_end_for_our_read() {
    let _watchdog = watchdog();
    for words in [
        &["close-write", "hear"][..],
        &["write=20000", "close-write", "hear"],
    ] {
        for (peer, stream) in both(PipeMode::Message, words) {
            let sent = pattern(if words.len() == 2 { 0 } else { 20_000 });
            assert!(read_to_the_end(&stream) == sent);
            // It lasts.
            assert_eq!((&stream).read(&mut [0; 9]).unwrap(), 0);
            // And the other direction is as it was.
            writeln!(&stream, "the answer").unwrap();
            let said = peer.finish();
            assert!(said.contains(&"half closed".to_owned()), "{said:?}");
            assert_eq!(said.last().unwrap(), "heard the answer");
        }
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn the_close_write_of_go_is_an_empty_message_for_our_recv() {
    let _watchdog = watchdog();
    let words = ["send=5000", "close-write", "hear"];
    for (peer, stream) in both(PipeMode::Message, &words) {
        let mut message = Vec::new();
        assert_eq!(stream.recv(&mut message).unwrap(), Some(5000));
        assert_eq!(stream.recv(&mut message).unwrap(), Some(0));
        assert!(message == pattern(5000));
        stream.send(b"the answer\n").unwrap();
        peer.expect("half closed");
        peer.expect("heard the answer");
        peer.finish();
        assert_eq!(stream.recv(&mut message).unwrap(), None);
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn our_read_deadline_passes_while_go_is_silent() {
    let _watchdog = watchdog();
    for mode in MODES {
        for (mut peer, stream) in both(mode, &["pause", "say=at last"]) {
            let set = Instant::now();
            stream.set_read_deadline(Some(set + SOON)).unwrap();
            let error = (&stream).read(&mut [0; 9]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!((SOON..AT_ONCE).contains(&set.elapsed()));
            stream.set_read_deadline(None).unwrap();
            peer.go();
            assert_eq!(read_to_the_end(&stream), b"at last\n");
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn our_write_deadline_passes_while_go_does_not_read() {
    let _watchdog = watchdog();
    for mode in MODES {
        let words = ["pause", "end"];
        for (mut peer, stream) in [
            go_connects(mode, &words),
            go_serves(mode, &words),
            go_serves(mode, &["in=4096", "pause", "end"]),
        ] {
            let set = Instant::now();
            stream.set_write_deadline(Some(set + SOON)).unwrap();
            let chunk = pattern(16_384);
            let error = loop {
                if let Err(error) = (&stream).write(&chunk) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            assert!((SOON..AT_ONCE).contains(&set.elapsed()));
            peer.go();
            drop(stream);
            peer.expect("the end");
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn the_deadlines_of_go_pass_while_we_are_silent() {
    let _watchdog = watchdog();
    for mode in MODES {
        let words = ["late-read=200", "hear", "late-write=200", "close"];
        for (peer, stream) in both(mode, &words) {
            peer.expect("timed out");
            writeln!(&stream, "in time").unwrap();
            peer.expect("heard in time");
            peer.expect("timed out");
            peer.expect("closed");
            // What it wrote before it gave up is there, and then the end.
            let got = read_to_the_end(&stream);
            assert!(!got.is_empty() && got.iter().all(|byte| *byte == 0));
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn a_go_client_that_leaves_before_accept_is_delivered() {
    let _watchdog = watchdog();
    for mode in MODES {
        let (pipe, listener) = listener(mode);
        for words in [&["say=gone already"][..], &["write=40000"], &[]] {
            go(&[&["connect", &pipe], words].concat()).finish();
        }
        let next = || read_to_the_end(&listener.accept().unwrap());
        assert_eq!(next(), b"gone already\n");
        assert!(next() == pattern(40_000));
        assert_eq!(next(), b"");
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn a_go_server_disconnects_us_and_we_come_again() {
    let _watchdog = watchdog();
    for mode in ["in=65536", "message"] {
        let pipe = name("cut");
        let server = go(&["serve", &pipe, "times=3", mode, "hear", "disconnect"]);
        server.expect("ready");
        for round in 0..3 {
            let stream = PipeStream::connect(&pipe).unwrap();
            server.expect("connected");
            writeln!(&stream, "round {round}").unwrap();
            server.expect(&format!("heard round {round}"));
            assert_eq!(read_to_the_end(&stream), b"");
            let error = (&stream).write(b"too late").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            server.expect("disconnected");
        }
        server.finish();
    }
}

#[test]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn we_disconnect_a_go_client_and_it_comes_again() {
    let _watchdog = watchdog();
    let (pipe, listener) = listener(PipeMode::Byte);
    for _ in 0..3 {
        let client = go(&["connect", &pipe, "say=here", "hear"]);
        let stream = listener.accept().unwrap();
        assert_eq!(hear(&mut BufReader::new(&stream)), "here");
        stream.disconnect().unwrap();
        client.expect("connecting");
        client.expect("connected");
        // To go-winio this is no end of file, but the system's error 233.
        let (status, output, remarks) = client.end();
        assert_eq!(status.code(), Some(2), "{output:?} {remarks:?}");
        assert!(output[0].starts_with("failed hear: "), "{output:?}");
    }
}
