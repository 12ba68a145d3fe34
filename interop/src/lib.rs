//! The foreign peers that the interop tests start, and how a test talks to them.
//!
//! A peer is a program of `interop/csharp`, `interop/c`, `interop/go`, `interop/java`, `interop/node` or `interop/python`,
//! one of the library's examples, or one that a guide shows. Every wait for one has an end, and it is ended with its test. Where the peers come from is in `find.rs`: `cargo xtask test` sets them up; where there are
//! none, the tests that need them are marked as ignored, "left out".

#[cfg(windows)]
mod console;
#[allow(dead_code)] // build.rs uses the other half
mod find;
pub mod fragments;
mod stack;
#[cfg(target_os = "linux")]
mod strace;

#[cfg(target_os = "linux")]
pub use strace::system_calls;

pub use stack::{Stack, curl, mpv, neovim, ssh_agent};

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{ConnectOptions, ListenOptions, PipeListener, PipeMode, PipeStream};

/// How long a peer may take for anything. Under Wine on a busy machine, .NET takes seconds to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line that a peer printed, or the end of its output.
type Lines = Receiver<String>;

/// A .NET that runs the programs of `interop/csharp`.
#[derive(Clone, Debug)]
pub struct Dotnet {
    command: PathBuf,
    programs: PathBuf,
}

impl Dotnet {
    /// The one that most tests use.
    ///
    /// # Panics
    ///
    /// Where there is none: such tests are to be marked with
    /// `#[cfg_attr(not(dotnet), ignore = "left out: ...")]`.
    pub fn first() -> Dotnet {
        Dotnet::all().remove(0)
    }

    /// Every one that there is.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn all() -> Vec<Dotnet> {
        let Some((commands, programs)) = find::dotnet() else {
            panic!("there is no .NET: `cargo xtask test` sets one up");
        };
        commands
            .into_iter()
            .map(|command| Dotnet {
                command,
                programs: programs.clone(),
            })
            .collect()
    }

    /// Starts `Peer`, which does what the words say: see `interop/csharp/Peer.cs`.
    pub fn peer(&self, words: &[&str]) -> Peer {
        self.program("Peer", words)
    }

    /// Starts `Server`, the one that is shown to users, on a pipe.
    pub fn server(&self, pipe: &str) -> Peer {
        self.program("Server", &[pipe])
    }

    /// Starts `Client`, the one that is shown to users, on a pipe.
    pub fn client(&self, pipe: &str) -> Peer {
        self.program("Client", &[pipe])
    }

    /// Starts the `Server` or `Client` that README.md shows, its pipes below `dir` on Unix.
    pub fn of_the_readme(&self, name: &str, dir: &Path) -> Peer {
        Peer::start(
            self.command(&readme(&self.programs), name)
                .env("TMPDIR", dir),
        )
    }

    /// What that was compiled of.
    pub fn source_of_the_readme(&self, name: &str) -> String {
        let source = readme(&self.programs).join(format!("{name}.cs"));
        std::fs::read_to_string(source).expect("the source is beside the program")
    }

    /// Starts `Peer` as a server for one client, which is the stream.
    pub fn serves(&self, words: &[&str]) -> (Peer, PipeStream) {
        self.serves_to(&ConnectOptions::new(), words)
    }

    /// The same, with options of the client's.
    pub fn serves_to(&self, options: &ConnectOptions, words: &[&str]) -> (Peer, PipeStream) {
        let pipe = name("dotnet");
        let server = self
            .peer(&[&["serve", &pipe], words].concat())
            .leaving(&pipe);
        server.expect("ready");
        let stream = options.connect(&pipe).unwrap();
        server.expect("connected");
        (server, stream)
    }

    /// Starts `Peer` as a client of the listener, whose stream to it this is.
    pub fn connects(&self, listener: &PipeListener, words: &[&str]) -> (Peer, PipeStream) {
        let address = listener.local_addr().to_string();
        let client = self.peer(&[&["connect", plain(&address)], words].concat());
        let stream = listener.accept().unwrap();
        client.expect("connecting");
        client.expect("connected");
        (client, stream)
    }

    /// Starts the C# half of one of the library's examples.
    pub fn example(&self, name: &str, arguments: &[&str]) -> Peer {
        self.program(name, arguments)
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Peer {
        Peer::start(self.command(&self.programs, name).args(arguments))
    }

    fn command(&self, dir: &Path, name: &str) -> Command {
        let mut command = Command::new(&self.command);
        command
            .arg(dir.join(format!("{name}.dll")))
            // The runtimes of the lab come without the tables of all languages.
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
        command
    }
}

