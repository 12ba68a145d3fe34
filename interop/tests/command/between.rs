//! The command between two others: relays, taps, and programs that it starts.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use npipe_interop::{Dotnet, name, pattern};

use crate::npipe::{Npipe, PATIENCE, program};
use crate::who::{HALF_CLOSE, Who};

with_dotnet! {
    a_program_is_wired_to_a_dotnet_client,
    a_relay_is_between_a_dotnet_client_and_a_dotnet_server,
    a_relay_goes_through_a_program_to_dotnet,
    a_relay_takes_tcp_to_dotnet,
    a_relay_carries_a_half_close_to_dotnet,
    a_tap_between_dotnet_and_dotnet_shows_each_line_and_changes_nothing,
}

const MIB: usize = 1 << 20;

/// The conversation of the README, over whatever is between `front` and the server at `behind`.
fn converse(front: &str, behind: &str, between: impl FnOnce() -> Npipe) -> Npipe {
    let dotnet = Dotnet::first();
    let server = dotnet.server(behind).leaving(behind);
    server.wait_until_it_waits();
    let npipe = between();
    let client = dotnet.client(front);
    assert_eq!(server.finish(), ["Hello from C#", "C# is done"]);
    assert_eq!(client.finish(), ["Hello from C#"]);
    npipe
}

fn a_program_is_wired_to_a_dotnet_client() {
    let npipe = program();
    let npipe = npipe.to_str().expect("it is in target");
    // A program that says something and goes.
    let pipe = name("exec");
    let _listen = Npipe::serve(&["listen", &pipe, "--exec", npipe, "--version"], &pipe);
    let client = Who::Dotnet.peer("connect", &pipe, &["hear", "hear"]);
    client.expect("connecting");
    client.expect("connected");
    let version = client.line().unwrap();
    assert!(version.starts_with("heard npipe "), "{version}");
    client.expect("heard the end");
    client.finish();
    // One that talks: on to a .NET server.
    let (front, behind) = (name("exec"), name("behind-exec"));
    converse(&front, &behind, || {
        let words = ["listen", &front, "--exec", npipe, "connect", &behind];
        Npipe::serve(&words, &front)
    });
}

fn a_relay_is_between_a_dotnet_client_and_a_dotnet_server() {
    let (front, behind) = (name("relay"), name("behind-relay"));
    let relay = || Npipe::serve(&["relay", &front, &behind], &front);
    let relay = converse(&front, &behind, relay);

    const COUNT: usize = 8 * MIB;
    let exchange = format!("exchange={COUNT}");
    let words = ["async", "in=65536", "out=65536", &exchange];
    let server = Who::Dotnet.peer("serve", &behind, &words).leaving(&behind);
    server.expect("ready");
    let client = Who::Dotnet.peer("connect", &front, &["async", &exchange]);
    for said in [client.finish(), server.finish()] {
        assert!(said.contains(&format!("read {COUNT}")), "{said:?}");
        assert!(said.contains(&format!("wrote {COUNT}")), "{said:?}");
    }
    drop(relay);
}

fn a_relay_goes_through_a_program_to_dotnet() {
    let npipe = program();
    let (front, behind) = (name("relay"), name("behind-relay"));
    let to = format!("exec:'{}' connect {behind}", npipe.display());
    converse(&front, &behind, || {
        Npipe::serve(&["relay", &front, &to], &front)
    });
    let from = format!("exec:'{}' relay {front} stdio", npipe.display());
    converse(&front, &behind, || {
        // What it starts takes its socket away itself, and tells of it on the same stderr.
        let relay = Npipe::start(&["relay", &from, &behind]);
        relay.wait_until_it_says("listening on ");
        relay
    });
}

