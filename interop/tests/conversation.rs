//! The conversation of the README, word for word, in every pairing of Rust and C#.

use std::io::{BufRead, BufReader, Write};
use std::thread;
use std::time::Duration;

use npipe::{ConnectOptions, PipeListener};
use npipe_interop::{Dotnet, Peer, name, watchdog};

fn rust_server(pipe: &str) -> Peer {
    Peer::run(env!("CARGO_BIN_EXE_rust-server"), &[pipe])
}

fn rust_client(pipe: &str) -> Peer {
    Peer::run(env!("CARGO_BIN_EXE_rust-client"), &[pipe])
}

/// Runs a whole conversation and checks what both sides print.
fn converse(server: (&str, &dyn Fn(&str) -> Peer), client: (&str, &dyn Fn(&str) -> Peer)) {
    let pipe = name("conversation");
    let serving = server.1(&pipe);
    serving.wait_until_it_waits();
    let calling = client.1(&pipe);
    assert_eq!(
        serving.finish(),
        [
            format!("Hello from {}", client.0),
            format!("{} is done", client.0)
        ]
    );
    assert_eq!(calling.finish(), [format!("Hello from {}", server.0)]);
}

#[test]
fn rust_server_rust_client() {
    let _watchdog = watchdog();
    converse(("Rust", &rust_server), ("Rust", &rust_client));
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn csharp_server_rust_client() {
    let _watchdog = watchdog();
    for dotnet in Dotnet::all() {
        converse(("C#", &|pipe| dotnet.server(pipe)), ("Rust", &rust_client));
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn rust_server_csharp_client() {
    let _watchdog = watchdog();
    for dotnet in Dotnet::all() {
        converse(("Rust", &rust_server), ("C#", &|pipe| dotnet.client(pipe)));
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn csharp_server_csharp_client() {
    let _watchdog = watchdog();
    for dotnet in Dotnet::all() {
        converse(
            ("C#", &|pipe| dotnet.server(pipe)),
            ("C#", &|pipe| dotnet.client(pipe)),
        );
    }
}

/// A line as it came, its end included.
fn raw_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn the_library_serves_the_csharp_client() {
    let _watchdog = watchdog();
    let pipe = name("conversation");
    let listener = PipeListener::bind(&pipe).unwrap();
    let client = Dotnet::first().client(&pipe);
    let stream = listener.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    // C#'s own line ends: what the example's read_line strips.
    let end = if cfg!(windows) { "\r\n" } else { "\n" };
    assert_eq!(raw_line(&mut reader), format!("Hello from C#{end}"));
    writeln!(&stream, "Hello from Rust").unwrap();
    assert_eq!(raw_line(&mut reader), format!("C# is done{end}"));
    assert_eq!(raw_line(&mut reader), "");
    assert_eq!(client.finish(), ["Hello from Rust"]);
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn the_library_calls_the_csharp_server() {
    let _watchdog = watchdog();
    let pipe = name("conversation");
    let server = Dotnet::first().server(&pipe);
    server.wait_until_it_waits();
    let stream = ConnectOptions::new().connect(&pipe).unwrap();
    // In one piece, with an end of line of the other system: C# takes lines apart by itself.
    write!(&stream, "Hello from Rust\r\nRust is done\n").unwrap();
    let mut reader = BufReader::new(&stream);
    assert_eq!(raw_line(&mut reader).trim_end(), "Hello from C#");
    assert_eq!(raw_line(&mut reader), "");
    assert_eq!(server.finish(), ["Hello from Rust", "Rust is done"]);
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn lines_arrive_clean_whatever_csharp_puts_around_them() {
    let _watchdog = watchdog();
    let pipe = name("clean");
    let server = rust_server(&pipe);
    server.wait_until_it_waits();
    let client = Dotnet::first().peer(&[
        "connect",
        &pipe,
        "bom",
        "crlf",
        "say=Hello from C#",
        "hear",
        "say=C# is done",
    ]);
    assert_eq!(server.finish(), ["Hello from C#", "C# is done"]);
    assert!(
        client
            .finish()
            .contains(&"heard Hello from Rust".to_owned())
    );

    let pipe = name("clean");
    let server = Dotnet::first().peer(&[
        "serve",
        &pipe,
        "bom",
        "crlf",
        "hear",
        "say=Hello from C#",
        "hear",
    ]);
    server.expect("ready");
    assert_eq!(rust_client(&pipe).finish(), ["Hello from C#"]);
    assert!(server.finish().contains(&"heard Rust is done".to_owned()));
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_client_without_a_server_says_so_after_5_seconds() {
    let _watchdog = watchdog();
    let csharp = Dotnet::first().client(&name("nobody"));
    let rust = rust_client(&name("nobody"));
    for client in [csharp, rust] {
        let (status, output, remarks) = client.end();
        assert_eq!(status.code(), Some(1), "{remarks:?}");
        assert!(output.is_empty(), "{output:?}");
        assert!(
            remarks[0].starts_with("No server came within 5 seconds."),
            "{remarks:?}"
        );
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn either_side_may_come_first() {
    let _watchdog = watchdog();
    // Ours waits for a .NET server.
    let pipe = name("first");
    let waiting = thread::spawn({
        let pipe = pipe.clone();
        move || {
            ConnectOptions::new()
                .wait_for_server(true)
                .timeout(Duration::from_secs(60))
                .connect(pipe)
        }
    });
    let server = Dotnet::first().peer(&["serve", &pipe, "say=come in"]);
    let stream = waiting.join().unwrap().unwrap();
    assert_eq!(raw_line(&mut BufReader::new(&stream)).trim_end(), "come in");
    server.finish();

    // A .NET client waits for ours.
    let pipe = name("first");
    let client = Dotnet::first().peer(&["connect", &pipe, "timeout=60000", "say=at last"]);
    client.expect("connecting");
    let listener = PipeListener::bind(&pipe).unwrap();
    let stream = listener.accept().unwrap();
    assert_eq!(raw_line(&mut BufReader::new(&stream)).trim_end(), "at last");
    client.finish();
}
