//! The command's own programs: an `npipe` that a test starts, feeds and reads.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use npipe_interop::{path, pattern};

/// How long `npipe` may say nothing, or take to end. A hang is what this tells apart.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An `npipe` that runs. Dropped, it ends.
pub struct Npipe {
    what: String,
    child: Child,
    pub stdin: Option<ChildStdin>,
    stdout: BufReader<Output>,
    remarks: Receiver<String>,
    leaves: Vec<PathBuf>,
}

/// An `npipe` that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: Vec<u8>,
    pub remarks: Vec<String>,
}

impl Ended {
    #[track_caller]
    pub fn text(self) -> String {
        self.code(0)
    }

    /// What it printed, if it ended with this code.
    #[track_caller]
    pub fn code(self, code: i32) -> String {
        let text = String::from_utf8_lossy(&self.output).into_owned();
        assert_eq!(self.code, Some(code), "{text} {:#?}", self.remarks);
        text
    }
}

/// Where the tests of the whole workspace have the command: beside the directory of the tests.
pub fn program() -> PathBuf {
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
    pub fn start(words: &[&str]) -> Npipe {
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
    pub fn serve(words: &[&str], pipe: &str) -> Npipe {
        let npipe = Npipe::start(words).leaving(pipe);
        npipe.wait_until_it_says("listening on ");
        npipe
    }

    /// Takes away the socket of a server that is ended in the middle.
    pub fn leaving(mut self, pipe: &str) -> Npipe {
        if cfg!(unix) {
            self.leaves.push(path(pipe).into());
        }
        self
    }

    #[track_caller]
    pub fn wait_until_it_says(&self, part: &str) -> String {
        let mut all = Vec::new();
        loop {
            match self.remarks.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => all.push(line),
                Err(error) => panic!("{}: no {part:?}: {error}; {all:#?}", self.what),
            }
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("it has not ended");
        stdin.write_all(bytes).expect("npipe reads its stdin");
    }

    /// Gives it so many bytes of the pattern from another thread, and then the end.
    pub fn feed(&mut self, count: usize) -> JoinHandle<()> {
        let mut stdin = self.stdin.take().expect("it has not ended");
        thread::spawn(move || {
            for chunk in Pattern::new(count) {
                stdin.write_all(&chunk).expect("npipe reads its stdin");
            }
        })
    }

    /// A line of its output without its end, "" at the end of all.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it is text");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Reads so many bytes of the pattern from its output.
    #[track_caller]
    pub fn expect_pattern(&mut self, count: usize) {
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

    pub fn is_running(&mut self) -> bool {
        let status = self.child.try_wait().expect("it is a child");
        status.is_none()
    }

    /// Waits for its end, its stdin left as it is: what it still printed and said.
    pub fn end(mut self) -> Ended {
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
    pub fn end_of_output(self) {
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
pub fn run(words: &[&str]) -> Ended {
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
