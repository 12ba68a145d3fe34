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
        assert_eq!(data[0]["base64"], Value::Null, "one of both is enough");
        assert_eq!(data[1]["text"], Value::Null, "it is no UTF-8");
        assert_eq!(data[1]["base64"], "SGVsbG8g/wo=");
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

/// What base64 stands for.
fn unbase64(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, &letter| bits << 6 | u32::from(value(letter)));
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
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
            let bytes = match event["text"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => unbase64(event["base64"].as_str().unwrap()),
            };
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
fn as_much_as_is_asked_for_of_what_is_asked_for() {
    let _watchdog = watchdog();
    let (front, behind) = (name("tap-filter"), name("behind-tap-filter"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let options = [
        "--format", "text", "--bytes", "4", "--only", "server", "--match", "two",
    ];
    let mut tap = start_tap(&front, &behind, &options);
    let client = connect(&front);
    for line in ["one\n", "two three\n"] {
        (&client).write_all(line.as_bytes()).unwrap();
        let mut echoed = vec![0; line.len()];
        (&client).read_exact(&mut echoed).unwrap();
    }
    let line = tap.read_line();
    let clock = line.split("  ").next().unwrap();
    assert!(
        clock.ends_with('Z') && clock.len() == "12:34:56.789012Z".len(),
        "{line}"
    );
    let shown = "client <- server  10 bytes  \"two \" and 6 bytes more\n";
    assert!(line.ends_with(shown), "{line}");
}

#[test]
fn http_is_shown_as_requests_and_answers() {
    let _watchdog = watchdog();
    let (front, behind) = (name("tap-http"), name("behind-tap-http"));
    let served = server(&behind, 1, |stream| {
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";
        (&stream).write_all(answer.as_bytes()).unwrap();
    });
    let mut tap = start_tap(&front, &behind, &["--format", "http"]);
    let client = connect(&front);
    (&client)
        .write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    (&client).read_to_end(&mut answer).unwrap();
    drop(client);
    let mut shown = String::new();
    while !shown.contains("closed") {
        shown += &tap.read_line();
    }
    for part in [
        "client -> server  GET /version HTTP/1.1\n  Host: x\n",
        "client <- server  HTTP/1.1 200 OK  after ",
        "  Content-Type: text/plain\n  Content-Length: 6\n  (6 bytes)\n  hello\n",
    ] {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    served.join().unwrap();
}

#[test]
fn what_passed_is_a_file_for_wireshark_too() {
    let _watchdog = watchdog();
    let (front, behind) = (name("tap-pcap"), name("behind-tap-pcap"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let file = std::env::temp_dir().join(name("tap.pcapng"));
    let mut tap = start_tap(
        &front,
        &behind,
        &["--format", "json", "--pcapng", file.to_str().unwrap()],
    );
    let client = connect(&front);
    (&client).write_all(b"in the capture").unwrap();
    (&client).read_exact(&mut [0; 14]).unwrap();
    drop(client);
    events_until(&mut tap, "close");
    // What is shown first is written last, or a moment before.
    drop(tap);
    let capture = std::fs::read(&file).unwrap();
    // Blocks, each with its length before and behind it: a section, an interface, and packets.
    let mut kinds = Vec::new();
    let mut packets = Vec::new();
    let mut at = 0;
    while at < capture.len() {
        let word = |at: usize| u32::from_ne_bytes(capture[at..at + 4].try_into().unwrap());
        let word = |at| {
            if word(8) == 0x1a2b_3c4d {
                word(at)
            } else {
                word(at).swap_bytes()
            }
        };
        let (kind, length) = (word(at), word(at + 4) as usize);
        assert_eq!(word(at + length - 4) as usize, length);
        kinds.push(kind);
        if kind == 6 {
            let packet = &capture[at + 28..at + 28 + word(at + 20) as usize];
            assert_eq!(packet[0], 0x45, "an IP packet");
            packets.push(packet.to_vec());
        }
        at += length;
    }
    assert_eq!(kinds[..2], [0x0a0d_0d0a, 1]);
    assert!(kinds[2..].iter().all(|&kind| kind == 6), "{kinds:?}");
    let with = packets
        .iter()
        .filter(|packet| packet.ends_with(b"in the capture"));
    assert_eq!(with.count(), 2, "there and back");
    std::fs::remove_file(file).unwrap();
}

#[cfg(unix)]
#[test]
fn whoever_stops_watching_cuts_off_nobody() {
    let _watchdog = watchdog();
    let (front, behind) = (name("tap-left"), name("behind-tap-left"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let mut tap = start_tap(&front, &behind, &[]);
    let client = connect(&front);
    (&client).write_all(b"x").unwrap();
    (&client).read_exact(&mut [0; 1]).unwrap();
    tap.stdout = None;
    for _ in 0..20 {
        (&client).write_all(b"y").unwrap();
        (&client).read_exact(&mut [0; 1]).unwrap();
    }
    assert!(tap.is_running());
    drop(client);
    assert_eq!(tap.wait().code, Some(0));
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
