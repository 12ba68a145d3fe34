//! `demo`: the conversation, whole and by halves, and the C# for it.

use std::io::{BufRead, BufReader, Write};

use npipe::PipeListener;

use crate::harness::*;

#[test]
fn two_processes_hold_the_conversation() {
    let _watchdog = watchdog();
    let name = name("demo");
    let ended = run(&["demo", &name]).done();
    let said: Vec<_> = ended
        .text()
        .lines()
        .filter(|line| line.contains("s: "))
        .collect();
    let conversation = [
        "client | says: Hello from Rust",
        "server | hears: Hello from Rust",
        "server | says: Hello from Rust",
        "client | hears: Hello from Rust",
        "client | says: Rust is done",
        "server | hears: Rust is done",
    ];
    assert_eq!(said, conversation);
    assert!(ended.text().lines().next().unwrap().contains(&name));
    assert!(ended.text().contains("npipe demo --csharp server"));
    assert_eq!(ended.stderr, "");
}

/// As C# says it on Windows: a byte order mark first, and lines that end in CR LF.
const CSHARP: [&str; 2] = ["\u{feff}Hello from C#\r\n", "C# is done\r\n"];

#[test]
fn the_server_half_hears_a_csharp_client() {
    let _watchdog = watchdog();
    let name = name("demo-server");
    let server = start(&["demo", "--as", "server", &name]);
    let client = connect(&name);
    let mut reader = BufReader::new(&client);
    let mut line = String::new();
    (&client).write_all(CSHARP[0].as_bytes()).unwrap();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "Hello from Rust\n");
    (&client).write_all(CSHARP[1].as_bytes()).unwrap();
    drop(reader);
    drop(client);
    let ended = server.wait().done();
    let heard: Vec<_> = ended
        .text()
        .lines()
        .filter(|line| line.contains("hears"))
        .collect();
    assert_eq!(
        heard,
        [
            "server | hears: Hello from C#",
            "server | hears: C# is done"
        ]
    );
}

#[test]
fn the_client_half_waits_for_a_csharp_server() {
    let _watchdog = watchdog();
    let name = name("demo-client");
    let mut client = start(&["demo", "--as", "client", &name]);
    assert_eq!(client.read_line(), "client | looks for a server\n");
    let listener = PipeListener::bind(&name).unwrap();
    let stream = listener.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    (&stream).write_all(CSHARP[0].as_bytes()).unwrap();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "Hello from Rust\nRust is done\n");
    let ended = client.wait().done();
    assert!(
        ended.text().contains("client | hears: Hello from C#\n"),
        "{ended:?}"
    );
}

#[test]
fn a_half_whose_other_side_leaves_early_says_so() {
    let _watchdog = watchdog();
    let name = name("demo-early");
    let client = start(&["demo", "--as", "client", &name]);
    server(&name, 1, drop).join().unwrap();
    let ended = client.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("closed the pipe"), "{ended:?}");
}

#[test]
fn the_csharp_is_whole() {
    let _watchdog = watchdog();
    for (side, class) in [
        ("server", "NamedPipeServerStream"),
        ("client", "NamedPipeClientStream"),
    ] {
        let ended = run(&["demo", "--csharp", side]).done();
        assert!(ended.text().contains(class) && ended.text().trim_end().ends_with('}'));
    }
}

#[test]
fn whoever_stops_watching_ends_it_quietly() {
    let _watchdog = watchdog();
    for lines in 1..8 {
        let mut demo = start(&["demo", &name("demo-head")]);
        for _ in 0..lines {
            demo.read_line();
        }
        demo.stdout = None;
        let ended = demo.wait();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_name_that_is_taken_is_told() {
    let _watchdog = watchdog();
    let name = name("demo-taken");
    let listener = PipeListener::bind(&name).unwrap();
    let ended = run(&["demo", &name]);
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(&name), "{ended:?}");
    assert_eq!(ended.text(), "");
    // And nobody has come to that server.
    listener
        .set_deadline(Some(std::time::Instant::now()))
        .unwrap();
    let came = listener.accept().unwrap_err();
    assert_eq!(came.kind(), std::io::ErrorKind::TimedOut, "{came}");
}