fn a_relay_takes_tcp_to_dotnet() {
    let behind = name("behind-tcp");
    let server = Who::Dotnet
        .peer("serve", &behind, &["read=100000", "write=100000"])
        .leaving(&behind);
    server.expect("ready");
    let relay = Npipe::start(&["relay", "tcp:127.0.0.1:0", &behind]);
    let place = relay.wait_until_it_says("listening on tcp:");
    let (_, address) = place.split_once("tcp:").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&pattern(100_000)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert!(
        all == pattern(100_000),
        "{} bytes came, or others",
        all.len()
    );
    server.expect("connected");
    server.expect("read 100000");
    server.expect("wrote 100000");
    server.finish();
}

fn a_relay_carries_a_half_close_to_dotnet() {
    // Where byte pipes have none, message pipes have.
    let (theirs, ours): (&[&str], &[&str]) = if HALF_CLOSE {
        (&[], &[])
    } else {
        (&["message"], &["--message"])
    };
    let (front, behind) = (name("half"), name("behind-half"));
    let words = [theirs, &["read=100000", "hear", "say=the answer"]].concat();
    let server = Who::Dotnet.peer("serve", &behind, &words).leaving(&behind);
    server.expect("ready");
    let _relay = Npipe::serve(&[&["relay", &front, &behind], ours].concat(), &front);
    let mut npipe = Npipe::start(&["connect", &front]);
    npipe.feed(100_000).join().unwrap();
    server.expect("connected");
    server.expect("read 100000");
    server.expect("heard the end");
    assert_eq!(npipe.line(), "the answer");
    npipe.end_of_output();
    server.finish();
}

fn a_tap_between_dotnet_and_dotnet_shows_each_line_and_changes_nothing() {
    // C#'s own line ends, as JSON and the text view write them.
    let end = if cfg!(windows) { r"\r\n" } else { r"\n" };
    let lines = [
        (true, "Hello from C#"),
        (false, "Hello from C#"),
        (true, "C# is done"),
    ];
    for format in ["text", "json"] {
        let (front, behind) = (name("tap"), name("behind-tap"));
        let mut tap = converse(&front, &behind, || {
            Npipe::serve(&["tap", &front, &behind, "--format", format], &front)
        });
        let shown = until_it_is_closed(&mut tap);
        let mut at = shown.iter();
        for (up, line) in lines {
            let direction = match (format, up) {
                ("text", true) => "client -> server",
                ("text", _) => "client <- server",
                (_, true) => "client-to-server",
                (_, false) => "server-to-client",
            };
            let line = format!("\"{line}{end}\"");
            assert!(
                at.any(|shown| shown.contains(direction) && shown.contains(&line)),
                "{direction}, {line}: {shown:#?}"
            );
        }
    }
    // And bytes that are no lines.
    let (front, behind) = (name("tap"), name("behind-tap"));
    let words = ["async", "in=65536", "out=65536", "exchange=1000000"];
    let server = Who::Dotnet.peer("serve", &behind, &words).leaving(&behind);
    server.expect("ready");
    let mut tap = Npipe::serve(&["tap", &front, &behind, "--format", "json"], &front);
    let client = Who::Dotnet.peer("connect", &front, &["async", "exchange=1000000"]);
    let shown = until_it_is_closed(&mut tap);
    for said in [client.finish(), server.finish()] {
        assert!(said.contains(&"read 1000000".to_owned()), "{said:?}");
    }
    for direction in ["client-to-server", "server-to-client"] {
        let lengths = shown
            .iter()
            .filter(|line| line.contains(direction))
            .filter_map(|line| line.split_once("\"length\":"))
            .filter_map(|(_, rest)| rest.split(',').next()?.parse::<usize>().ok());
        assert_eq!(lengths.sum::<usize>(), 1_000_000, "{direction}");
    }
}

/// What a tap shows of its first connection.
fn until_it_is_closed(tap: &mut Npipe) -> Vec<String> {
    let mut shown = Vec::new();
    loop {
        let line = tap.line();
        assert_ne!(line, "", "{shown:#?}");
        let closed = line.ends_with("closed") || line.contains("\"close\"");
        shown.push(line);
        if closed {
            return shown;
        }
    }
}
