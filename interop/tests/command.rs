//! The command, `npipe`, with .NET, Go and Node at the other end: what passes, and every way in which it can end.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[cfg(windows)]
use npipe_interop::go;
use npipe_interop::{Dotnet, Peer, name, node, path, pattern, watchdog};

const MIB: usize = 1 << 20;

/// How long `npipe` may say nothing, or take to end. A hang is what this tells apart.
const PATIENCE: Duration = Duration::from_secs(60);

/// Byte pipes of Windows have no half close.
const HALF_CLOSE: bool = cfg!(unix);

/// An `npipe` that runs. Dropped, it ends.
struct Npipe {
    what: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<Output>,
    remarks: Receiver<String>,
    leaves: Vec<PathBuf>,
}

/// An `npipe` that has ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    output: Vec<u8>,
    remarks: Vec<String>,
}

impl Ended {
    #[track_caller]
    fn text(self) -> String {
        self.code(0)
    }

    /// What it printed, if it ended with this code.
    #[track_caller]
    fn code(self, code: i32) -> String {
        let text = String::from_utf8_lossy(&self.output).into_owned();
        assert_eq!(self.code, Some(code), "{text} {:#?}", self.remarks);
        text
    }
}

/// Where the tests of the whole workspace have the command: beside the directory of the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("a test knows its own file");
    let built = tests.ancestors().nth(2).expect("it is in target/PROFILE");
    let program = built.join(format!("npipe{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "there is no {}: test with --workspace, or build it by `cargo build --package npipe-cli`",
        program.display()
    );
    program
}

impl Npipe {
    fn start(words: &[&str]) -> Npipe {
        let mut command = Command::new(program());
        command.args(words).env("NO_COLOR", "1");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("npipe starts");
        let (say, remarks) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("it is a pipe"));
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Npipe {
            what: words.join(" "),
            stdin: child.stdin.take(),
            stdout: BufReader::new(Output::of(child.stdout.take().expect("it is a pipe"))),
            child,
            remarks,
            leaves: Vec::new(),
        }
    }

    /// One that listens, once it does.
    fn serve(words: &[&str], pipe: &str) -> Npipe {
        let npipe = Npipe::start(words).leaving(pipe);
        npipe.wait_until_it_says("listening on ");
        npipe
    }

    /// Takes away the socket of a server that is ended in the middle.
    fn leaving(mut self, pipe: &str) -> Npipe {
        if cfg!(unix) {
            self.leaves.push(path(pipe).into());
        }
        self
    }

    #[track_caller]
    fn wait_until_it_says(&self, part: &str) -> String {
        let mut all = Vec::new();
        loop {
            match self.remarks.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => all.push(line),
                Err(error) => panic!("{}: no {part:?}: {error}; {all:#?}", self.what),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("it has not ended");
        stdin.write_all(bytes).expect("npipe reads its stdin");
    }

    /// Gives it so many bytes of the pattern from another thread, and then the end.
    fn feed(&mut self, count: usize) -> JoinHandle<()> {
        let mut stdin = self.stdin.take().expect("it has not ended");
        thread::spawn(move || {
            for chunk in Pattern::new(count) {
                stdin.write_all(&chunk).expect("npipe reads its stdin");
            }
        })
    }

    /// A line of its output without its end, "" at the end of all.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it is text");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Reads so many bytes of the pattern from its output.
    #[track_caller]
    fn expect_pattern(&mut self, count: usize) {
        let mut at = 0;
        for want in Pattern::new(count) {
            let mut have = vec![0; want.len()];
            if let Err(error) = self.stdout.read_exact(&mut have) {
                panic!("{}: less than {count}, after {at}: {error}", self.what);
            }
            assert!(
                have == want,
                "{}: the bytes after {at} are others",
                self.what
            );
            at += want.len();
        }
    }

    fn is_running(&mut self) -> bool {
        let status = self.child.try_wait().expect("it is a child");
        status.is_none()
    }

    /// Waits for its end, its stdin left as it is: what it still printed and said.
    fn end(mut self) -> Ended {
        let mut output = Vec::new();
        self.stdout
            .read_to_end(&mut output)
            .expect("it can be read");
        let mut remarks = Vec::new();
        loop {
            match self.remarks.recv_timeout(PATIENCE) {
                Ok(line) => remarks.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{} does not end", self.what),
            }
        }
        // Both of its outputs have ended, so it is about to as well.
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                let code = status.code();
                return Ended {
                    code,
                    output,
                    remarks,
                };
            }
            assert!(Instant::now() < until, "{} does not end", self.what);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end, which has to be a good one after the output that was read already.
    #[track_caller]
    fn end_of_output(self) {
        let what = self.what.clone();
        assert_eq!(self.end().text(), "", "{what}: more than was sent");
    }
}