/// Where the programs of README.md are: beside those of `interop/csharp`.
fn readme(programs: &Path) -> PathBuf {
    programs.with_file_name("readme")
}

/// Starts the go-winio peer, which does what the words say: see `interop/go/peer.go`. It is for Windows alone.
///
/// # Panics
///
/// Where there is none, as all of these: their tests are marked like those of [`Dotnet`].
pub fn go(words: &[&str]) -> Peer {
    go_program("peer", words)
}

fn go_program(name: &str, words: &[&str]) -> Peer {
    let program = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Peer::run(found(find::go(), "Go peer").join(program), words)
}

/// Starts the plain Win32 peer, which does what the words say: see `interop/c/peer.c`. It is for Windows alone.
pub fn c(words: &[&str]) -> Peer {
    c_program("peer", words)
}

/// Starts a C++ program of the guide, `client` or `server`, on a pipe.
pub fn cpp(program: &str, pipe: &str) -> Peer {
    c_program(program, &[pipe])
}

fn c_program(name: &str, words: &[&str]) -> Peer {
    let programs = found(find::c(), "C peer");
    Peer::run(programs.join(format!("{name}.exe")), words)
}

/// Starts the Java peer: see `interop/java/Peer.java`.
pub fn java(words: &[&str]) -> Peer {
    let Some((java, classes)) = find::java() else {
        panic!("there is no Java: `cargo xtask test` sets one up");
    };
    let mut command = Command::new(java);
    command
        // It lives for a moment, beside other tests.
        .args([
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xshare:auto",
        ])
        .arg("-cp")
        .arg(classes)
        .arg("Peer")
        .args(words);
    Peer::start(&mut command)
}

/// Starts the Node peer: see `interop/node/peer.js`.
pub fn node(words: &[&str]) -> Peer {
    script(found(find::node(), "Node"), "node/peer.js", words)
}

/// Starts the Python peer: see `interop/python/peer.py`.
pub fn python(words: &[&str]) -> Peer {
    script(found(find::python(), "Python"), "python/peer.py", words)
}

/// A script in both of its roles, each with our stream to it: a client of a listener of ours, and a server for one
/// client. `script` is [`node`], [`python`] or [`java`].
pub fn both(script: fn(&[&str]) -> Peer, words: &[&str]) -> [(Peer, PipeStream); 2] {
    [script_connects(script, words), script_serves(script, words)]
}

/// A script as a server for one client, and our stream to it.
pub fn script_serves(script: fn(&[&str]) -> Peer, words: &[&str]) -> (Peer, PipeStream) {
    let pipe = name("script");
    let server = script(&[&["serve", &path(&pipe)], words].concat()).leaving(&pipe);
    server.expect("ready");
    let stream = PipeStream::connect(&pipe).unwrap();
    server.expect("connected");
    (server, stream)
}

/// A script as a client of a listener of ours, and our stream to it.
pub fn script_connects(script: fn(&[&str]) -> Peer, words: &[&str]) -> (Peer, PipeStream) {
    let pipe = name("rust");
    let listener = PipeListener::bind(&pipe).unwrap();
    let client = script(&[&["connect", &path(&pipe)], words].concat());
    let stream = listener.accept().unwrap();
    client.expect("connecting");
    client.expect("connected");
    (client, stream)
}

fn found(program: Option<PathBuf>, what: &str) -> PathBuf {
    program.unwrap_or_else(|| panic!("there is no {what}: `cargo xtask test` sets one up"))
}

