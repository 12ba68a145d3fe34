//! The async half and every foreign peer, in either role: lines, much data both ways at once, ends; and messages where the
//! peer has them.

use npipe::ListenOptions;
use npipe::tokio::PipeStream;
use npipe_interop::{Dotnet, Peer, name, node, path, pattern, watchdog};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

const MUCH: usize = 300_000;

/// How a peer is started, what it is told of where the pipe is, and how it is asked to read and write at once.
type Kind = (
    fn(&[&str]) -> Peer,
    fn(&str) -> String,
    &'static [&'static str],
);

const NODE: Kind = (node, path, &[]);
#[cfg(unix)]
const PYTHON: Kind = (npipe_interop::python, path, &[]);
const DOTNET: Kind = (
    |words| Dotnet::first().peer(words),
    str::to_owned,
    &["async"],
);
#[cfg(windows)]
const GO: Kind = (npipe_interop::go, str::to_owned, &[]);

/// A peer as a client of a listener of ours, and as a server for one client; each with our stream to it.
async fn both((start, address, _): Kind, words: &[&str]) -> [(Peer, PipeStream); 2] {
    let messages = words.contains(&"message");
    let pipe = name("rust");
    let options = ListenOptions::new().message_mode(messages);
    let listener = options.bind_tokio(&pipe).unwrap();
    let client = start(&[&["connect", &address(&pipe)], words].concat());
    let to_client = listener.accept().await.unwrap();
    client.expect("connecting");
    client.expect("connected");

    let pipe = name("peer");
    let server = start(&[&["serve", &address(&pipe)], words].concat()).leaving(&pipe);
    server.expect("ready");
    let to_server = PipeStream::connect(&pipe).await.unwrap();
    server.expect("connected");
    [(client, to_client), (server, to_server)]
}

async fn exchange(stream: PipeStream) {
    let (mut read, mut write) = tokio::io::split(stream);
    let sent = pattern(MUCH);
    let mut got = vec![0; MUCH];
    let (wrote, read) = tokio::join!(write.write_all(&sent), read.read_exact(&mut got));
    wrote.unwrap();
    read.unwrap();
    assert!(got == sent, "what came is not what was sent");
}

async fn echo(mut stream: PipeStream) -> usize {
    let mut buffer = [0; 16_384];
    let mut total = 0;
    loop {
        let length = stream.read(&mut buffer).await.unwrap();
        if length == 0 {
            return total;
        }
        stream.write_all(&buffer[..length]).await.unwrap();
        total += length;
    }
}

fn talk(kind: Kind) {
    let _watchdog = watchdog();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (peer, mut stream) in both(kind, &["hear", "say=Hello from there", "hear"]).await {
            stream.write_all(b"Hello from Rust\n").await.unwrap();
            peer.expect("heard Hello from Rust");
            let mut line = String::new();
            let mut lines = BufReader::new(&mut stream);
            lines.read_line(&mut line).await.unwrap();
            assert_eq!(line.trim_end(), "Hello from there");
            drop(stream);
            peer.expect("heard the end");
            peer.finish();
        }
        for (peer, stream) in both(kind, &["echo"]).await {
            exchange(stream).await;
            peer.expect(&format!("echoed {MUCH}"));
            peer.finish();
        }
        let at_once = format!("exchange={MUCH}");
        let words = [kind.2, &[&at_once]].concat();
        for (peer, stream) in both(kind, &words).await {
            assert_eq!(echo(stream).await, MUCH);
            let said = peer.finish();
            assert!(said.contains(&format!("read {MUCH}")), "{said:?}");
        }
    });
}

#[test]
#[cfg_attr(
    all(not(windows), not(node)),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn node_talks_with_tasks() {
    talk(NODE);
}

#[test]
#[cfg(unix)] // the Python peer is made of sockets
#[cfg_attr(
    all(not(windows), not(python)),
    ignore = "left out: no Python; `cargo xtask test` sets one up"
)]
fn python_talks_with_tasks() {
    talk(PYTHON);
}

#[test]
#[cfg_attr(
    all(not(windows), not(dotnet)),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_talks_with_tasks() {
    talk(DOTNET);
}

#[cfg(windows)]
#[test]
fn go_winio_talks_with_tasks() {
    talk(GO);
}

/// The messages of .NET, which has them on Windows alone.
#[cfg(windows)]
#[test]
#[cfg_attr(
    all(not(windows), not(dotnet)),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn the_messages_of_dotnet_come_to_tasks_as_they_were_sent() {
    let _watchdog = watchdog();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let words = ["message", "send=1", "send=100000", "send=7"];
        for (peer, stream) in both(DOTNET, &words).await {
            for length in [1, 100_000, 7] {
                let mut message = Vec::new();
                stream.recv(&mut message).await.unwrap();
                assert!(message == pattern(length), "{length}");
            }
            assert_eq!(stream.recv(&mut Vec::new()).await.unwrap(), None);
            peer.finish();
        }
    });
}
