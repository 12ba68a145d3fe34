//! `ask`: one request, one answer, whatever the server does after that.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

#[cfg(any(windows, target_os = "linux"))]
use npipe::ListenOptions;

use crate::harness::*;

/// Answers each line with `answer`, and keeps its client until that leaves.
fn answering(name: &str, answer: &'static [&'static str]) {
    let server = server(name, 1, move |stream| {
        let mut line = String::new();
        while BufReader::new(&stream).read_line(&mut line).unwrap_or(0) > 0 {
            for part in answer {
                // The client may have what it wants, and be gone.
                let _ = (&stream).write_all(part.replace("{}", line.trim_end()).as_bytes());
            }
            line.clear();
        }
    });
    std::thread::spawn(move || server.join());
}

#[test]
fn a_line_and_its_answer_while_the_server_keeps_its_connection() {
    let _watchdog = watchdog();
    for by_stdin in [false, true] {
        let name = name("ask");
        answering(&name, &["you said ", "{}\nand more\n"]);
        let ended = if by_stdin {
            let mut ask = start(&["ask", &name]);
            ask.write("hello\n");
            ask.finish()
        } else {
            run(&["ask", &name, "hello"])
        };
        assert_eq!(ended.done().text(), "you said hello\n");
    }
}

#[test]
fn up_to_a_mark_and_until_it_is_quiet() {
    let _watchdog = watchdog();
    let name = name("ask-until");
    answering(&name, &["one\ntwo\nO", "K more\n"]);
    let ended = run(&["ask", "--until", "OK", &name, "x"]);
    assert_eq!(ended.done().text(), "one\ntwo\nOK");

    let name = crate::harness::name("ask-linger");
    answering(&name, &["one\n", "two\n"]);
    let ended = run(&["ask", "--linger", "300ms", &name, "x"]);
    assert_eq!(ended.done().text(), "one\ntwo\n");
}

#[test]
fn no_answer_is_told() {
    let _watchdog = watchdog();
    let name = name("ask-mute");
    answering(&name, &[]);
    let ended = run(&["ask", "--timeout", "300ms", &name, "x"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("no whole answer"), "{ended:?}");

    let name = crate::harness::name("ask-closed");
    let server = server(&name, 1, |stream| {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
    });
    let ended = run(&["ask", &name, "x"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("closed without an answer"),
        "{ended:?}"
    );
    server.join().unwrap();

    let ended = run(&["ask", &crate::harness::name("ask-nobody"), "x"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

#[test]
fn a_last_line_without_its_end_is_an_answer() {
    let _watchdog = watchdog();
    let name = name("ask-cut");
    let server = server(&name, 1, |stream| {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        (&stream).write_all(b"no end").unwrap();
    });
    assert_eq!(run(&["ask", &name, "x"]).done().text(), "no end");
    server.join().unwrap();
}

#[test]
fn over_tcp_as_well() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("tcp:{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        stream.write_all(b"tcp too\n").unwrap();
        // It stays until its client leaves.
        BufReader::new(&stream).read_line(&mut line).unwrap_or(0)
    });
    assert_eq!(run(&["ask", &place, "x"]).done().text(), "tcp too\n");
    server.join().unwrap();
}

// Wherever there are message pipes.
#[cfg(any(windows, target_os = "linux"))]
#[test]
fn one_message_for_one_message() {
    let _watchdog = watchdog();
    let name = name("ask-message");
    let listener = ListenOptions::new().message_mode(true).bind(&name).unwrap();
    let server = std::thread::spawn(move || {
        let mut got = Vec::new();
        for _ in 0..2 {
            let stream = listener.accept().unwrap();
            let mut message = Vec::new();
            stream.recv(&mut message).unwrap();
            got.push(message);
            stream.send(b"two\nlines").unwrap();
            // The client has its answer, and may have left with it.
            let _ = stream.send(b"another");
            // Until its client leaves.
            let _ = stream.recv(&mut Vec::new());
        }
        got
    });
    assert_eq!(run(&["ask", &name, "a b"]).done().text(), "two\nlines\n");
    let mut ask = start(&["ask", &name]);
    ask.write("c\nd\n");
    assert_eq!(ask.finish().done().text(), "two\nlines\n");
    assert_eq!(server.join().unwrap(), [b"a b".to_vec(), b"c\nd".to_vec()]);
}
