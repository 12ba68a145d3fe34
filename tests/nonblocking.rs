//! Calls that would have to wait and may not: `WouldBlock`, and nothing is lost by it.

mod common;

use std::io::{ErrorKind, Read, Write};

use common::{name, pair, pair_on, read_all, watchdog};
use npipe::PipeListener;
#[cfg(any(windows, target_os = "linux"))]
use npipe::{ListenOptions, PipeStream};

fn would_block<T: std::fmt::Debug>(result: std::io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
}

#[test]
fn a_read_or_an_accept_of_nothing_would_block() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("nothing")).unwrap();
    listener.set_nonblocking(true).unwrap();
    would_block(listener.accept());
    listener.set_nonblocking(false).unwrap();
    let (server, client) = pair_on(&listener);
    server.set_nonblocking(true).unwrap();
    would_block((&server).read(&mut [0; 8]));
    (&client).write_all(b"hello").unwrap();
    let mut word = [0; 8];
    // It is there at once, on every system.
    assert_eq!((&server).read(&mut word).unwrap(), 5);
    would_block((&server).read(&mut word));
    drop(client);
    assert_eq!((&server).read(&mut word).unwrap(), 0);
}

#[test]
fn a_full_pipe_would_block_and_goes_on_later() {
    let _watchdog = watchdog(120);
    for server_writes in [true, false] {
        let (_listener, server, client) = pair("full");
        let (mut writer, mut reader) = match server_writes {
            true => (server, client),
            false => (client, server),
        };
        writer.set_nonblocking(true).unwrap();
        let mut written = 0;
        let piece: Vec<u8> = (0..10_000).map(|i| i as u8).collect();
        let mut rounds = 0;
        while rounds < 3 {
            match (&writer).write(&piece[written % 256..]) {
                Ok(length) => written += length,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    rounds += 1;
                    let mut some = vec![0; written];
                    if rounds == 1 {
                        assert!(written > 1000, "{written}");
                        reader.read_exact(&mut some).unwrap();
                        assert!(some.iter().enumerate().all(|(i, &byte)| byte == i as u8));
                        written = 0;
                        // The system may take its time to find that all has been read.
                        while writer.write(&piece[..1]).is_err() {
                            std::thread::yield_now();
                        }
                        written += 1;
                    }
                }
            }
        }
        writer.set_nonblocking(false).unwrap();
        drop(writer);
        let rest = read_all(&reader).unwrap();
        assert_eq!(rest.len(), written);
        assert!(rest.iter().enumerate().all(|(i, &byte)| byte == i as u8));
    }
}

#[cfg(any(windows, target_os = "linux"))]
#[test]
fn messages_go_as_a_whole_or_would_block() {
    let _watchdog = watchdog(120);
    let listener = ListenOptions::new()
        .message_mode(true)
        .bind(name("messages"))
        .unwrap();
    let (server, client) = pair_on(&listener);
    let fill = |stream: &PipeStream| {
        stream.set_nonblocking(true).unwrap();
        let mut sent = 0;
        loop {
            match stream.send(&[7; 1000]) {
                Ok(()) => sent += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    break;
                }
            }
        }
        stream.set_nonblocking(false).unwrap();
        sent
    };
    let sent = fill(&client);
    assert!(sent > 0);
    let mut message = Vec::new();
    for _ in 0..sent {
        message.clear();
        assert_eq!(server.recv(&mut message).unwrap(), Some(1000));
    }
    // The system may take its time to find that all has been read.
    client.set_nonblocking(true).unwrap();
    while let Err(error) = client.send(b"more") {
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        std::thread::yield_now();
    }
    message.clear();
    assert_eq!(server.recv(&mut message).unwrap(), Some(4));
}
