//! The library and plain Win32 programs on one pipe, in either role: synchronous handles, `CallNamedPipe`,
//! `TransactNamedPipe`, `WaitNamedPipe`, message read mode.

#![cfg(windows)]

use std::io::{BufReader, ErrorKind, Read, Write};
use std::time::Duration;

use npipe::{Access, ConnectOptions, ListenOptions, PipeMode, PipeStream};
use npipe_interop::{
    Peer, c, cpp, echo, exchange, hear, listener, name, pairings, pattern, read_to_the_end,
    watchdog,
};

const MUCH: usize = 300_000;

const MODES: [PipeMode; 2] = [PipeMode::Byte, PipeMode::Message];

/// The words that a peer is told first.
fn said(side: &str, pipe: &str, mode: PipeMode, words: &[&str]) -> Peer {
    let mut all = vec![side, pipe];
    if mode == PipeMode::Message {
        all.push("message");
    }
    c(&[&all, words].concat())
}

/// A C server for one client, and our stream to it.
fn c_serves(mode: PipeMode, words: &[&str]) -> (Peer, PipeStream) {
    let pipe = name("c");
    let server = said("serve", &pipe, mode, words);
    server.expect("ready");
    let stream = PipeStream::connect(&pipe).unwrap();
    server.expect("connected");
    assert_eq!(stream.mode(), mode);
    (server, stream)
}

/// A C client of a listener of ours, and our stream to it.
fn c_connects(mode: PipeMode, words: &[&str]) -> (Peer, PipeStream) {
    let (pipe, listener) = listener(mode);
    let client = said("connect", &pipe, mode, words);
    let stream = listener.accept().unwrap();
    client.expect("connecting");
    client.expect("connected");
    (client, stream)
}