impl Drop for Npipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for path in &self.leaves {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Runs it to its end, with nothing on its stdin.
fn run(words: &[&str]) -> Ended {
    let mut npipe = Npipe::start(words);
    npipe.stdin = None;
    npipe.end()
}

/// What it prints, read as it comes; never waited for without an end, as a read by itself would be.
struct Output {
    chunks: Receiver<Vec<u8>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Output {
    fn of(mut stream: impl Read + Send + 'static) -> Output {
        // A few, so that a reader who does not read is felt.
        let (sender, chunks) = mpsc::sync_channel(4);
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Output {
            chunks,
            chunk: io::Cursor::default(),
        }
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.chunk.read(buffer)? {
                0 if !buffer.is_empty() => {}
                length => return Ok(length),
            }
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(chunk) => self.chunk = io::Cursor::new(chunk),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }
}

/// The pattern in pieces: it is the same every 65536 bytes.
struct Pattern {
    piece: Vec<u8>,
    left: usize,
}

impl Pattern {
    fn new(left: usize) -> Pattern {
        let piece = pattern(65_536);
        Pattern { piece, left }
    }
}

impl Iterator for Pattern {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let length = self.left.min(self.piece.len());
        self.left -= length;
        (length > 0).then(|| self.piece[..length].to_vec())
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Dotnet,
    #[cfg(windows)]
    Go,
    Node,
}

impl Who {
    fn peer(self, side: &str, pipe: &str, words: &[&str]) -> Peer {
        match self {
            Who::Dotnet => Dotnet::first().peer(&[&[side, pipe], words].concat()),
            #[cfg(windows)]
            Who::Go => go(&[&[side, pipe], words].concat()),
            Who::Node => node(&[&[side, &path(pipe)], words].concat()),
        }
    }

    /// What makes its handle one that reads and writes at once, where that has to be asked for.
    fn duplex(self) -> &'static [&'static str] {
        match self {
            Who::Dotnet => &["async"],
            _ => &[],
        }
    }

    /// And what gives its servers buffers, where they have none by themselves.
    fn buffers(self) -> &'static [&'static str] {
        match self {
            Who::Node => &[],
            _ => &["in=65536", "out=65536"],
        }
    }
}

/// `npipe connect OPTIONS` with a server of theirs.
fn connect(who: Who, words: &[&str], options: &[&str]) -> (Peer, Npipe) {
    let pipe = name("connect");
    let server = who.peer("serve", &pipe, words).leaving(&pipe);
    server.expect("ready");
    let npipe = Npipe::start(&[&["connect"], options, &[&pipe]].concat());
    server.expect("connected");
    (server, npipe)
}

/// `npipe listen OPTIONS` with a client of theirs.
fn listen(who: Who, words: &[&str], options: &[&str]) -> (Peer, Npipe) {
    let pipe = name("listen");
    let npipe = Npipe::serve(&[&["listen"], options, &[&pipe]].concat(), &pipe);
    let client = who.peer("connect", &pipe, words);
    client.expect("connecting");
    client.expect("connected");
    (client, npipe)
}

/// Both of them.
type Start = fn(Who, &[&str], &[&str]) -> (Peer, Npipe);
const BOTH: [Start; 2] = [connect, listen];

fn lines_pass_as_they_are_typed(who: Who) {
    for start in BOTH {
        let (peer, mut npipe) = start(who, &["hear", "say=Hello from there", "hear"], &[]);
        npipe.write(b"Hello from npipe\n");
        peer.expect("heard Hello from npipe");
        assert_eq!(npipe.line(), "Hello from there");
        npipe.write(b"npipe is done\n");
        peer.expect("heard npipe is done");
        peer.finish();
        // The peer has closed, with stdin still open.
        npipe.end_of_output();
    }
}

