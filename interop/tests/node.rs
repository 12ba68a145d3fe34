//! The library and Node on one pipe: `\\.\pipe\NAME` on Windows, a socket's path elsewhere.

use std::io::{BufReader, ErrorKind, Write};

use npipe::PipeListener;
use npipe_interop::{
    both, echo, exchange, hear, name, node, path, pattern, read_to_the_end, watchdog,
};

const MUCH: usize = 300_000;

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn lines_go_both_ways() {
    let _watchdog = watchdog();
    for (peer, stream) in both(node, &["hear", "say=Hello from Node", "hear"]) {
        writeln!(&stream, "Hello from Rust").unwrap();
        peer.expect("heard Hello from Rust");
        assert_eq!(hear(&mut BufReader::new(&stream)), "Hello from Node");
        drop(stream);
        peer.expect("heard the end");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn three_hundred_kilobytes_are_echoed_by_node() {
    let _watchdog = watchdog();
    for (peer, stream) in both(node, &["echo"]) {
        exchange(&stream, MUCH);
        drop(stream);
        peer.expect(&format!("echoed {MUCH}"));
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn three_hundred_kilobytes_are_echoed_to_node() {
    let _watchdog = watchdog();
    for (peer, stream) in both(node, &[&format!("exchange={MUCH}")]) {
        assert_eq!(echo(&stream), MUCH);
        let said = peer.finish();
        assert!(said.contains(&format!("read {MUCH}")), "{said:?}");
    }
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn what_was_written_before_our_end_is_read_by_node() {
    let _watchdog = watchdog();
    for (peer, mut stream) in both(node, &["read=50000", "end"]) {
        stream.write_all(&pattern(50_000)).unwrap();
        drop(stream);
        peer.expect("read 50000");
        peer.expect("the end");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn what_node_wrote_before_its_end_is_read_by_us() {
    let _watchdog = watchdog();
    for (peer, stream) in both(node, &["write=50000", "close"]) {
        assert!(read_to_the_end(&stream) == pattern(50_000));
        peer.expect("wrote 50000");
        peer.expect("closed");
        let error = (&stream).write(b"too late").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn the_half_close_of_node_is_the_end() {
    let _watchdog = watchdog();
    // On a Windows pipe, which has no half close, Node takes it for a close.
    let words: &[&str] = if cfg!(windows) {
        &["write=50000", "half-close"]
    } else {
        &["write=50000", "half-close", "hear"]
    };
    for (peer, stream) in both(node, words) {
        assert!(read_to_the_end(&stream) == pattern(50_000));
        peer.expect("wrote 50000");
        if cfg!(unix) {
            writeln!(&stream, "the answer").unwrap();
            peer.expect("heard the answer");
        }
        peer.finish();
    }
}

#[test]
#[cfg(unix)] // a Windows byte pipe has no half close
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn our_half_close_is_the_end_for_node() {
    let _watchdog = watchdog();
    for (peer, mut stream) in both(node, &["read=50000", "end", "say=the answer"]) {
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
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn a_node_client_that_leaves_before_accept_is_delivered() {
    let _watchdog = watchdog();
    let pipe = name("early");
    let listener = PipeListener::bind(&pipe).unwrap();
    node(&["connect", &path(&pipe), "say=gone already"]).finish();
    node(&["connect", &path(&pipe), "write=40000"]).finish();
    let next = || read_to_the_end(&listener.accept().unwrap());
    assert_eq!(next(), b"gone already\n");
    assert!(next() == pattern(40_000));
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn a_node_peer_that_is_killed_is_an_end() {
    let _watchdog = watchdog();
    for (mut peer, stream) in both(node, &["say=so far", "pause"]) {
        let mut reader = BufReader::new(&stream);
        assert_eq!(hear(&mut reader), "so far");
        peer.kill();
        assert_eq!(hear(&mut reader), "");
        let error = (&stream).write(b"nobody there").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