fn script(interpreter: PathBuf, script: &str, words: &[&str]) -> Peer {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let mut command = Command::new(interpreter);
    if let Some(modules) = find::node_modules() {
        command.env("NODE_PATH", modules);
    }
    Peer::start(command.arg(script).args(words))
}

/// A peer that is running. Dropped, it ends.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    what: String,
    input: Option<ChildStdin>,
    output: Lines,
    remarks: Lines,
    leaves: Option<PathBuf>,
}

impl Peer {
    /// Starts a program that is not .NET's, such as an example of the library.
    pub fn run(program: impl AsRef<OsStr>, arguments: &[&str]) -> Peer {
        Peer::start(Command::new(program).args(arguments))
    }

    /// The same with a console of its own where Ctrl-C is a matter of consoles, on Windows, so that the test alone can
    /// press it there.
    pub fn run_in_console(program: impl AsRef<OsStr>, arguments: &[&str]) -> Peer {
        let mut command = Command::new(program);
        #[cfg(windows)]
        console::of_its_own(&mut command);
        Peer::start(command.args(arguments))
    }

    /// Starts whatever this is, its stdio ours.
    pub fn start(command: &mut Command) -> Peer {
        let what = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
        Peer {
            input: child.stdin.take(),
            output: lines(child.stdout.take().expect("it is a pipe")),
            remarks: lines(child.stderr.take().expect("it is a pipe")),
            child,
            what,
            leaves: None,
        }
    }

    /// Takes away the socket that it leaves at its path, if it is a server, and does not do so itself or is killed.
    pub fn leaving(mut self, pipe: &str) -> Peer {
        if cfg!(unix) {
            self.leaves = Some(path(pipe).into());
        }
        self
    }

    /// The next line that it prints, or `None` when its output has ended.
    pub fn line(&self) -> Option<String> {
        next(&self.output, &self.what)
    }

    /// Waits until it prints `line`; anything else is a failure.
    pub fn expect(&self, line: &str) {
        let got = self.line();
        if got.as_deref() != Some(line) {
            let rest: Vec<String> = self.output.iter().chain(self.remarks.iter()).collect();
            panic!("{}: {got:?} instead of {line:?}; then {rest:#?}", self.what);
        }
    }

    /// Waits until it says on standard error that it can be connected to, as all servers of the conversation do.
    pub fn wait_until_it_waits(&self) {
        let line = next(&self.remarks, &self.what);
        assert!(
            line.as_deref()
                .is_some_and(|line| line.starts_with("waiting for a client")),
            "{}: {line:?}",
            self.what
        );
    }

    /// Lets it go on from a `pause`.
    pub fn go(&mut self) {
        let input = self.input.as_mut().expect("it has not ended");
        input.write_all(b"\n").expect("it is waiting");
    }

    /// Writes a line to its standard input.
    pub fn write_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it has not ended");
        writeln!(input, "{line}").expect("it reads");
    }

    /// Ends its standard input, which is how the servers of [`Stack`] are told to end.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
    }

    /// Waits for its end: how it ended, what it still printed, and what it said on standard error.
    pub fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let mut all = [Vec::new(), Vec::new()];
        for (lines, all) in [&self.output, &self.remarks].into_iter().zip(&mut all) {
            while let Some(line) = next(lines, &self.what) {
                all.push(line);
            }
        }
        let [output, remarks] = all;
        // Both of its outputs have ended, so it is about to as well.
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return (status, output, remarks);
            }
            assert!(Instant::now() < until, "{} does not end", self.what);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end, which has to be a good one, and gives what it still printed.
    pub fn finish(self) -> Vec<String> {
        let what = self.what.clone();
        let (status, output, remarks) = self.end();
        assert!(
            status.success(),
            "{what}: {status}; {output:#?} {remarks:#?}"
        );
        output
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(path) = &self.leaves {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn lines(stream: impl Read + Send + 'static) -> Lines {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            // The end of the line is the console's matter; all else is kept, so that a stray mark in it is seen.
            let text = String::from_utf8_lossy(&line);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if sender.send(text.to_owned()).is_err() {
                break;
            }
            line.clear();
        }
    });
    lines
}

