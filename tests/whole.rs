//! What is written in one go stays in one piece: formatted lines, several slices, whole buffers.

mod common;

use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(any(windows, target_os = "linux"))]
use common::name;
use common::{pair, pattern, watchdog};
#[cfg(any(windows, target_os = "linux"))]
use npipe::{PipeListener, PipeStream};

#[cfg(any(windows, target_os = "linux"))]
fn messages(what: &str) -> (PipeListener, PipeStream, PipeStream) {
    let listener = npipe::ListenOptions::new()
        .message_mode(true)
        .bind(name(what))
        .unwrap();
    let (server, client) = common::pair_on(&listener);
    (listener, server, client)
}

#[cfg(any(windows, target_os = "linux"))]
#[test]
fn a_formatted_line_is_one_message() {
    let _watchdog = watchdog(60);
    let (_listener, server, mut client) = messages("line");
    let (who, times) = ("world", 3);
    let long = "x".repeat(5000);
    writeln!(&client, "hello {who}, {times} times").unwrap();
    write!(client, "{}{}", 1, 2).unwrap();
    writeln!(client, "{long} {who}").unwrap();
    let nothing = "";
    write!(client, "{nothing}").unwrap();
    writeln!(client, "plain").unwrap();
    drop(client);
    let mut got = Vec::new();
    let mut message = Vec::new();
    while server.recv(&mut message).unwrap().is_some() {
        got.push(String::from_utf8(std::mem::take(&mut message)).unwrap());
    }
    let long = format!("{long} world\n");
    assert_eq!(got, ["hello world, 3 times\n", "12", &long, "plain\n"]);
}

#[test]
fn lines_of_four_threads_are_whole() {
    const LINES: usize = 2000;
    let _watchdog = watchdog(120);
    let (_listener, server, client) = pair("torn");
    thread::scope(|scope| {
        for thread in 0..4 {
            let client = client.try_clone().unwrap();
            scope.spawn(move || {
                for line in 0..LINES {
                    writeln!(&client, "{thread} says {line} and {thread} again").unwrap();
                }
            });
        }
        drop(client);
        let mut next = [0; 4];
        for line in BufReader::new(&server).lines() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            let thread: usize = words[0].parse().unwrap();
            let expected = format!("{thread} says {} and {thread} again", next[thread]);
            assert_eq!(line, expected);
            next[thread] += 1;
        }
        assert_eq!(next, [LINES; 4]);
    });
}

#[test]
fn large_buffers_of_two_threads_do_not_mix() {
    const SIZE: usize = 1_500_000;
    let _watchdog = watchdog(120);
    let (_listener, server, client) = pair("mixed");
    thread::scope(|scope| {
        for thread in 0..2 {
            let client = client.try_clone().unwrap();
            scope.spawn(move || {
                for _ in 0..3 {
                    (&client).write_all(&pattern(thread, SIZE)).unwrap();
                }
            });
        }
        drop(client);
        let mut counts = [0; 2];
        let mut buffer = vec![0; SIZE];
        let mut server = &server;
        for _ in 0..6 {
            server.read_exact(&mut buffer).unwrap();
            let whose = (0..2).find(|&thread| buffer == pattern(thread, SIZE));
            counts[usize::from(whose.expect("two buffers are mixed"))] += 1;
        }
        assert_eq!(counts, [3, 3]);
    });
}

/// Half a line is worse than none: before a deadline a line goes out whole or not at all.
#[test]
fn a_line_that_does_not_fit_before_the_deadline_is_not_torn() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("fit");
    client
        .set_write_deadline(Some(Instant::now() + Duration::from_millis(300)))
        .unwrap();
    let mut sent = 0;
    while writeln!(&client, "line {sent} of {}", "y".repeat(90)).is_ok() {
        sent += 1;
    }
    drop(client);
    let mut got = 0;
    for line in BufReader::new(&server).split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        assert_eq!(line, format!("line {got} of {}", "y".repeat(90)));
        got += 1;
    }
    // Windows: the last one may have gone all the same, and says that nobody knows.
    assert!(got == sent || got == sent + 1, "{got} of {sent}");
}

#[test]
fn slices_are_one_write() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("slices");
    let (a, b) = (pattern(1, 1000), pattern(2, 3000));
    let slices = [IoSlice::new(&a), IoSlice::new(&[]), IoSlice::new(&b)];
    assert_eq!(client.write_vectored(&slices).unwrap(), 4000);
    assert_eq!((&client).write_vectored(&[]).unwrap(), 0);
    let (mut c, mut d) = (vec![0; 1500], vec![0; 2500]);
    let mut buffers = [
        IoSliceMut::new(&mut c),
        IoSliceMut::new(&mut []),
        IoSliceMut::new(&mut d),
    ];
    assert_eq!(server.read_vectored(&mut buffers).unwrap(), 4000);
    assert_eq!([c, d].concat(), [a, b].concat());
}

#[cfg(any(windows, target_os = "linux"))]
#[test]
fn slices_are_one_message() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, client) = messages("slice-message");
    let (a, b) = (pattern(1, 100_000), pattern(2, 70_000));
    let slices = [IoSlice::new(b"head"), IoSlice::new(&a), IoSlice::new(&b)];
    thread::scope(|scope| {
        let client = &client;
        scope.spawn(move || {
            assert_eq!((&mut &*client).write_vectored(&slices).unwrap(), 170_004);
            client.send(b"next").unwrap();
        });
        let mut message = Vec::new();
        assert_eq!(server.recv(&mut message).unwrap(), Some(170_004));
        let (mut a, mut b) = ([0; 3], [0; 10]);
        let mut buffers = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert_eq!(server.read_vectored(&mut buffers).unwrap(), 4);
        assert_eq!((&a[..], b[0]), (&b"nex"[..], b't'));
    });
}