fn binary_passes_both_ways_at_once(who: Who, count: usize) {
    let exchange = format!("exchange={count}");
    for (start, buffers) in [
        (connect as Start, who.buffers()),
        (listen, &[] as &[&str]), // which are the server's, and we are it
    ] {
        let words = [who.duplex(), buffers, &[&exchange]].concat();
        let (peer, mut npipe) = start(who, &words, &[]);
        let feeding = npipe.feed(count);
        npipe.expect_pattern(count);
        npipe.end_of_output();
        feeding.join().unwrap();
        let said = peer.finish();
        for done in [format!("wrote {count}"), format!("read {count}")] {
            assert!(said.contains(&done), "{said:?}");
        }
    }
}

fn a_peer_that_closes_first_ends_it(who: Who) {
    for start in BOTH {
        let (peer, mut npipe) = start(who, &["read=1000", "write=300000", "close"], &[]);
        npipe.write(&pattern(1000));
        npipe.expect_pattern(300_000);
        npipe.end_of_output();
        peer.expect("read 1000");
        peer.expect("wrote 300000");
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn lines_pass_with_dotnet() {
    let _watchdog = watchdog();
    lines_pass_as_they_are_typed(Who::Dotnet);
}

#[test]
#[cfg(windows)]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn lines_pass_with_go() {
    let _watchdog = watchdog();
    lines_pass_as_they_are_typed(Who::Go);
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn lines_pass_with_node() {
    let _watchdog = watchdog();
    lines_pass_as_they_are_typed(Who::Node);
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn sixty_four_mebibytes_pass_both_ways_with_dotnet_bit_for_bit() {
    let _watchdog = watchdog();
    binary_passes_both_ways_at_once(Who::Dotnet, 64 * MIB);
}

#[test]
#[cfg(windows)]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn binary_passes_both_ways_with_go_bit_for_bit() {
    let _watchdog = watchdog();
    binary_passes_both_ways_at_once(Who::Go, 64 * MIB);
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn binary_passes_both_ways_with_node_bit_for_bit() {
    let _watchdog = watchdog();
    binary_passes_both_ways_at_once(Who::Node, 64 * MIB);
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_that_closes_first_ends_it_with_stdin_still_open() {
    let _watchdog = watchdog();
    a_peer_that_closes_first_ends_it(Who::Dotnet);
}

#[test]
#[cfg(windows)]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn go_that_closes_first_ends_it_with_stdin_still_open() {
    let _watchdog = watchdog();
    a_peer_that_closes_first_ends_it(Who::Go);
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn node_that_closes_first_ends_it_with_stdin_still_open() {
    let _watchdog = watchdog();
    a_peer_that_closes_first_ends_it(Who::Node);
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn stdin_ends_first_and_the_answer_still_comes() {
    let _watchdog = watchdog();
    for start in BOTH {
        for count in [100_000, 0] {
            let read = format!("read={count}");
            let mut words = vec![read.as_str(), "pause", "write=1000000"];
            if HALF_CLOSE {
                words.insert(1, "end");
            }
            let (mut peer, mut npipe) = start(Who::Dotnet, &words, &[]);
            npipe.feed(count).join().unwrap();
            peer.expect(&format!("read {count}"));
            if HALF_CLOSE {
                peer.expect("the end");
            }
            // Until here all of stdin has long passed, and its end with it.
            assert!(npipe.is_running());
            peer.go();
            npipe.expect_pattern(1_000_000);
            npipe.end_of_output();
            peer.expect("wrote 1000000");
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn both_end_at_once_and_nothing_is_lost() {
    let _watchdog = watchdog();
    const COUNT: usize = 200_001;
    const ROUNDS: usize = 5;
    let exchange = format!("exchange={COUNT}");
    // As a client of one server, again and again.
    let pipe = name("both-end");
    let words = ["times=5", "async", "in=4096", "out=4096", &exchange];
    let server = Who::Dotnet.peer("serve", &pipe, &words).leaving(&pipe);
    for _ in 0..ROUNDS {
        server.expect("ready");
        let mut npipe = Npipe::start(&["connect", &pipe]);
        let feeding = npipe.feed(COUNT);
        npipe.expect_pattern(COUNT);
        npipe.end_of_output();
        feeding.join().unwrap();
        server.expect("connected");
        let mut done = [server.line().unwrap(), server.line().unwrap()];
        done.sort();
        assert_eq!(done, [format!("read {COUNT}"), format!("wrote {COUNT}")]);
    }
    server.finish();
    // And as a server.
    let (client, mut npipe) = listen(Who::Dotnet, &["async", &exchange], &[]);
    let feeding = npipe.feed(COUNT);
    npipe.expect_pattern(COUNT);
    npipe.end_of_output();
    feeding.join().unwrap();
    assert!(client.finish().contains(&format!("read {COUNT}")));
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn exit_on_eof_ends_once_dotnet_has_read_everything() {
    let _watchdog = watchdog();
    for start in BOTH {
        for count in [300_000, 1] {
            let read = format!("read={count}");
            let words = ["say=go ahead", "pause", &read, "end"];
            let (mut peer, mut npipe) = start(Who::Dotnet, &words, &["--exit-on-eof"]);
            assert_eq!(npipe.line(), "go ahead");
            let feeding = npipe.feed(count);
            // Nothing has been read yet, and it does not end before all of it has.
            assert!(npipe.is_running());
            peer.go();
            peer.expect(&format!("read {count}"));
            // It ends by itself: .NET is still there, and sees the end of the pipe only then.
            peer.expect("the end");
            npipe.end_of_output();
            feeding.join().unwrap();
            peer.finish();
        }
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_closes_with_our_bytes_unread_and_its_own_arrive() {
    let _watchdog = watchdog();
    for (start, buffers) in [
        (connect as Start, &["in=65536", "out=65536"][..]),
        (listen, &[]),
    ] {
        let words = [buffers, &["read=1", "say=read this", "pause", "close"]].concat();
        let (mut peer, mut npipe) = start(Who::Dotnet, &words, &[]);
        // It reads the first of them: so all of them have been written.
        npipe.write(&pattern(1000));
        peer.expect("read 1");
        assert_eq!(npipe.line(), "read this");
        peer.go();
        peer.expect("closed");
        npipe.end_of_output();
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_that_is_killed_while_it_is_written_to_is_a_failure() {
    let _watchdog = watchdog();
    for start in BOTH {
        let (mut peer, mut npipe) = start(Who::Dotnet, &["read=1000", "pause"], &[]);
        let mut stdin = npipe.stdin.take().unwrap();
        let feeding = thread::spawn(move || while stdin.write_all(&pattern(65_536)).is_ok() {});
        peer.expect("read 1000");
        peer.kill();
        let ended = npipe.end();
        assert_eq!(ended.remarks.len(), 1, "{ended:?}");
        assert!(ended.remarks[0].contains("write to"), "{ended:?}");
        ended.code(1);
        feeding.join().unwrap();
    }
}

/// Message pipes have a half close: the empty message.
#[test]
#[cfg(windows)]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn stdins_end_is_the_empty_message_of_a_message_pipe() {
    let _watchdog = watchdog();
    let words = ["message", "read=100000", "hear", "say=the answer"];
    for (start, options) in [
        (connect as Start, &[][..]),
        (connect, &["--message=raw"]),
        (listen, &["--message=raw"]),
    ] {
        let (peer, mut npipe) = start(Who::Dotnet, &words, options);
        npipe.feed(100_000).join().unwrap();
        peer.expect("read 100000");
        peer.expect("heard the end");
        assert_eq!(npipe.line(), "the answer");
        npipe.end_of_output();
        peer.finish();
    }
}

#[test]
#[cfg(unix)] // a Windows byte pipe has no half close
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn the_half_close_of_node_leaves_the_other_way_open() {
    let _watchdog = watchdog();
    for start in BOTH {
        let words = ["write=50000", "half-close", "read=300000", "end"];
        let (peer, mut npipe) = start(Who::Node, &words, &[]);
        npipe.expect_pattern(50_000);
        // Whoever reads our stdout sees the end as well, before stdin has begun.
        assert_eq!(npipe.line(), "");
        npipe.feed(300_000).join().unwrap();
        peer.expect("wrote 50000");
        peer.expect("read 300000");
        peer.expect("the end");
        npipe.end_of_output();
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn keep_serves_one_dotnet_client_after_another() {
    let _watchdog = watchdog();
    const CLIENTS: usize = 4;
    let pipe = name("keep");
    let mut npipe = Npipe::serve(&["listen", "--keep", "-v", &pipe], &pipe);
    let words = ["times=4", "timeout=60000", "say=one of four", "hear"];
    let clients = Who::Dotnet.peer("connect", &pipe, &words);
    for _ in 0..CLIENTS {
        assert_eq!(npipe.line(), "one of four");
        npipe.write(b"for you\n");
        npipe.wait_until_it_says("is done");
    }
    let said = clients.finish();
    let heard = said.iter().filter(|line| *line == "heard for you").count();
    assert_eq!(heard, CLIENTS, "{said:?}");
    assert!(npipe.is_running());
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn many_dotnet_clients_are_echoed_at_once() {
    let _watchdog = watchdog();
    let pipe = name("echo");
    let _npipe = Npipe::serve(&["listen", "--echo", &pipe], &pipe);
    let words = ["async", "times=20", "timeout=60000", "exchange=200000"];
    let said = Who::Dotnet.peer("connect", &pipe, &words).finish();
    let read = said.iter().filter(|line| *line == "read 200000").count();
    assert_eq!(read, 20, "{said:?}");
}

#[test]
#[cfg_attr(
    not(node),
    ignore = "left out: no Node; `cargo xtask test` sets one up"
)]
fn node_is_echoed() {
    let _watchdog = watchdog();
    let pipe = name("echo");
    let _npipe = Npipe::serve(&["listen", "--echo", &pipe], &pipe);
    let said = Who::Node.peer("connect", &pipe, &["exchange=300000"]);
    assert!(said.finish().contains(&"read 300000".to_owned()));
}

#[test]
#[cfg(windows)]
#[cfg_attr(
    not(go),
    ignore = "left out: no Go peer; `cargo xtask test` sets one up"
)]
fn go_is_echoed() {
    let _watchdog = watchdog();
    let pipe = name("echo");
    let _npipe = Npipe::serve(&["listen", "--echo", &pipe], &pipe);
    let said = Who::Go.peer("connect", &pipe, &["exchange=300000"]);
    assert!(said.finish().contains(&"read 300000".to_owned()));
}

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

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_program_is_wired_to_a_dotnet_client() {
    let _watchdog = watchdog();
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

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_relay_is_between_a_dotnet_client_and_a_dotnet_server() {
    let _watchdog = watchdog();
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

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_relay_goes_through_a_program_to_dotnet() {
    let _watchdog = watchdog();
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

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_relay_takes_tcp_to_dotnet() {
    let _watchdog = watchdog();
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

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_relay_carries_a_half_close_to_dotnet() {
    let _watchdog = watchdog();
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

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_tap_between_dotnet_and_dotnet_shows_each_line_and_changes_nothing() {
    let _watchdog = watchdog();
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

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn what_there_is_to_know_of_a_dotnet_server() {
    let _watchdog = watchdog();
    let pipe = name("info");
    // Looking without --connect takes neither of its two turns. Wine cannot look without.
    let server = Who::Dotnet
        .peer("serve", &pipe, &["times=2", "hear"])
        .leaving(&pipe);
    server.expect("ready");
    let compact = |text: String| text.replace([' ', '\n', '\r'], "");
    let looked = run(&["info", "--json", &pipe]);
    if cfg!(unix) {
        let looked = compact(looked.text());
        assert!(looked.contains("\"state\":\"live\""), "{looked}");
        assert!(looked.contains("\"connected\":false"), "{looked}");
    }
    let known = compact(run(&["info", "--connect", "--json", &pipe]).text());
    for part in [
        format!("\"name\":\"{pipe}\""),
        "\"state\":\"live\"".to_owned(),
        "\"connected\":true".to_owned(),
        "\"mode\":\"byte\"".to_owned(),
        format!("\"server_pid\":{}", server.id()),
    ] {
        assert!(known.contains(&part), "{part}: {known}");
    }
    server.expect("connected");
    server.expect("heard the end");
    server.expect("ready");
    let healthy = run(&["doctor", &pipe]).text();
    assert!(
        healthy.contains("its server takes connections"),
        "{healthy}"
    );
    assert!(
        healthy.contains(&format!("process {}", server.id())),
        "{healthy}"
    );
    server.expect("connected");
    server.expect("heard the end");
    server.finish();
    run(&["connect", &pipe]).code(3);
    run(&["doctor", &pipe]).code(3);
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_name_that_dotnet_has_is_taken() {
    let _watchdog = watchdog();
    let pipe = name("taken");
    let server = Who::Dotnet
        .peer("serve", &pipe, &["hear", "pause"])
        .leaving(&pipe);
    server.expect("ready");
    let taken = run(&["listen", &pipe]);
    assert_eq!(taken.remarks.len(), 1, "{taken:?}");
    taken.code(6);
    // And its owner has noticed nothing.
    let mut npipe = Npipe::start(&["connect", &pipe]);
    npipe.write(b"still yours\n");
    server.expect("connected");
    server.expect("heard still yours");
    if cfg!(windows) {
        // Its only instance is in use. On Unix the next one waits in the system's queue, and is connected.
        run(&["connect", "--timeout", "200ms", &pipe]).code(4);
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn connect_waits_for_a_dotnet_server() {
    let _watchdog = watchdog();
    let pipe = name("later");
    let mut npipe = Npipe::start(&["connect", "--wait", "--timeout", "60s", &pipe]);
    let server = Who::Dotnet
        .peer("serve", &pipe, &["say=come in", "hear"])
        .leaving(&pipe);
    assert_eq!(npipe.line(), "come in");
    npipe.write(b"thanks\n");
    server.expect("ready");
    server.expect("connected");
    server.expect("heard thanks");
    server.finish();
    npipe.end_of_output();
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_dotnet_server_that_is_not_the_expected_one_is_refused() {
    let _watchdog = watchdog();
    let pipe = name("unexpected");
    let server = Who::Dotnet.peer("serve", &pipe, &["hear"]).leaving(&pipe);
    server.expect("ready");
    let other = if cfg!(unix) { "54321" } else { "S-1-5-19" };
    let refused = run(&["connect", "--expect-server", other, &pipe]);
    assert_eq!(refused.remarks.len(), 1, "{refused:?}");
    assert_eq!(refused.code(5), "");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "left out: Wine 10 does not tell the owner of a pipe whose maker named none"
)]
#[cfg_attr(
    not(any(windows, dotnet)),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_dotnet_server_that_is_the_expected_one_is_taken() {
    let _watchdog = watchdog();
    let words = ["say=come in", "hear"];
    let (server, mut npipe) = connect(Who::Dotnet, &words, &["--expect-server", "current-user"]);
    assert_eq!(npipe.line(), "come in");
    npipe.write(b"thanks\n");
    server.expect("heard thanks");
    server.finish();
    npipe.end_of_output();
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn either_half_of_the_demo_talks_with_csharp() {
    let _watchdog = watchdog();
    for dotnet in Dotnet::all() {
        let pipe = name("demo");
        let mut half = Npipe::start(&["demo", "--as", "server", &pipe]).leaving(&pipe);
        assert_eq!(half.line(), "server | waits for a client");
        assert_eq!(dotnet.client(&pipe).finish(), ["Hello from Rust"]);
        for line in [
            "hears: Hello from C#",
            "says: Hello from Rust",
            "hears: C# is done",
        ] {
            assert_eq!(half.line(), format!("server | {line}"));
        }
        half.end_of_output();

        // The client may come first.
        let pipe = name("demo");
        let mut half = Npipe::start(&["demo", "--as", "client", &pipe]);
        assert_eq!(half.line(), "client | looks for a server");
        let server = dotnet.server(&pipe).leaving(&pipe);
        assert_eq!(server.finish(), ["Hello from Rust", "Rust is done"]);
        for line in [
            "says: Hello from Rust",
            "hears: Hello from C#",
            "says: Rust is done",
        ] {
            assert_eq!(half.line(), format!("client | {line}"));
        }
        half.end_of_output();
    }
}
