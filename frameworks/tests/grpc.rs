//! gRPC over a pipe: the examples with each other, and with grpc-go, grpc-js and C# by hand.

use npipe_interop::{Peer, Stack, name, watchdog};

fn server(pipe: &str) -> Peer {
    let server = Peer::run(env!("CARGO_BIN_EXE_grpc_server"), &[pipe]).leaving(pipe);
    server.expect("ready");
    server
}

fn client(pipe: &str, deeds: &[&str]) -> Peer {
    Peer::run(
        env!("CARGO_BIN_EXE_grpc_client"),
        &[&[pipe], deeds].concat(),
    )
}

const DEEDS: [&str; 7] = [
    "say=you",
    "say=",
    "count=1000",
    "chat=100",
    "streams=50",
    "deadline=100",
    "cancel=5",
];

fn check(lines: &[String]) {
    let expected = [
        "said Hello, you",
        "status 3 say something",
        "counted 1000",
        "chatted 100",
        "streamed 50",
        "status 4",
        "status 1",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line:?}, not {expected:?}");
    }
}

fn ours_serves(client: impl Fn(&str, &[&str]) -> Peer) {
    let _watchdog = watchdog();
    let pipe = name("grpc");
    let server = server(&pipe);
    check(&client(&pipe, &DEEDS).finish());
    let calls = calls_of(server);
    let count = |what: &str| calls.iter().filter(|call| *call == what).count();
    assert_eq!(
        (count("Say"), count("Chat"), count("Count")),
        (2, 1, 53),
        "{calls:?}"
    );
}

fn ours_asks(stack: Stack) {
    let _watchdog = watchdog();
    let pipe = name("grpc");
    let server = stack.serve(&pipe, &[]);
    check(&client(&pipe, &DEEDS).finish());
    calls_of(server);
}

/// What a server was called for. The deadline and the cancellation come through, each a moment after its client knows.
fn calls_of(mut server: Peer) -> Vec<String> {
    let mut calls = Vec::new();
    let mut cancelled = 0;
    while cancelled < 2 {
        let call = server.line().expect("nothing told of both cancellations");
        cancelled += usize::from(call == "Count was cancelled");
        calls.push(call);
    }
    server.end_input();
    calls.extend(server.finish());
    calls
}

#[test]
fn rust_with_rust() {
    ours_serves(client);
}

#[test]
#[cfg_attr(
    all(not(windows), not(go)),
    ignore = "left out: no Go; `cargo xtask test` sets it up"
)]
fn go_asks_rust() {
    ours_serves(|pipe, deeds| Stack::GoGrpc.connect(pipe, deeds));
}

#[test]
#[cfg_attr(
    all(not(windows), not(go)),
    ignore = "left out: no Go; `cargo xtask test` sets it up"
)]
fn rust_asks_go() {
    ours_asks(Stack::GoGrpc);
}

#[test]
#[cfg_attr(
    all(not(windows), not(node_modules)),
    ignore = "left out: no packages of Node; `cargo xtask test` sets them up"
)]
fn node_asks_rust() {
    ours_serves(|pipe, deeds| Stack::NodeGrpc.connect(pipe, deeds));
}

#[cfg(unix)] // grpc-js has no address for a Windows pipe
#[test]
#[cfg_attr(
    all(not(windows), not(node_modules)),
    ignore = "left out: no packages of Node; `cargo xtask test` sets them up"
)]
fn rust_asks_node() {
    ours_asks(Stack::NodeGrpc);
}

#[test]
#[cfg_attr(
    all(not(windows), not(dotnet)),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn csharp_asks_rust() {
    ours_serves(|pipe, deeds| Stack::DotnetGrpc.connect(pipe, deeds));
}

/// A server that is killed in a stream is an error for its client at once; the next one serves on.
#[test]
fn a_kill_in_the_middle_of_a_stream_is_an_error_at_once() {
    let _watchdog = watchdog();
    let pipe = name("killed");
    let mut first = server(&pipe);
    let counting = client(&pipe, &["say=you", "deadline=60000"]);
    assert_eq!(counting.line().as_deref(), Some("said Hello, you"));
    first.expect("Say");
    first.expect("Count");
    first.kill();
    let (_, lines, _) = counting.end();
    assert!(
        lines[0].starts_with("status ") && lines[0] != "status 4",
        "{lines:?}"
    );
    let _second = server(&pipe);
    assert_eq!(client(&pipe, &["say=you"]).finish(), ["said Hello, you"]);
}
