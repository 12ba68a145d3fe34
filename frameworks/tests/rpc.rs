//! JSON-RPC, lines, frames, a language server and Neovim over a pipe.

use npipe_interop::{Peer, Stack, name, watchdog};

fn rust(side: &str, pipe: &str, deeds: &[&str]) -> Peer {
    let words = [&[side, pipe], deeds].concat();
    let peer = Peer::run(env!("CARGO_BIN_EXE_json_rpc"), &words);
    if side == "serve" {
        let peer = peer.leaving(pipe);
        peer.expect("ready");
        return peer;
    }
    peer
}

const DEEDS: [&str; 9] = [
    "add=2,3",
    "add=2,two",
    "name",
    "greet",
    "work=3",
    "cancel=3",
    "many=100",
    "unknown",
    "exit",
];

fn answers(ours: &str, theirs: &str) -> Vec<String> {
    [
        "sum 5",
        "error -32602",
        &format!("name {theirs}"),
        &format!("greeted Hello {ours}"),
        "progress 1 of 3",
        "progress 2 of 3",
        "progress 3 of 3",
        "worked 3",
        "error -32800",
        "100 of 100",
        "error -32601",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A client that acts and a server that answers, then the other way round.
fn both_ways(
    theirs: &str,
    serve: impl Fn(&str, &[&str]) -> Peer,
    connect: impl Fn(&str, &[&str]) -> Peer,
) {
    let _watchdog = watchdog();
    let pipe = name("rpc");
    let server = serve(&pipe, &[]);
    assert_eq!(
        rust("connect", &pipe, &DEEDS).finish(),
        answers("Rust", theirs)
    );
    server.finish();
    let pipe = name("rpc");
    let server = rust("serve", &pipe, &[]);
    assert_eq!(connect(&pipe, &DEEDS).finish(), answers(theirs, "Rust"));
    server.finish();
}

#[test]
fn rust_with_rust() {
    both_ways(
        "Rust",
        |pipe, deeds| rust("serve", pipe, deeds),
        |pipe, deeds| rust("connect", pipe, deeds),
    );
}

#[test]
#[cfg_attr(
    all(not(windows), not(node_modules)),
    ignore = "left out: no packages of Node; `cargo xtask test` sets them up"
)]
fn rust_with_vscode_jsonrpc() {
    both_ways(
        "Node",
        |pipe, deeds| Stack::NodeJsonRpc.serve(pipe, deeds),
        |pipe, deeds| Stack::NodeJsonRpc.connect(pipe, deeds),
    );
}

#[test]
#[cfg_attr(
    all(not(windows), not(dotnet)),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn rust_with_csharp() {
    both_ways(
        "C#",
        |pipe, deeds| Stack::DotnetJsonRpc.serve(pipe, deeds),
        |pipe, deeds| Stack::DotnetJsonRpc.connect(pipe, deeds),
    );
}

#[test]
fn lines_are_answered() {
    let _watchdog = watchdog();
    let pipe = name("lines");
    let lines = env!("CARGO_BIN_EXE_lines");
    let mut server = Peer::run(lines, &["serve", &pipe]).leaving(&pipe);
    server.expect("ready");
    let asked = Peer::run(lines, &["connect", &pipe, "one", "two words"]).finish();
    assert_eq!(asked, ["you said one", "you said two words"]);
    server.end_input();
    server.finish();
}

#[test]
fn frames_are_answered() {
    let _watchdog = watchdog();
    let pipe = name("frames");
    let program = env!("CARGO_BIN_EXE_length_delimited");
    let mut server = Peer::run(program, &["serve", &pipe]).leaving(&pipe);
    server.expect("ready");
    let asked = Peer::run(program, &["connect", &pipe]).finish();
    assert_eq!(asked, ["sum 6", "sum 0", "too large"]);
    server.end_input();
    server.finish();
}

/// As an editor does: the pipe is the editor's, and the server is told of it.
#[test]
fn a_language_server_speaks_to_its_editor() {
    use std::io::{BufRead, BufReader, Read, Write};

    let _watchdog = watchdog();
    let pipe = name("lsp");
    let listener = npipe::PipeListener::bind(&pipe).unwrap();
    let server = Peer::run(env!("CARGO_BIN_EXE_language_server"), &["--pipe", &pipe]);
    let stream = listener.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    let send =
        |body: &str| write!(&stream, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut ask = |body: &str| {
        send(body);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", number)) => length = number.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    };
    let hello =
        ask(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#);
    assert!(hello.contains(r#""hoverProvider":true"#), "{hello}");
    send(r#"{"jsonrpc":"2.0","method":"initialized","params":{}}"#);
    let hover = ask(
        r#"{"jsonrpc":"2.0","id":2,"method":"textDocument/hover","params":{"textDocument":{"uri":"file:///x"},"position":{"line":3,"character":7}}}"#,
    );
    assert!(hover.contains("line 4, character 8"), "{hover}");
    ask(r#"{"jsonrpc":"2.0","id":3,"method":"shutdown"}"#);
    send(r#"{"jsonrpc":"2.0","method":"exit"}"#);
    assert!(server.finish().is_empty());
}

#[cfg(unix)]
#[test]
#[cfg_attr(
    all(not(windows), not(neovim)),
    ignore = "left out: no Neovim; `cargo xtask test` sets it up"
)]
fn neovim_writes_what_it_is_told() {
    let _watchdog = watchdog();
    let pipe = name("nvim");
    let mut editor = npipe_interop::neovim(&pipe);
    let said = Peer::run(env!("CARGO_BIN_EXE_neovim"), &[&pipe]).finish();
    assert!(said[0].starts_with("NVIM v"), "{said:?}");
    assert_eq!(said[1..], ["hello from Rust"]);
    editor.kill();
}
