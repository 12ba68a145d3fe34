//! `--message`: boundaries that are kept, and the ends that message pipes have.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use npipe::{ListenOptions, PipeStream};
use serde_json::Value;

use crate::harness::*;

fn recv(stream: &PipeStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    stream.recv(&mut message).unwrap().map(|length| {
        assert_eq!(length, message.len());
        message
    })
}

#[test]
fn a_line_is_a_message_and_a_message_is_a_line() {
    let _watchdog = watchdog();
    let name = name("lines-as-messages");
    let (mut listen, _) = serve(&["listen", "--message", &name]);
    let client = connect(&name);
    listen.write("one\n\nthree\r\nthe last has no end");
    listen.end_stdin();
    for message in ["one", "", "three", "the last has no end"] {
        assert_eq!(recv(&client).unwrap(), message.as_bytes());
    }
    assert_eq!(
        recv(&client).unwrap(),
        b"",
        "stdin's end is the empty message"
    );
    client.send(b"back").unwrap();
    client.send(b"").unwrap();
    client.send(b"again").unwrap();
    drop(client);
    assert_eq!(listen.wait().done().text(), "back\n\nagain\n");
}

#[test]
fn after_a_half_close_the_answer_may_take_its_time() {
    let _watchdog = watchdog();
    let name = name("late-answer");
    let (mut listen, _) = serve(&["listen", "--message", &name]);
    let client = connect(&name);
    client.send(b"question").unwrap();
    client.close_write().unwrap();
    assert_eq!(listen.read_line(), "question\n");
    // All that it could take for the end has come: it waits all the same.
    let soon = Instant::now() + Duration::from_millis(1500);
    client.set_read_deadline(Some(soon)).unwrap();
    let error = client.recv(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    client.set_read_deadline(None).unwrap();
    listen.write("answer\n");
    assert_eq!(recv(&client).unwrap(), b"answer");
    drop(client);
    listen.end_stdin();
    listen.wait().done();
}

/// Both have nothing more to say: neither waits for the other, and neither takes the other's half close for a line.
#[test]
fn two_half_closes_are_the_end() {
    let _watchdog = watchdog();
    let name = name("two-half-closes");
    let (mut listen, _) = serve(&["listen", "--message", &name]);
    let mut connect = start(&["connect", "--message", &name]);
    connect.write("question\n");
    assert_eq!(listen.read_line(), "question\n");
    connect.end_stdin();
    listen.write("answer\n\nand more\n");
    listen.end_stdin();
    assert_eq!(connect.wait().done().text(), "answer\n\nand more\n");
    assert_eq!(listen.wait().done().text(), "");
}

#[test]
fn a_half_close_of_messages_passes_through_to_an_echo_and_back() {
    let _watchdog = watchdog();
    let back = name("message-echo");
    let _echo = serve(&["listen", "--echo", "--message", &back]);
    for command in ["relay", "tap"] {
        let front = name(command);
        let _between = serve(&[command, "--message", &front, &back]);
        for name in [&front, &back] {
            let mut connect = start(&["connect", "--message", name]);
            connect.write("a\n\nb\n");
            connect.end_stdin();
            assert_eq!(connect.wait().done().text(), "a\n\nb\n", "{command}");
        }
    }
}

/// An empty message may be the end, but what begins within the time to find out is whole all the same.
#[test]
fn a_long_message_behind_an_empty_one_is_not_cut() {
    const LENGTH: usize = 64 << 20;
    let _watchdog = watchdog();
    let name = name("behind-empty");
    let (mut listen, _) = serve(&["listen", "--message=raw", &name]);
    listen.end_stdin();
    let client = connect(&name);
    let message = vec![b'x'; LENGTH];
    client.send(b"").unwrap();
    client.send(&message).unwrap();
    client.send(b"and more").unwrap();
    drop(client);
    let ended = listen.wait().done();
    assert_eq!(ended.stdout.len(), LENGTH + 8);
    assert!(ended.stdout[..LENGTH] == message && ended.stdout.ends_with(b"and more"));
}

#[test]
fn other_forms_of_a_message() {
    let _watchdog = watchdog();
    let name = name("forms");
    let (mut listen, _) = serve(&["listen", "--message=nul", "--keep", "-v", &name]);
    let mut connect = start(&["connect", "--message=raw", &name]);
    listen.write(b"a\nb\0\0c\0");
    let mut got = [0; 4];
    connect
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut got)
        .unwrap();
    assert_eq!(&got, b"a\nbc");
    connect.write("x\ny\n");
    connect.end_stdin();
    let mut got = [0; 5];
    listen
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut got)
        .unwrap();
    assert_eq!(&got, b"x\ny\n\0");
}

#[test]
fn without_the_option_a_message_pipe_is_bytes() {
    let _watchdog = watchdog();
    let name = name("message-bytes");
    let listener = ListenOptions::new().message_mode(true).bind(&name).unwrap();
    let mut connect = start(&["connect", &name]);
    let stream = listener.accept().unwrap();
    let feeding = feed(connect.stdin.take().unwrap(), noise(1, 3_000_000));
    // A half close on both systems: it ends with the empty message.
    assert_is(&stream, noise(1, 3_000_000));
    feeding.join().unwrap();
    let answering = std::thread::spawn(move || {
        std::io::copy(&mut noise(2, 3_000_000), &mut &stream).unwrap();
        stream.close_write().unwrap();
        stream
    });
    // Both ways have ended then, whether or not the server goes.
    assert_is(connect.stdout.take().unwrap(), noise(2, 3_000_000));
    let _stream = answering.join().unwrap();
    connect.wait().done();
}

