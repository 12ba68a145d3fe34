//! The library and .NET on one message pipe. Windows only: .NET has no message mode elsewhere.

#![cfg(windows)]

use std::io::{BufReader, Read, Write};

use npipe::{ListenOptions, PipeListener, PipeMode, PipeStream};
use npipe_interop::{Dotnet, Peer, hear, name, pattern, read_to_the_end, watchdog};

/// A StreamWriter writes what it has gathered in pieces of so many bytes at the most.
const PIECE: usize = 1024;

fn listener() -> PipeListener {
    ListenOptions::new()
        .message_mode(true)
        .bind(name("messages"))
        .unwrap()
}

/// Both roles of .NET in message mode, as a server with buffers and without.
fn all(words: &[&str]) -> [(Peer, PipeStream); 3] {
    let dotnet = Dotnet::first();
    let words = [&["message"], words].concat();
    let buffers = ["in=65536", "out=65536"];
    let peers = [
        dotnet.connects(&listener(), &words),
        dotnet.serves(&[&buffers, &words[..]].concat()),
        dotnet.serves(&words),
    ];
    for (_, stream) in &peers {
        assert_eq!(stream.mode(), PipeMode::Message);
    }
    peers
}

fn recv(stream: &PipeStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let length = stream.recv(&mut message).unwrap()?;
    assert_eq!(length, message.len());
    Some(message)
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn the_messages_of_dotnet_come_as_they_were_sent() {
    let _watchdog = watchdog();
    for (peer, stream) in all(&["send=1", "send=100000", "send=7", "send=7"]) {
        for length in [1, 100_000, 7] {
            assert!(recv(&stream) == Some(pattern(length)), "{length}");
        }
        // The last one through a buffer that is too small.
        let mut small = [0; 5];
        let part = stream.recv_part(&mut small).unwrap();
        assert_eq!((part.len, part.complete), (5, false));
        let part = stream.recv_part(&mut small).unwrap();
        assert_eq!((part.len, part.complete), (2, true));
        assert_eq!(recv(&stream), None);
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_sees_where_our_messages_end_through_small_buffers() {
    let _watchdog = watchdog();
    let words = [
        "hear-message=8",
        "hear-message=10",
        "hear-message=10",
        "hear-message=200000",
    ];
    for (peer, stream) in all(&words) {
        for length in [20, 10, 3, 150_000] {
            stream.send(&pattern(length)).unwrap();
        }
        for part in [8, 8, 4] {
            peer.expect(&format!("part {part}"));
        }
        peer.expect("whole");
        for part in [10, 3, 150_000] {
            peer.expect(&format!("part {part}"));
            peer.expect("whole");
        }
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn an_empty_message_of_ours_is_no_end_for_dotnet() {
    let _watchdog = watchdog();
    let words = [
        "hear-message=8",
        "hear-message=8",
        "is-connected",
        "hear-message=8",
        "end",
    ];
    for (peer, stream) in all(&words) {
        for length in [2, 0, 3] {
            stream.send(&pattern(length)).unwrap();
        }
        peer.expect("part 2");
        peer.expect("whole");
        peer.expect("part 0");
        peer.expect("whole");
        peer.expect("connected");
        peer.expect("part 3");
        peer.expect("whole");
        drop(stream);
        peer.expect("the end");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn our_close_write_reads_as_nothing_for_dotnet_which_can_answer() {
    let _watchdog = watchdog();
    // .NET's readers take 0 bytes for the end.
    for (peer, stream) in all(&["hear", "hear", "say=the answer"]) {
        stream.send(b"the question\n").unwrap();
        stream.close_write().unwrap();
        peer.expect("heard the question");
        peer.expect("heard the end");
        assert_eq!(hear(&mut BufReader::new(&stream)), "the answer");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_long_line_of_a_stream_writer_is_several_messages_and_one_line_for_read() {
    let _watchdog = watchdog();
    let line: String = (0..5000)
        .map(|at| char::from(b'a' + (at % 26) as u8))
        .collect();
    let say = format!("say={line}");
    for (peer, stream) in all(&[&say, "say=short", "hear"]) {
        let mut reader = BufReader::new(&stream);
        assert!(hear(&mut reader) == line);
        assert_eq!(hear(&mut reader), "short");
        // And back, in one message.
        let long = line.repeat(10);
        stream.send(format!("{long}\r\n").as_bytes()).unwrap();
        peer.expect(&format!("heard {long}"));
        assert_eq!(read_to_the_end(&stream), b"");
        peer.finish();
    }
    // Several messages it was.
    for (peer, stream) in all(&[&say]) {
        let messages: Vec<Vec<u8>> = std::iter::from_fn(|| recv(&stream)).collect();
        assert!(messages.len() > 4, "{}", messages.len());
        assert!(messages.iter().all(|message| message.len() <= PIECE));
        assert!(messages.concat() == format!("{line}\r\n").as_bytes());
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_message_server_that_writes_its_mark_first_does_not_deadlock() {
    let _watchdog = watchdog();
    // Without buffers the server's first write, its byte order mark, waits for our read, and our line for its read.
    let words = ["message", "bom", "writer", "hear", "say=Hello from C#"];
    let (peer, stream) = Dotnet::first().serves(&words);
    (&stream).write_all("\u{feff}".as_bytes()).unwrap();
    (&stream).write_all(b"Hello from Rust\n").unwrap();
    peer.expect("heard Hello from Rust");
    let mut got = String::new();
    (&stream).read_to_string(&mut got).unwrap();
    assert_eq!(got, "\u{feff}Hello from C#\r\n");
    peer.finish();
}
