//! HTTP over a pipe: the examples with each other, and with the stacks of C#, Go and Node, and curl.

use npipe_interop::{Peer, Stack, name, watchdog};

fn server(pipe: &str) -> Peer {
    let server = Peer::run(env!("CARGO_BIN_EXE_http_server"), &[pipe]).leaving(pipe);
    server.expect("ready");
    server
}

fn client(pipe: &str, deeds: &[&str]) -> Peer {
    Peer::run(
        env!("CARGO_BIN_EXE_http_client"),
        &[&[pipe], deeds].concat(),
    )
}

const DEEDS: [&str; 5] = [
    "get=/hello",
    "get=/nothing",
    "echo=100000",
    "get=/slow?ms=20",
    "keep=20",
];

/// What our server is asked by a client of another stack.
fn ours_serves(client: impl Fn(&str, &[&str]) -> Peer, connections: bool) {
    let _watchdog = watchdog();
    let pipe = name("http");
    let mut server = server(&pipe);
    let kept = match connections {
        true => "20 of 20 over 0 connections",
        false => "20 of 20",
    };
    let expected = [
        "200 Hello from Rust",
        "404 ",
        "echoed 100000",
        "200 slow",
        kept,
    ];
    assert_eq!(client(&pipe, &DEEDS).finish(), expected);
    assert_eq!(client(&pipe, &["many=200"]).finish(), ["200 of 200"]);
    server.end_input();
    assert!(server.finish().is_empty());
}

/// What our client asks a server of another stack.
fn ours_asks(stack: Stack, language: &str) {
    let _watchdog = watchdog();
    let pipe = name("http");
    let mut server = stack.serve(&pipe, &[]);
    let asked = client(
        &pipe,
        &["get=/hello", "echo=100000", "get=/slow?ms=20", "many=200"],
    );
    let expected = [
        &format!("200 Hello from {language}"),
        "echoed 100000",
        "200 slow",
        "200 of 200",
    ];
    assert_eq!(asked.finish(), expected);
    server.end_input();
    server.finish();
}

#[test]
fn rust_with_rust() {
    ours_serves(client, false);
}

#[test]
fn rust_with_rust_over_http_2() {
    let _watchdog = watchdog();
    let pipe = name("http2");
    let mut server = server(&pipe);
    let deeds = ["version=2", "get=/hello", "echo=1000000", "many=200"];
    let expected = ["200 Hello from Rust", "echoed 1000000", "200 of 200"];
    assert_eq!(client(&pipe, &deeds).finish(), expected);
    server.end_input();
    server.finish();
}

#[test]
#[cfg_attr(
    all(not(windows), not(dotnet)),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn csharp_asks_rust() {
    ours_serves(|pipe, deeds| Stack::DotnetHttp.connect(pipe, deeds), true);
}

#[test]
#[cfg_attr(
    all(not(windows), not(dotnet)),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn csharp_asks_rust_over_http_2() {
    let _watchdog = watchdog();
    let pipe = name("http2");
    let mut server = server(&pipe);
    let deeds = ["version=2", "get=/hello", "echo=100000", "many=50"];
    let expected = ["200 Hello from Rust", "echoed 100000", "50 of 50"];
    assert_eq!(Stack::DotnetHttp.connect(&pipe, &deeds).finish(), expected);
    server.end_input();
    server.finish();
}

#[test]
#[cfg_attr(
    all(not(windows), not(go)),
    ignore = "left out: no Go; `cargo xtask test` sets it up"
)]
fn go_asks_rust() {
    ours_serves(|pipe, deeds| Stack::GoHttp.connect(pipe, deeds), true);
}

#[test]
#[cfg_attr(
    all(not(windows), not(go)),
    ignore = "left out: no Go; `cargo xtask test` sets it up"
)]
fn rust_asks_go() {
    ours_asks(Stack::GoHttp, "Go");
}

#[test]
#[cfg_attr(
    all(not(windows), not(node)),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn node_asks_rust() {
    ours_serves(|pipe, deeds| Stack::NodeHttp.connect(pipe, deeds), true);
}

#[test]
#[cfg_attr(
    all(not(windows), not(node)),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn rust_asks_node() {
    ours_asks(Stack::NodeHttp, "Node");
}

#[cfg(unix)] // curl speaks to Unix sockets alone
#[test]
#[cfg_attr(
    all(not(windows), not(curl)),
    ignore = "left out: no curl; `cargo xtask test` sets it up"
)]
fn curl_asks_rust() {
    let _watchdog = watchdog();
    let pipe = name("curl");
    let _server = server(&pipe);
    let asked = |words: &[&str]| npipe_interop::curl(&pipe, words).finish();
    assert_eq!(asked(&["http://pipe/hello"]), ["Hello from Rust"]);
    assert_eq!(
        asked(&["-d", "some words", "http://pipe/echo"]),
        ["some words"]
    );
    let http2 = ["--http2-prior-knowledge", "http://pipe/hello"];
    assert_eq!(asked(&http2), ["Hello from Rust"]);
    // The pipe knows who asks.
    let who = asked(&["http://pipe/whoami"]);
    assert!(
        who[0].starts_with("process ") && who[0].contains(" of "),
        "{who:?}"
    );
}

/// The end of the server's input is its Ctrl-C: what is under way is answered, and it ends soon after.
#[test]
fn a_graceful_shutdown_loses_no_request_and_ends() {
    let _watchdog = watchdog();
    let pipe = name("graceful");
    let mut server = server(&pipe);
    let slow: Vec<Peer> = (0..20)
        .map(|_| client(&pipe, &["get=/slow?ms=1500"]))
        .collect();
    // Each has its request under way once one that came after all of them has been answered.
    assert_eq!(client(&pipe, &["get=/slow?ms=700"]).finish(), ["200 slow"]);
    server.end_input();
    for client in slow {
        assert_eq!(client.finish(), ["200 slow"]);
    }
    let (status, _, said) = server.end();
    assert!(status.success(), "{status}: {said:?}");
    // Nobody is there any more.
    let (status, _, said) = client(&pipe, &["get=/hello"]).end();
    assert!(!status.success(), "{said:?}");
}

/// A server that is killed is an error for its client at once; a client that is killed is nothing to the server.
#[test]
fn a_kill_in_the_middle_is_an_end_for_the_other_side() {
    let _watchdog = watchdog();
    let pipe = name("killed");
    let mut server = server(&pipe);
    let mut client_to_kill = client(&pipe, &["get=/slow?ms=60000"]);
    assert_eq!(
        client(&pipe, &["get=/hello"]).finish(),
        ["200 Hello from Rust"]
    );
    client_to_kill.kill();
    assert_eq!(
        client(&pipe, &["get=/hello"]).finish(),
        ["200 Hello from Rust"]
    );
    let waiting = client(&pipe, &["get=/hello", "get=/slow?ms=60000"]);
    assert_eq!(waiting.line().as_deref(), Some("200 Hello from Rust"));
    server.kill();
    let (status, lines, said) = waiting.end();
    assert!(!status.success() && lines.is_empty(), "{lines:?} {said:?}");
}
