//! A process that is killed, at any moment: the other end sees the end at once, and the listener goes on.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use common::{name, pattern, role, spawn_role, watchdog};
use npipe::{ConnectOptions, PipeListener, PipeStream};

/// Echoes until its end, or until it is killed.
fn echo(mut stream: PipeStream) {
    let mut buffer = vec![0; 8192];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
}

/// What the survivor sees: an end of file or a broken pipe, and nothing else.
fn is_over(result: std::io::Result<usize>) -> bool {
    match result {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
            true
        }
    }
}

/// Talks with `stream` until the peer has gone; kills it after `rounds`.
fn talk(stream: &PipeStream, rounds: usize, kill: impl FnOnce()) {
    let mut kill = Some(kill);
    let sent = pattern(1, 3000);
    let mut buffer = vec![0; 8192];
    let mut died = None;
    for round in 0.. {
        if round >= rounds {
            if let Some(kill) = kill.take() {
                kill();
                died = Some(Instant::now());
            }
        }
        let mut stream = stream;
        if is_over(stream.write(&sent)) || is_over(stream.read(&mut buffer)) {
            break;
        }
    }
    let took = died.expect("killed").elapsed();
    assert!(
        took < Duration::from_secs(5),
        "{took:?} from death to its news"
    );
}

fn patient() -> ConnectOptions {
    ConnectOptions::new()
        .timeout(Duration::from_secs(30))
        .wait_for_server(true)
}

#[test]
fn a_killed_client_is_end_of_file_or_broken_pipe() {
    if let Some(name) = role() {
        echo(patient().connect(name).unwrap());
        return;
    }
    let _watchdog = watchdog(120);
    let name = name("client");
    let listener = PipeListener::bind(&name).unwrap();
    for rounds in [0, 1, 2, 10, 100] {
        let mut client = spawn_role(&name);
        let stream = listener.accept().unwrap();
        talk(&stream, rounds, || client.kill());
    }
    // One that dies while we only wait for it.
    let mut client = spawn_role(&name);
    let stream = listener.accept().unwrap();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| is_over((&stream).read(&mut [0])));
        client.kill();
        assert!(reading.join().unwrap());
    });
    // And the next one is served.
    let _client = spawn_role(&name);
    let mut stream = listener.accept().unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

#[test]
fn a_killed_server_is_end_of_file_or_broken_pipe_and_leaves_its_name_free() {
    if let Some(name) = role() {
        let listener = PipeListener::bind(name).unwrap();
        for stream in listener.incoming() {
            echo(stream.unwrap());
        }
        return;
    }
    let _watchdog = watchdog(120);
    let name = name("server");
    for rounds in [0, 1, 2, 10, 100] {
        let mut server = spawn_role(&name);
        let stream = patient().connect(&name).unwrap();
        talk(&stream, rounds, || server.kill());
    }
    // One that dies before it has accepted somebody who waits for it.
    let mut server = spawn_role(&name);
    let _served = patient().connect(&name).unwrap();
    let waits = patient().connect(&name).unwrap();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| is_over((&waits).read(&mut [0])));
        server.kill();
        assert!(reading.join().unwrap());
    });
    // Nothing that it left stands in the way of the next one.
    drop((_served, waits));
    PipeListener::bind(&name).unwrap();
}