#[test]
fn a_byte_pipe_has_no_messages() {
    let _watchdog = watchdog();
    let name = name("no-messages");
    let (_listen, _) = serve(&["listen", "--keep", &name]);
    let ended = run(&["connect", "--message", &name]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("leave --message out"), "{ended:?}");
}

/// A server that sends back each message until the client has gone.
fn echo(name: &str, clients: usize) -> std::thread::JoinHandle<()> {
    let listener = ListenOptions::new().message_mode(true).bind(name).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(clients) {
            let stream = stream.unwrap();
            while let Some(message) = recv(&stream) {
                stream.send(&message).unwrap();
            }
        }
    })
}

#[test]
fn relay_and_tap_keep_boundaries_and_change_nothing() {
    let _watchdog = watchdog();
    let mut big = vec![0; 1_000_000];
    noise(3, big.len() as u64).read_exact(&mut big).unwrap();
    let messages = [&b"one"[..], b"", b"three", &big];
    for command in ["relay", "tap"] {
        let (front, behind) = (name("front"), name("behind"));
        let echo = echo(&behind, 1);
        let mut args = vec![command, "--message", &front, &behind];
        if command == "tap" {
            // The form is for stdio, which a tap has not.
            args[1] = "--message=raw";
            args.extend(["--format", "json"]);
        }
        let (mut relay, _) = serve(&args);
        let client = connect(&front);
        for message in messages {
            client.send(message).unwrap();
            if command == "tap" && message == messages[0] {
                let opened: Value = serde_json::from_str(&relay.read_line()).unwrap();
                assert_eq!(opened["event"], "open");
            }
            if command == "tap" {
                for direction in ["client-to-server", "server-to-client"] {
                    let event: Value = serde_json::from_str(&relay.read_line()).unwrap();
                    assert_eq!(event["event"], "message");
                    assert_eq!(event["direction"], direction);
                    assert_eq!(event["length"], message.len());
                }
            }
            assert_eq!(recv(&client).unwrap(), message);
        }
        drop(client);
        echo.join().unwrap();
    }
}

#[test]
fn relay_frames_stdio() {
    let _watchdog = watchdog();
    let behind = name("behind-stdio");
    let listener = ListenOptions::new()
        .message_mode(true)
        .bind(&behind)
        .unwrap();
    for (form, end) in [("--message", "\n"), ("--message=nul", "\0")] {
        let mut relay = start(&["relay", form, "stdio", &behind]);
        let server = listener.accept().unwrap();
        relay.write(format!("one{end}{end}three{end}"));
        for message in ["one", "", "three"] {
            assert_eq!(recv(&server).unwrap(), message.as_bytes());
        }
        server.send(b"back").unwrap();
        server.send(b"again").unwrap();
        drop(server);
        let ended = relay.finish().done();
        assert_eq!(ended.text(), format!("back{end}again{end}"));
    }
    let front = name("front-stdio");
    let (mut relay, _) = serve(&["relay", "--message", &front, "stdio"]);
    let client = connect(&front);
    client.send(b"one").unwrap();
    client.send(b"two").unwrap();
    assert_eq!([relay.read_line(), relay.read_line()], ["one\n", "two\n"]);
    relay.write("three\n");
    assert_eq!(recv(&client).unwrap(), b"three");
    drop(client);
    relay.finish().done();
}

#[test]
fn relay_frames_no_stdio_before_bytes() {
    let _watchdog = watchdog();
    let name = name("bytes-behind-stdio");
    let (_listen, _) = serve(&["listen", "--keep", &name]);
    let ended = run(&["relay", "--message", "stdio", &name]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains(&name) && ended.stderr.contains("leave --message out"),
        "{ended:?}"
    );
}

#[test]
fn echo_keeps_boundaries() {
    let _watchdog = watchdog();
    let name = name("echo-messages");
    let (_echo, _) = serve(&["listen", "--echo", "--message", &name]);
    let client = connect(&name);
    for message in [&b"one"[..], b"", b"three"] {
        client.send(message).unwrap();
        assert_eq!(recv(&client).unwrap(), message);
    }
}

/// On Windows too: this is the half close that Docker's clients use.
#[test]
fn a_half_close_passes_between_a_message_pipe_and_tcp() {
    let _watchdog = watchdog();
    let name = name("message-tcp");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("tcp:{}", listener.local_addr().unwrap());
    let (_relay, _) = serve(&["relay", "--message", &name, &there]);
    let client = connect(&name);
    let (mut server, _) = listener.accept().unwrap();
    (&client).write_all(b"a question").unwrap();
    client.close_write().unwrap();
    let mut question = String::new();
    server.read_to_string(&mut question).unwrap();
    assert_eq!(question, "a question");
    server.write_all(b"an answer").unwrap();
    server.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    (&client).read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "an answer");
}

#[test]
fn a_pipe_that_goes_one_way() {
    let _watchdog = watchdog();
    for (server, client) in [("r", "w"), ("w", "r"), ("r", "rw")] {
        let name = name("one-way");
        let (mut listen, _) = serve(&["listen", "--access", server, &name]);
        let mut connect = start(&["connect", "--access", client, &name]);
        let (from, to) = if server == "r" {
            (&mut connect, &mut listen)
        } else {
            (&mut listen, &mut connect)
        };
        from.write("over there\n");
        assert_eq!(to.read_line(), "over there\n");
        from.end_stdin();
        if cfg!(windows) && client == "rw" {
            let ended = connect.wait();
            assert_eq!(ended.code, Some(5), "{ended:?}");
            assert!(
                ended.stderr.contains("; open it with --access w"),
                "{ended:?}"
            );
        } else if client != "rw" {
            connect.wait().done();
            listen.wait().done();
        }
    }
}