fn next(lines: &Lines, what: &str) -> Option<String> {
    match lines.recv_timeout(PATIENCE) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("{what}: nothing for {PATIENCE:?}"),
    }
}

/// Ends the whole test program, saying which test hung, unless it is dropped in time.
#[derive(Debug)]
pub struct Watchdog {
    _alive: mpsc::Sender<()>,
}

/// A watchdog for the test that calls it.
pub fn watchdog() -> Watchdog {
    let (alive, dropped) = mpsc::channel();
    let test = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        let limit = 3 * PATIENCE;
        if dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("watchdog: {test} hangs: not done within {limit:?}");
            std::process::abort();
        }
    });
    Watchdog { _alive: alive }
}

/// A plain pipe name that nobody else has.
pub fn name(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let random = RandomState::new().build_hasher().finish() as u32;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("npipe-{what}-{:x}-{random:x}-{count:x}", std::process::id())
}

/// A listener of ours, for bytes or messages, and its name.
pub fn listener(mode: PipeMode) -> (String, PipeListener) {
    let pipe = name("rust");
    let listener = ListenOptions::new()
        .message_mode(mode == PipeMode::Message)
        .bind(&pipe)
        .unwrap();
    (pipe, listener)
}

/// Starts one side of the README's conversation, `server` or `client`, at a pipe.
pub type Start<'a> = &'a dyn Fn(&str, &str) -> Peer;

/// The README's conversation between Rust and another language, either serving, and within the other.
pub fn pairings(rust: Start, language: &str, theirs: Start) {
    let (ours, theirs) = (("Rust", rust), (language, theirs));
    for (server, client) in [(ours, theirs), (theirs, ours), (theirs, theirs)] {
        let pipe = name("guide");
        let serving = (server.1)("server", &pipe);
        serving.wait_until_it_waits();
        let calling = (client.1)("client", &pipe);
        let heard = ["Hello from {}", "{} is done"].map(|line| line.replace("{}", client.0));
        assert_eq!(serving.finish(), heard);
        assert_eq!(calling.finish(), [format!("Hello from {}", server.0)]);
    }
}

/// The name in an address, which is how .NET wants it.
fn plain(address: &str) -> &str {
    let start = address.rfind(['\\', '/']).map_or(0, |at| at + 1);
    address[start..].trim_start_matches("CoreFxPipe_")
}

/// Everything until the end, which has to be an end of file and no error.
pub fn read_to_the_end(mut stream: &PipeStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// One line, without its end.
pub fn hear(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end_matches(['\r', '\n']).to_owned()
}

/// Writes `count` bytes of the pattern from one thread while another reads as many, which have to be the same.
pub fn exchange(stream: &PipeStream, count: usize) {
    let sent = pattern(count);
    thread::scope(|scope| {
        let writing = scope.spawn(|| (&mut &*stream).write_all(&sent));
        let mut got = vec![0; count];
        (&mut &*stream).read_exact(&mut got).unwrap();
        writing.join().unwrap().unwrap();
        assert!(got == sent, "what came is not what was sent");
    });
}

/// Writes back all that comes until its end, and tells how much it was.
pub fn echo(stream: &PipeStream) -> usize {
    let mut buffer = [0; 16_384];
    let mut total = 0;
    loop {
        let length = (&mut &*stream).read(&mut buffer).unwrap();
        if length == 0 {
            return total;
        }
        (&mut &*stream).write_all(&buffer[..length]).unwrap();
        total += length;
    }
}

/// What the peers are given that take the system's own path.
pub fn path(name: &str) -> String {
    let name = npipe::PipeName::new(name).expect("it is a good name");
    let path = name.os_path().to_str().expect("it is ASCII");
    path.to_owned()
}

/// The bytes that the peers write, and expect to read.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 31 + (at >> 8)).to_le_bytes()[0])
        .collect()
}
