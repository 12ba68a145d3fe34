//! The library and Java on one pipe: a file to Java on Windows, where it can be a client alone, a Unix domain socket elsewhere.

use std::io::{BufReader, ErrorKind, Write};

use npipe::{PipeListener, PipeStream};
use npipe_interop::{
    Peer, echo, exchange, hear, java, name, path, pattern, read_to_the_end, script_connects,
    watchdog,
};

const MUCH: usize = 300_000;

/// Every role that it has, each with our stream to it.
fn roles(words: &[&str]) -> Vec<(Peer, PipeStream)> {
    #[cfg(unix)]
    return npipe_interop::both(java, words).into();
    #[cfg(windows)]
    return vec![script_connects(java, words)];
}

#[test]
#[cfg_attr(
    not(java),
    ignore = "left out: no Java; `cargo xtask test` sets one up"
)]
fn lines_go_both_ways() {
    let _watchdog = watchdog();
    for (peer, stream) in roles(&["hear", "say=Hello from Java", "hear"]) {
        writeln!(&stream, "Hello from Rust").unwrap();
        peer.expect("heard Hello from Rust");
        assert_eq!(hear(&mut BufReader::new(&stream)), "Hello from Java");
        drop(stream);
        peer.expect("heard the end");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(java),
    ignore = "left out: no Java; `cargo xtask test` sets one up"
)]
fn three_hundred_kilobytes_are_echoed_by_java() {
    let _watchdog = watchdog();
    for (peer, stream) in roles(&["echo"]) {
        exchange(&stream, MUCH);
        drop(stream);
        peer.expect(&format!("echoed {MUCH}"));
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(java),
    ignore = "left out: no Java; `cargo xtask test` sets one up"
)]
fn three_hundred_kilobytes_are_echoed_to_java() {
    let _watchdog = watchdog();
    for (peer, stream) in roles(&[&format!("exchange={MUCH}")]) {
        assert_eq!(echo(&stream), MUCH);
        assert_eq!(peer.finish(), [format!("read {MUCH}")]);
    }
}

#[test]
#[cfg_attr(
    not(java),
    ignore = "left out: no Java; `cargo xtask test` sets one up"
)]
fn what_either_wrote_before_its_end_is_read() {
    let _watchdog = watchdog();
    for (peer, mut stream) in roles(&["read=50000", "end"]) {
        stream.write_all(&pattern(50_000)).unwrap();
        drop(stream);
        peer.expect("read 50000");
        peer.expect("the end");
        peer.finish();
    }
    for (peer, stream) in roles(&["write=50000", "close"]) {
        assert!(read_to_the_end(&stream) == pattern(50_000));
        peer.expect("wrote 50000");
        peer.expect("closed");
        let error = (&stream).write(b"too late").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        peer.finish();
    }
}

#[test]
#[cfg(unix)] // a Windows byte pipe has no half close
#[cfg_attr(
    not(java),
    ignore = "left out: no Java; `cargo xtask test` sets one up"
)]
fn a_half_close_is_the_end_for_the_other_side() {
    let _watchdog = watchdog();
    for (peer, stream) in roles(&["write=50000", "half-close", "hear"]) {
        assert!(read_to_the_end(&stream) == pattern(50_000));
        peer.expect("wrote 50000");
        writeln!(&stream, "the answer").unwrap();
        peer.expect("heard the answer");
        peer.finish();
    }
    for (peer, mut stream) in roles(&["read=50000", "end", "say=the answer"]) {
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
    not(java),
    ignore = "left out: no Java; `cargo xtask test` sets one up"
)]
fn a_java_client_that_leaves_before_accept_is_delivered() {
    let _watchdog = watchdog();
    let pipe = name("early");
    let listener = PipeListener::bind(&pipe).unwrap();
    java(&["connect", &path(&pipe), "say=gone already"]).finish();
    assert_eq!(
        read_to_the_end(&listener.accept().unwrap()),
        b"gone already\n"
    );
}

#[test]
#[cfg_attr(
    not(java),
    ignore = "left out: no Java; `cargo xtask test` sets one up"
)]
fn a_java_peer_that_is_killed_is_an_end() {
    let _watchdog = watchdog();
    let (mut peer, stream) = script_connects(java, &["say=so far", "pause"]);
    let mut reader = BufReader::new(&stream);
    assert_eq!(hear(&mut reader), "so far");
    peer.kill();
    assert_eq!(hear(&mut reader), "");
    let error = (&stream).write(b"nobody there").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}
