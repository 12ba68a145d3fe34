//! The library and .NET on one pipe: much data, many clients, rude ends.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{ListenOptions, PipeListener, PipeStream, Security};
use npipe_interop::{Dotnet, Peer, exchange, name, pattern, read_to_the_end, watchdog};

const MIB: usize = 1 << 20;

/// How soon "at once" is, on a machine that is busy with other tests. A hang is what this tells apart.
const AT_ONCE: Duration = Duration::from_secs(5);

fn listener() -> (String, PipeListener) {
    let pipe = name("rust");
    let listener = PipeListener::bind(&pipe).unwrap();
    (pipe, listener)
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn one_mebibyte_is_echoed_by_dotnet() {
    let _watchdog = watchdog();
    // .NET's own buffer sizes are 0 and 0: on Windows each write then waits for its reader.
    for sizes in [
        &["echo"][..],
        &["in=65536", "out=65536", "echo"],
        &["async", "echo"],
    ] {
        let (server, stream) = Dotnet::first().serves(sizes);
        exchange(&stream, MIB);
        drop(stream);
        server.expect(&format!("echoed {MIB}"));
        server.finish();
    }
    let (_pipe, listener) = listener();
    let (client, stream) = Dotnet::first().connects(&listener, &["echo"]);
    exchange(&stream, MIB);
    drop(stream);
    client.expect(&format!("echoed {MIB}"));
    client.finish();
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn one_mebibyte_each_way_at_once() {
    let _watchdog = watchdog();
    let words = ["async", &format!("exchange={MIB}")];
    let (_pipe, listener) = listener();
    let (client, stream) = Dotnet::first().connects(&listener, &words);
    exchange(&stream, MIB);
    let said = client.finish();
    assert!(said.contains(&format!("read {MIB}")), "{said:?}");
    assert_eq!(read_to_the_end(&stream), b"");

    let (server, stream) = Dotnet::first().serves(&words);
    exchange(&stream, MIB);
    let said = server.finish();
    assert!(said.contains(&format!("read {MIB}")), "{said:?}");
    assert_eq!(read_to_the_end(&stream), b"");
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn what_was_written_before_the_end_is_read_by_dotnet() {
    let _watchdog = watchdog();
    let (_pipe, listener) = listener();
    let (client, mut stream) = Dotnet::first().connects(&listener, &["read=50000", "hear"]);
    stream.write_all(&pattern(50_000)).unwrap();
    drop(stream);
    client.expect("read 50000");
    client.expect("heard the end");
    client.finish();
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_closes_with_our_bytes_unread() {
    let _watchdog = watchdog();
    let (_pipe, listener) = listener();
    for said in [false, true] {
        let words: &[&str] = if said {
            &["say=bye", "pause", "close"]
        } else {
            &["pause", "close"]
        };
        let expected = if said { "bye" } else { "" };
        let check = |mut peer: Peer, stream: PipeStream| {
            (&stream).write_all(b"never read").unwrap();
            peer.go();
            peer.expect("closed");
            let got = String::from_utf8(read_to_the_end(&stream)).unwrap();
            assert_eq!(got.trim_end(), expected);
            assert_eq!(
                (&stream).write(b"too late").unwrap_err().kind(),
                ErrorKind::BrokenPipe
            );
            peer.finish();
        };
        let (client, stream) = Dotnet::first().connects(&listener, words);
        check(client, stream);
        // A server with buffers: without them, on Windows, our write waits for a read that never comes.
        let (server, stream) = Dotnet::first().serves(&[&["in=4096", "out=4096"], words].concat());
        check(server, stream);
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn many_dotnet_clients_at_once() {
    let _watchdog = watchdog();
    const CLIENTS: usize = 60;
    let pipe = name("many");
    let listener = PipeListener::bind(&pipe).unwrap();
    let clients = Dotnet::first().peer(&[
        "connect",
        &pipe,
        &format!("times={CLIENTS}"),
        "timeout=60000",
        "say=one of many",
        "hear",
    ]);
    thread::scope(|scope| {
        for stream in listener.incoming().take(CLIENTS) {
            let stream = stream.unwrap();
            scope.spawn(move || {
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                assert_eq!(line.trim_end(), "one of many");
                writeln!(&stream, "welcome").unwrap();
            });
        }
    });
    let said = clients.finish();
    let heard = said.iter().filter(|line| *line == "heard welcome").count();
    assert_eq!(heard, CLIENTS, "{said:?}");
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn one_dotnet_server_after_the_other() {
    let _watchdog = watchdog();
    let pipe = name("again");
    let server = Dotnet::first().peer(&["serve", &pipe, "times=5", "hear", "say=next"]);
    for round in 0..5 {
        server.expect("ready");
        let stream = npipe::ConnectOptions::new()
            .wait_for_server(true)
            .timeout(Duration::from_secs(30))
            .connect(&pipe)
            .unwrap();
        writeln!(&stream, "round {round}").unwrap();
        let got = String::from_utf8(read_to_the_end(&stream)).unwrap();
        assert_eq!(got.trim_end(), "next");
        server.expect("connected");
        server.expect(&format!("heard round {round}"));
    }
    server.finish();
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn only_the_owner_is_served_and_dotnet_is_the_owner() {
    let _watchdog = watchdog();
    let pipe = name("owner");
    let listener = ListenOptions::new()
        .security(Security::OwnerOnly)
        .bind(&pipe)
        .unwrap();
    // .NET's own check of the other side's user, too.
    for words in [
        &["say=mine", "hear"][..],
        &["current-user", "say=mine", "hear"],
    ] {
        let (client, stream) = Dotnet::first().connects(&listener, words);
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), "mine");
        writeln!(&stream, "ours").unwrap();
        client.expect("heard ours");
        client.finish();
    }
    // And our client with a server that admits its own user alone.
    let (server, stream) = Dotnet::first().serves(&["current-user", "hear"]);
    writeln!(&stream, "yours").unwrap();
    server.expect("heard yours");
    server.finish();
}

/// What our side is doing when the other one is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Nothing yet.
    Connected,
    /// Blocked in a read.
    Reading,
    /// Blocked in a write that the peer does not read.
    Writing,
    /// In the middle of much data that comes in.
    Receiving,
}

fn killed_at(moment: Moment, mut peer: Peer, stream: &PipeStream) {
    let killed = match moment {
        Moment::Connected => {
            peer.kill();
            Instant::now()
        }
        Moment::Reading => thread::scope(|scope| {
            let reading = scope.spawn(|| read_to_the_end(stream));
            peer.kill();
            let killed = Instant::now();
            assert_eq!(reading.join().unwrap(), b"");
            killed
        }),
        Moment::Writing => thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let chunk = pattern(65_536);
                loop {
                    if let Err(error) = (&mut &*stream).write_all(&chunk) {
                        break error;
                    }
                }
            });
            // The peer has our first bytes, and reads no more.
            peer.expect("read 1000");
            peer.kill();
            let killed = Instant::now();
            assert_eq!(writing.join().unwrap().kind(), ErrorKind::BrokenPipe);
            killed
        }),
        Moment::Receiving => {
            let mut some = vec![0; 100_000];
            (&mut &*stream).read_exact(&mut some).unwrap();
            peer.kill();
            let killed = Instant::now();
            some.extend(read_to_the_end(stream));
            assert!(
                pattern(some.len()) == some,
                "what came is not what was sent"
            );
            killed
        }
    };
    assert_eq!(read_to_the_end(stream), b"");
    let error = (&mut &*stream).write(b"nobody there").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{moment:?}");
    assert!(
        killed.elapsed() < AT_ONCE,
        "{moment:?}: {:?}",
        killed.elapsed()
    );
}

fn words_for(moment: Moment) -> &'static [&'static str] {
    match moment {
        Moment::Connected | Moment::Reading => &["pause"],
        Moment::Writing => &["read=1000", "pause"],
        Moment::Receiving => &["write=100000000"],
    }
}

const MOMENTS: [Moment; 4] = [
    Moment::Connected,
    Moment::Reading,
    Moment::Writing,
    Moment::Receiving,
];

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_dotnet_client_that_is_killed_is_an_end_and_the_listener_goes_on() {
    let _watchdog = watchdog();
    let (_pipe, listener) = listener();
    for moment in MOMENTS {
        let (client, stream) = Dotnet::first().connects(&listener, words_for(moment));
        killed_at(moment, client, &stream);
    }
    let (client, stream) = Dotnet::first().connects(&listener, &["say=still there", "hear"]);
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), "still there");
    drop(stream);
    client.expect("heard the end");
    client.finish();
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_dotnet_server_that_is_killed_is_an_end() {
    let _watchdog = watchdog();
    for moment in MOMENTS {
        let (server, stream) = Dotnet::first().serves(words_for(moment));
        killed_at(moment, server, &stream);
    }
}
