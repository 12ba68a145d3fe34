//! `tap`: shows everything, and changes nothing.

use std::io::{BufRead, BufReader, Read, Write};

use serde_json::Value;

use crate::harness::*;

/// The events that there are on stdout, up to the first of this kind.
fn events_until(tap: &mut Running, kind: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event: Value = serde_json::from_str(&tap.read_line()).expect("a line of JSON");
        let done = event["event"] == kind;
        events.push(event);
        if done {
            return events;
        }
    }
}

fn start_tap(front: &str, behind: &str, options: &[&str]) -> Running {
    let args: Vec<_> = ["tap", front, behind]
        .into_iter()
        .chain(options.iter().copied())
        .collect();
    serve(&args).0
}

#[test]
fn each_line_is_shown_and_passes_as_it_is() {
    let _watchdog = watchdog();
    let (front, behind) = (name("tap"), name("behind-tap"));
    let served = server(&behind, 2, |stream| {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert_eq!(line, "\u{feff}Hello from C#\r\n");
        (&stream).write_all(b"Hello \xff\n").unwrap();
    });
    let mut tap = start_tap(&front, &behind, &["--format", "json"]);
    for connection in 1..=2 {
        let client = connect(&front);
        (&client)
            .write_all("\u{feff}Hello from C#\r\n".as_bytes())
            .unwrap();
        let mut answer = Vec::new();
        (&client).read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"Hello \xff\n");
        drop(client);

        let events = events_until(&mut tap, "close");
        assert!(
            events.iter().all(|event| event["connection"] == connection),
            "{events:?}"
        );
        assert_eq!(events[0]["event"], "open");
        let data: Vec<_> = events
            .iter()
            .filter(|event| event["event"] == "data")
            .collect();
        assert_eq!(data.len(), 2, "{events:?}");
        assert_eq!(data[0]["direction"], "client-to-server");
        assert_eq!(data[0]["text"], "\u{feff}Hello from C#\r\n");
        assert_eq!(data[0]["length"], 18);
        assert_eq!(data[1]["direction"], "server-to-client");
        assert_eq!(data[1]["text"], Value::Null, "it is no UTF-8");
        assert_eq!(data[1]["hex"], "48656c6c6f20ff0a");
        let end = events
            .iter()
            .find(|event| event["event"] == "end")
            .expect("an end");
        assert_eq!(end["direction"], "server-to-client");
        let times: Vec<_> = events
            .iter()
            .map(|event| event["elapsed"].as_f64().unwrap())
            .collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(events[0]["time"].as_str().unwrap().ends_with('Z'));
    }
    served.join().unwrap();
}

#[test]
fn big_binary_passes_bit_for_bit_and_is_shown_in_full() {
    let _watchdog = watchdog();
    const LENGTH: u64 = 3_000_000;
    let (front, behind) = (name("tap-big"), name("behind-tap-big"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let file = std::env::temp_dir().join(name("tap.jsonl"));
    let tap = start_tap(
        &front,
        &behind,
        &["--format", "json", "--output", file.to_str().unwrap()],
    );
    let client = connect(&front);
    let feeding = feed(client.try_clone().unwrap(), noise(1, LENGTH));
    assert_eq!(assert_starts_with(&client, noise(1, LENGTH)), 0);
    feeding.join().unwrap();
    // What is shown is written before it passes on or just after: the last of it is there when the file says so.
    let mut shown = [Vec::new(), Vec::new()];
    while shown
        .iter()
        .any(|bytes: &Vec<u8>| bytes.len() < LENGTH as usize)
    {
        shown = [Vec::new(), Vec::new()];
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                break;
            };
            if event["event"] != "data" {
                continue;
            }
            let hex = event["hex"].as_str().unwrap();
            let bytes = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            shown[usize::from(event["direction"] == "server-to-client")].extend(bytes);
        }
    }
    for bytes in shown {
        assert_is(&bytes[..], noise(1, LENGTH));
    }
    drop(tap);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn hex_and_text_for_people() {
    let _watchdog = watchdog();
    for (format, line) in [
        (
            "hex",
            "  00000000  48 69 0d 0a                                       Hi..\n",
        ),
        ("text", "client -> server  4 bytes  \"Hi\\r\\n\"\n"),
    ] {
        let (front, behind) = (name("tap-text"), name("behind-tap-text"));
        let served = server(&behind, 1, |stream| {
            (&stream).read_exact(&mut [0; 4]).unwrap();
        });
        let mut tap = start_tap(&front, &behind, &["--format", format]);
        let client = connect(&front);
        (&client).write_all(b"Hi\r\n").unwrap();
        let mut shown = tap.read_line();
        assert!(shown.contains("#1  connected"), "{shown}");
        while !shown.ends_with(line) {
            let more = tap.read_line();
            assert!(!more.contains("closed"), "{shown}");
            shown.push_str(&more);
        }
        assert!(!shown.contains('\u{1b}'), "colour is for terminals");
        served.join().unwrap();
    }
}

#[test]
fn a_program_that_comes_is_shown_to_its_end() {
    let _watchdog = watchdog();
    let behind = name("behind-exec-tap");
    let served = server(&behind, 1, |stream| {
        (&stream).read_exact(&mut [0; 11]).unwrap();
    });
    let npipe = env!("CARGO_BIN_EXE_npipe");
    let ended = run(&[
        "tap",
        &format!("exec:'{npipe}' --version"),
        &behind,
        "--format",
        "text",
    ])
    .done();
    assert!(ended.text().contains("\"npipe "), "{ended:?}");
    assert!(
        ended.text().lines().last().unwrap().contains("closed"),
        "{ended:?}"
    );
    served.join().unwrap();
}

/// Whoever comes next finds no server, rather than a socket that nobody serves.
fn assert_gone(front: &str) {
    let name = npipe::PipeName::new(front).unwrap();
    if cfg!(unix) {
        assert!(
            name.os_path().symlink_metadata().is_err(),
            "{name} was left"
        );
    }
    npipe::PipeListener::bind(front).unwrap();
}

/// Clients come until one of them is more than can be shown.
fn come_until_it_ends(front: &str, tap: &mut Running) {
    while tap.is_running() {
        // Whether one still comes in before the end is a matter of luck.
        let _ = npipe::PipeStream::connect(front);
    }
}

#[test]
fn whoever_stops_watching_ends_it_and_its_pipe() {
    let _watchdog = watchdog();
    let (front, behind) = (name("tap-head"), name("behind-tap-head"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let mut tap = start_tap(&front, &behind, &[]);
    tap.stdout = None;
    come_until_it_ends(&front, &mut tap);
    let ended = tap.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_gone(&front);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_it_and_its_pipe_and_is_named() {
    let _watchdog = watchdog();
    let full = || std::fs::File::options().write(true).open("/dev/full");
    for (options, place) in [
        (&["-o", "/dev/full"][..], "write /dev/full: "),
        (&[], "write to stdout: "),
    ] {
        let (front, behind) = (name("tap-full"), name("behind-tap-full"));
        let (_echo, _) = serve(&["listen", "--echo", &behind]);
        let mut command = npipe(&[&["tap", &front, &behind], options].concat());
        command.stdout(full().unwrap());
        let mut tap = start_command(command);
        tap.wait_said("listening on ");
        come_until_it_ends(&front, &mut tap);
        let ended = tap.wait();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(place), "{ended:?}");
        assert_gone(&front);
    }
}

#[test]
fn stdio_cannot_be_tapped() {
    let _watchdog = watchdog();
    let ended = run(&["tap", "stdio", &name("x")]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("tap shows on stdout"), "{ended:?}");
}
