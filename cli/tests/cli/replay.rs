//! `replay`: what `tap` recorded, to a server and as one.

use std::io::{BufRead, BufReader, Read, Write};

#[cfg(any(windows, target_os = "linux"))]
use npipe::ListenOptions;
use npipe::PipeStream;

use crate::harness::*;

/// A recording of two clients at once, of whom each asks twice.
fn record() -> std::path::PathBuf {
    let (front, behind) = (name("recorded"), name("behind-recorded"));
    let file = std::env::temp_dir().join(name("recording.jsonl"));
    let serving = server(&behind, 2, |stream| {
        std::thread::spawn(move || answer(&stream, "answer to"))
    });
    let (mut tap, _) = serve(&[
        "tap",
        &front,
        &behind,
        "--format",
        "json",
        "--record",
        file.to_str().unwrap(),
    ]);
    let (one, other) = (connect(&front), connect(&front));
    for (client, line) in [(&one, "a"), (&other, "b"), (&one, "c"), (&other, "\u{e4}")] {
        ask(client, line, "answer to");
    }
    drop((one, other));
    let mut closed = 0;
    while closed < 2 {
        closed += usize::from(tap.read_line().contains("\"close\""));
    }
    for client in serving.join().unwrap() {
        client.join().unwrap();
    }
    file
}

fn answer(stream: &PipeStream, with: &str) {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap_or(0) > 0 {
        // The client may have left.
        let _ = { stream }.write_all(format!("{with} {line}").as_bytes());
        line.clear();
    }
}

fn ask(client: &PipeStream, line: &str, answer: &str) {
    { client }
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
    let wanted = format!("{answer} {line}\n");
    let mut got = vec![0; wanted.len()];
    { client }.read_exact(&mut got).unwrap();
    assert_eq!(String::from_utf8(got).unwrap(), wanted);
}

#[test]
fn the_clients_to_a_server_that_answers_alike_or_not() {
    let _watchdog = watchdog();
    let file = record();
    let path = file.to_str().unwrap();
    for (with, code, part) in [
        ("answer to", Some(0), ""),
        ("answer t\u{f6}", Some(1), "differs from byte 9 of"),
    ] {
        let behind = name("replayed");
        let serving = server(&behind, 2, move |stream| {
            std::thread::spawn(move || answer(&stream, with))
        });
        let ended = run(&["replay", path, &behind, "--timeout", "30s"]);
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.stderr.contains(part), "{ended:?}");
        for client in serving.join().unwrap() {
            client.join().unwrap();
        }
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn the_server_for_clients() {
    let _watchdog = watchdog();
    let file = record();
    let front = name("replay-serve");
    let (server, _) = serve(&["replay", "--serve", file.to_str().unwrap(), &front]);
    let (one, other) = (connect(&front), connect(&front));
    ask(&one, "a", "answer to");
    ask(&one, "c", "answer to");
    ask(&other, "b", "answer to");
    ask(&other, "\u{e4}", "answer to");
    drop((one, other));
    assert_eq!(server.finish().code, Some(0));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_is_no_recording_is_told() {
    let _watchdog = watchdog();
    let file = std::env::temp_dir().join(name("no-recording"));
    std::fs::write(&file, "{\"event\": \"data\"}\n").unwrap();
    let path = file.to_str().unwrap();
    let ended = run(&["replay", path, &name("x")]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("line 1: "), "{ended:?}");
    std::fs::remove_file(&file).unwrap();
    let ended = run(&["replay", path, &name("x")]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--record"), "{ended:?}");
}

// Wherever there are message pipes.
#[cfg(any(windows, target_os = "linux"))]
#[test]
fn messages_stay_messages() {
    let _watchdog = watchdog();
    let (front, behind) = (name("recorded-messages"), name("behind-recorded-messages"));
    let file = std::env::temp_dir().join(name("messages.jsonl"));
    let path = file.to_str().unwrap().to_owned();
    let listener = ListenOptions::new()
        .message_mode(true)
        .bind(&behind)
        .unwrap();
    let serving = std::thread::spawn(move || {
        let mut got = Vec::new();
        for _ in 0..2 {
            let stream = listener.accept().unwrap();
            for answer in [&b"one"[..], b"a longer one"] {
                let mut message = Vec::new();
                stream.recv(&mut message).unwrap();
                got.push(message);
                stream.send(answer).unwrap();
            }
            let _ = stream.wait_drained();
        }
        got
    });
    let (mut tap, _) = serve(&[
        "tap",
        "--message",
        &front,
        &behind,
        "--format",
        "json",
        "--record",
        &path,
    ]);
    let client = connect(&front);
    for _ in 0..2 {
        client.send(b"ask\nme").unwrap();
        client.recv(&mut Vec::new()).unwrap();
    }
    drop(client);
    while !tap.read_line().contains("\"close\"") {}
    run(&["replay", &path, &behind, "--timeout", "30s"]).done();
    assert_eq!(serving.join().unwrap(), [b"ask\nme"; 4]);
    std::fs::remove_file(file).unwrap();
}