/// Both roles, in the server's with buffers of 64 KiB and with none.
fn both(mode: PipeMode, words: &[&str]) -> [(Peer, PipeStream); 3] {
    let buffers = ["in=65536", "out=65536"];
    [
        c_connects(mode, words),
        c_serves(mode, words),
        c_serves(mode, &[&buffers, words].concat()),
    ]
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn lines_go_both_ways() {
    let _watchdog = watchdog();
    for mode in MODES {
        for (peer, stream) in both(mode, &["hear", "say=Hello from C", "hear"]) {
            writeln!(&stream, "Hello from Rust").unwrap();
            peer.expect("heard Hello from Rust");
            assert_eq!(hear(&mut BufReader::new(&stream)), "Hello from C");
            drop(stream);
            peer.expect("heard the end");
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn three_hundred_kilobytes_are_echoed_by_c() {
    let _watchdog = watchdog();
    for mode in MODES {
        for (peer, stream) in both(mode, &["echo"]) {
            exchange(&stream, MUCH);
            drop(stream);
            peer.expect(&format!("echoed {MUCH}"));
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn three_hundred_kilobytes_are_echoed_to_c() {
    let _watchdog = watchdog();
    for mode in MODES {
        for (peer, stream) in both(mode, &[&format!("exchange={MUCH}")]) {
            assert_eq!(echo(&stream), MUCH);
            assert_eq!(peer.finish(), [format!("read {MUCH}")]);
        }
    }
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn messages_are_whole_for_c_and_for_us() {
    let _watchdog = watchdog();
    let words = [
        "hear-message=100000",
        "hear-message=1000",
        "hear-message=100",
        "send=70000",
        "send=0",
        "send=3",
    ];
    for (peer, stream) in both(PipeMode::Message, &words) {
        for length in [70_000, 2_500, 0] {
            stream.send(&pattern(length)).unwrap();
        }
        for line in [
            "part 70000",
            "whole",
            "part 1000",
            "part 1000",
            "part 500",
            "whole",
            "part 0",
            "whole",
        ] {
            peer.expect(line);
        }
        for length in [70_000, 0, 3] {
            let mut message = Vec::new();
            assert_eq!(stream.recv(&mut message).unwrap(), Some(length));
            assert!(message == pattern(length), "{length}");
        }
        peer.finish();
        assert_eq!(stream.recv(&mut Vec::new()).unwrap(), None);
    }
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn a_c_client_that_says_nothing_reads_messages_as_bytes() {
    let _watchdog = watchdog();
    let (pipe, listener) = listener(PipeMode::Message);
    let client = c(&["connect", &pipe, "state", "read=5000", "hear", "send=9"]);
    let stream = listener.accept().unwrap();
    stream.send(&pattern(5_000)[..3_000]).unwrap();
    stream.send(&pattern(5_000)[3_000..]).unwrap();
    stream.send(b"a line\n").unwrap();
    for line in [
        "connecting",
        "connected",
        "message",
        "reads bytes",
        "read 5000",
        "heard a line",
    ] {
        client.expect(line);
    }
    let mut message = Vec::new();
    assert_eq!(stream.recv(&mut message).unwrap(), Some(9));
    client.finish();
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn call_named_pipe_calls_us() {
    let _watchdog = watchdog();
    let (pipe, listener) = listener(PipeMode::Message);
    for round in ["one", "two"] {
        let client = c(&["call", &pipe, "10000", round]);
        let stream = listener.accept().unwrap();
        let mut message = Vec::new();
        stream.recv(&mut message).unwrap();
        assert_eq!(message, round.as_bytes());
        message.reverse();
        stream.send(&message).unwrap();
        let back = String::from_utf8(message).unwrap();
        assert_eq!(client.finish(), [format!("answered {back}")]);
        assert_eq!(stream.recv(&mut Vec::new()).unwrap(), None);
    }
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn transact_named_pipe_is_answered() {
    let _watchdog = watchdog();
    let words = ["transact=short", "transact=long"];
    for (peer, stream) in both(PipeMode::Message, &words) {
        for (question, answer) in [
            ("short", "yes"),
            ("long", "more than eight bytes of answer"),
        ] {
            let mut message = Vec::new();
            stream.recv(&mut message).unwrap();
            assert_eq!(message, question.as_bytes());
            stream.send(answer.as_bytes()).unwrap();
            peer.expect(&format!("answered {answer}"));
        }
        peer.finish();
    }
}

/// What `CallNamedPipe` and `TransactNamedPipe` do is a message there and one back, so we can be the one who asks.
#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn a_c_server_of_questions_answers_ours_again_and_again() {
    let _watchdog = watchdog();
    let pipe = name("questions");
    let words = ["hear-message=64", "send=40000", "flush", "disconnect"];
    let again = [&["accept"], &words[..]].concat();
    let server = said(
        "serve",
        &pipe,
        PipeMode::Message,
        &[&words, &again[..], &again].concat(),
    );
    server.expect("ready");
    for _ in 0..3 {
        // The one instance may be with the client before us: then this waits for it.
        let stream = ConnectOptions::new()
            .timeout(Duration::from_secs(30))
            .wait_for_server(true)
            .connect(&pipe)
            .unwrap();
        stream.send(b"a question").unwrap();
        let mut answer = Vec::new();
        assert_eq!(stream.recv(&mut answer).unwrap(), Some(40_000));
        assert!(answer == pattern(40_000));
        for line in ["connected", "part 10", "whole", "flushed", "disconnected"] {
            server.expect(line);
        }
        // Cut off, which for us is an end like any other.
        assert_eq!(stream.recv(&mut answer).unwrap(), None);
        let error = stream.send(b"too late").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
    server.finish();
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn wait_named_pipe_waits_for_our_listener() {
    let _watchdog = watchdog();
    let pipe = name("wait");
    // ERROR_FILE_NOT_FOUND: it does not wait for a server.
    let (status, output, _) = c(&["wait", &pipe, "10000"]).end();
    assert_eq!(status.code(), Some(2));
    assert_eq!(output, ["failed WaitNamedPipe 2"]);

    let listener = ListenOptions::new().max_instances(1).bind(&pipe).unwrap();
    assert_eq!(c(&["wait", &pipe, "10000"]).finish(), ["available"]);

    let taken = PipeStream::connect(&pipe).unwrap();
    let stream = listener.accept().unwrap();
    // ERROR_SEM_TIMEOUT.
    let (_, output, _) = c(&["wait", &pipe, "200"]).end();
    assert_eq!(output, ["failed WaitNamedPipe 121"]);

    // A client that finds the instance taken waits, and comes in once it is free.
    let client = c(&["connect", &pipe, "timeout=50000", "say=at last"]);
    client.expect("connecting");
    drop(taken);
    drop(stream);
    let stream = listener.accept().unwrap();
    client.expect("connected");
    assert_eq!(read_to_the_end(&stream), b"at last\n");
    client.finish();
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn a_c_client_that_leaves_before_accept_is_delivered() {
    let _watchdog = watchdog();
    for mode in MODES {
        let (pipe, listener) = listener(mode);
        for words in [&["say=gone already"][..], &["write=40000"], &[]] {
            said("connect", &pipe, mode, words).finish();
        }
        let next = || read_to_the_end(&listener.accept().unwrap());
        assert_eq!(next(), b"gone already\n");
        assert!(next() == pattern(40_000));
        assert_eq!(next(), b"");
    }
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn flush_file_buffers_ends_once_we_have_read() {
    let _watchdog = watchdog();
    for (mut peer, stream) in [
        c_connects(PipeMode::Byte, &["pause", "write=30000", "flush"]),
        c_serves(
            PipeMode::Byte,
            &["in=65536", "out=65536", "pause", "write=30000", "flush"],
        ),
    ] {
        peer.go();
        peer.expect("wrote 30000");
        let mut got = vec![0; 30_000];
        (&stream).read_exact(&mut got).unwrap();
        assert!(got == pattern(30_000));
        peer.expect("flushed");
        peer.finish();
    }
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn c_peeks_at_what_we_sent_and_knows_our_process() {
    let _watchdog = watchdog();
    let words = [
        "process",
        "pause",
        "peek",
        "state",
        "hear-message=9",
        "peek",
    ];
    for (mut peer, stream) in [
        c_connects(PipeMode::Message, &words),
        c_serves(
            PipeMode::Message,
            &[&["in=65536", "out=65536"], &words[..]].concat(),
        ),
    ] {
        peer.expect(&format!("process {}", std::process::id()));
        assert_eq!(stream.peer_pid().unwrap(), peer.id());
        stream.send(b"first").unwrap();
        stream.send(b"the second").unwrap();
        peer.go();
        let output = peer.finish();
        assert!(output[0].ends_with(" 5 in the message"), "{output:?}");
        assert_eq!(
            output[1..5],
            ["message", "reads messages", "part 5", "whole"]
        );
        assert_eq!(output[5], "10 bytes, 10 in the message");
    }
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn a_pipe_of_one_direction_is_one_for_c() {
    let _watchdog = watchdog();
    let pipe = name("out");
    let server = c(&["serve", &pipe, "direction=out", "out=65536", "write=5000"]);
    server.expect("ready");
    let stream = ConnectOptions::new()
        .access(Access::Read)
        .connect(&pipe)
        .unwrap();
    assert!(read_to_the_end(&stream) == pattern(5_000));
    server.finish();

    let listener = ListenOptions::new()
        .direction(npipe::Direction::Inbound)
        .bind(&pipe)
        .unwrap();
    let client = c(&["connect", &pipe, "direction=out", "say=one way"]);
    assert_eq!(read_to_the_end(&listener.accept().unwrap()), b"one way\n");
    client.finish();
}

#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn a_c_peer_that_is_killed_is_an_end() {
    let _watchdog = watchdog();
    for (mut peer, stream) in both(PipeMode::Byte, &["say=so far", "pause"]) {
        let mut reader = BufReader::new(&stream);
        assert_eq!(hear(&mut reader), "so far");
        peer.kill();
        assert_eq!(hear(&mut reader), "");
        let error = (&stream).write(b"nobody there").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}

/// The two programs of `docs/recipes.md`, in the README's conversation, with ours and with each other.
#[test]
#[cfg_attr(not(c), ignore = "left out: no C peer; `cargo xtask test` sets one up")]
fn the_programs_of_the_guide() {
    let _watchdog = watchdog();
    let rust = |program: &str, pipe: &str| match program {
        "server" => Peer::run(env!("CARGO_BIN_EXE_rust-server"), &[pipe]),
        _ => Peer::run(env!("CARGO_BIN_EXE_rust-client"), &[pipe]),
    };
    pairings(&rust, "C++", &cpp);
}
