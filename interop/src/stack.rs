//! The stacks that people of other languages have for HTTP, gRPC and JSON-RPC, each over a pipe.
//!
//! What each does and prints stands at the head of its program; those of one protocol do and print the same, so that a
//! test can go through all of them. In short:
//!
//! * HTTP: `get=PATH` prints "STATUS BODY", `echo=N` "echoed N", `many=N` "N of N", `keep=N` "N of N over K connections".
//!   Servers answer `GET /hello` ("Hello from LANGUAGE"), `POST /echo` and `GET /slow?ms=N` ("slow"), and print
//!   "METHOD PATH" for each.
//! * gRPC, as `interop/proto/talk.proto` has it: `say=TEXT` prints "said Hello, TEXT", `say=` "status 3 say something",
//!   `count=N` "counted N", `chat=N` "chatted N", `streams=N` "streamed N", `deadline=MS` "status 4", `cancel=N`
//!   "status 1". Servers print the name of each call, and "Count was cancelled".
//! * JSON-RPC: `add=A,B` prints "sum SUM" or "error -32602", `name` "name NAME", `greet` "greeted Hello NAME" (the other
//!   side calls back), `work=N` "progress I of N" for each and "worked N", `cancel=N` "error -32800", `many=N` "N of N",
//!   `unknown` "error -32601", `exit` tells the other side to end, `end` waits for it and prints "the end". Both sides
//!   answer, and both can do deeds.
//!
//! All know `pause`.

use super::{Dotnet, Peer, find, found, go_program, path, script};

/// A program that speaks a protocol of its own over a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// `HttpClient`: a client alone. It has `version=2` for HTTP/2 without TLS.
    DotnetHttp,
    /// net/http, over go-winio on Windows.
    GoHttp,
    NodeHttp,
    /// By hand over `HttpClient`'s HTTP/2: a client alone.
    DotnetGrpc,
    /// grpc-go, over go-winio on Windows.
    GoGrpc,
    /// grpc-js.
    NodeGrpc,
    /// By hand.
    DotnetJsonRpc,
    /// vscode-jsonrpc, on its own pipe transports.
    NodeJsonRpc,
}

impl Stack {
    /// Starts it as a client of a pipe, which does these deeds and ends.
    ///
    /// # Panics
    ///
    /// Where it is not on this machine: a test is to be marked with `#[cfg_attr(not(dotnet), ignore = "left out: …")]`;
    /// `go` and `node_modules` are the words for the others.
    pub fn connect(self, pipe: &str, deeds: &[&str]) -> Peer {
        self.start("connect", pipe, deeds)
    }

    /// Starts it as a server, which can be connected to once this returns, and runs until
    /// [`end_input`](Peer::end_input); or, of JSON-RPC, until it has done its deeds or its one client is gone.
    ///
    /// # Panics
    ///
    /// As [`connect`](Stack::connect), and for those that are clients alone.
    pub fn serve(self, pipe: &str, deeds: &[&str]) -> Peer {
        let server = self.start("serve", pipe, deeds).leaving(pipe);
        server.expect("ready");
        server
    }

    fn start(self, side: &str, pipe: &str, deeds: &[&str]) -> Peer {
        let path = path(pipe);
        let by_path = [&[side, path.as_str()], deeds].concat();
        let by_name = [&[side, pipe], deeds].concat();
        let node = |name: &str| script(found(find::node(), "Node"), name, &by_path);
        match self {
            Stack::DotnetHttp => Dotnet::first().program("Http", &by_name),
            Stack::DotnetGrpc => Dotnet::first().program("Grpc", &by_name),
            Stack::DotnetJsonRpc => Dotnet::first().program("JsonRpc", &by_name),
            Stack::GoHttp => go_program("http", &by_path),
            Stack::GoGrpc => go_program("grpc", &by_path),
            Stack::NodeHttp => node("node/http.js"),
            Stack::NodeGrpc => node("node/grpc.js"),
            Stack::NodeJsonRpc => node("node/jsonrpc.js"),
        }
    }
}

/// Starts `curl --unix-socket`, which prints what it is answered. It has `--http2-prior-knowledge`.
///
/// # Panics
///
/// Where there is none (`cfg(curl)`), which is so on Windows.
pub fn curl(pipe: &str, words: &[&str]) -> Peer {
    let path = path(pipe);
    let whole = ["--silent", "--show-error", "--unix-socket", &path];
    Peer::run(found(find::curl(), "curl"), &[&whole, words].concat())
}

/// Starts Neovim, which serves its own RPC on the pipe a moment later, and prints nothing.
///
/// # Panics
///
/// Where there is none (`cfg(neovim)`).
pub fn neovim(pipe: &str) -> Peer {
    let words = ["--headless", "--clean", "--listen", &path(pipe)];
    Peer::run(found(find::neovim(), "Neovim"), &words).leaving(pipe)
}

/// Starts mpv without a window or sound, which serves its JSON on the pipe a moment later.
///
/// # Panics
///
/// Where there is none (`cfg(mpv)`).
pub fn mpv(pipe: &str) -> Peer {
    let path = path(pipe);
    let server = format!("--input-ipc-server={path}");
    let quiet = [
        "--no-config",
        "--idle",
        "--no-terminal",
        "--vo=null",
        "--ao=null",
    ];
    Peer::run(
        found(find::mpv(), "mpv"),
        &[&quiet[..], &[&server]].concat(),
    )
    .leaving(pipe)
}

/// Starts ssh-agent in the foreground, which serves its protocol on the pipe.
///
/// # Panics
///
/// Where there is none (`cfg(ssh_agent)`), which is so on Windows.
pub fn ssh_agent(pipe: &str) -> Peer {
    let words = ["-D", "-a", &path(pipe)];
    Peer::run(found(find::ssh_agent(), "ssh-agent"), &words).leaving(pipe)
}
