//! Runs `npipe`, feeds it, waits for what it says, and never hangs: a watchdog ends the whole run instead.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use npipe::{ConnectOptions, PipeListener, PipeStream};

/// Far more than any test takes, on the slowest machine and under Wine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A name that nobody else has.
pub fn name(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("npipe-test-{}-{count}-{what}", std::process::id())
}

/// Ends the test run, loudly, if the test that holds it takes too long.
pub struct Watchdog(#[allow(dead_code)] mpsc::Sender<()>);

pub fn watchdog() -> Watchdog {
    let (alive, gone) = mpsc::channel();
    let test = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        if gone.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{test} hangs: ending the run");
            std::process::abort();
        }
    });
    Watchdog(alive)
}

pub fn npipe<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_npipe"));
    command
        .args(args)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// An `npipe` that runs. Dropped, it is ended.
pub struct Running {
    child: Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<BufReader<ChildStdout>>,
    said: Receiver<String>,
    stderr: String,
}

/// An `npipe` that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }

    #[track_caller]
    pub fn done(self) -> Ended {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

pub fn start(args: &[&str]) -> Running {
    start_command(npipe(args))
}

pub fn start_command(mut command: Command) -> Running {
    let mut child = command.spawn().expect("npipe starts");
    let stderr = BufReader::new(child.stderr.take().expect("stderr is ours"));
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            if say.send(line).is_err() {
                return;
            }
        }
    });
    Running {
        stdin: child.stdin.take(),
        stdout: child.stdout.take().map(BufReader::new),
        child,
        said,
        stderr: String::new(),
    }
}

/// Starts a server, and waits until it is one. Gives what it listens on, too.
pub fn serve(args: &[&str]) -> (Running, String) {
    let mut server = start(args);
    let line = server.wait_said("listening on ");
    let place = line
        .split_once("listening on ")
        .expect("it says so")
        .1
        .to_owned();
    (server, place)
}

impl Running {
    /// Waits for a line on stderr that has `part` in it.
    #[track_caller]
    pub fn wait_said(&mut self, part: &str) -> String {
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.stderr.push_str(&line);
                    self.stderr.push('\n');
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(_) => panic!("npipe never said {part:?}, but:\n{}", self.stderr),
            }
        }
    }

    #[cfg(unix)]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin
            .write_all(bytes.as_ref())
            .expect("npipe reads its stdin");
        stdin.flush().expect("a pipe has no buffer of its own");
    }

    pub fn read_line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().expect("stdout is ours");
        stdout.read_line(&mut line).expect("stdout is text");
        line
    }

    pub fn end_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end, its stdin left as it is.
    /// Whether it ends within `time`, having said nothing.
    pub fn ends_within(&self, time: Duration) -> bool {
        self.said.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    pub fn wait(mut self) -> Ended {
        let mut stdout = Vec::new();
        if let Some(mut out) = self.stdout.take() {
            out.read_to_end(&mut stdout).expect("stdout can be read");
        }
        let status = self.child.wait().expect("npipe can be waited for");
        let mut stderr = std::mem::take(&mut self.stderr);
        for line in self.said.iter() {
            stderr.push_str(&line);
            stderr.push('\n');
        }
        Ended {
            code: status.code(),
            stdout,
            stderr,
        }
    }

    /// Ends its stdin, then waits for its end.
    pub fn finish(mut self) -> Ended {
        self.end_stdin();
        self.wait()
    }

    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("npipe can be waited for")
            .is_none()
    }
}

#[cfg(target_os = "linux")]
impl Running {
    /// How many descriptors and threads it has.
    pub fn holds(&self) -> (usize, usize) {
        let count = |what: &str| {
            std::fs::read_dir(format!("/proc/{}/{what}", self.child.id()))
                .map_or(0, Iterator::count)
        };
        (count("fd"), count("task"))
    }

    /// Waits until it holds no more than a relay or listener without clients does.
    #[track_caller]
    pub fn settles_at_idle(&self) {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while self.holds().0 > 12 || self.holds().1 > 3 {
            assert!(
                std::time::Instant::now() < until,
                "descriptors and threads: {:?}",
                self.holds()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(unix)]
impl Running {
    /// Sends SIGTERM, by the `kill` that every shell has: a program of that name is not on every machine.
    pub fn terminate(&self) -> bool {
        Command::new("sh")
            .args(["-c", &format!("kill {}", self.id())])
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first, so that it takes its socket's file along; then made to.
        #[cfg(unix)]
        if self.is_running() && self.terminate() {
            let _ = self.child.wait();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn run(args: &[&str]) -> Ended {
    start(args).finish()
}

pub fn connect(name: &str) -> PipeStream {
    ConnectOptions::new()
        .wait_for_server(true)
        .timeout(PATIENCE)
        .connect(name)
        .expect("the server is there")
}

/// A server in this process: what `serve` gives for each of `clients` clients.
pub fn server<T: Send + 'static>(
    name: &str,
    clients: usize,
    serve: impl Fn(PipeStream) -> T + Send + 'static,
) -> JoinHandle<Vec<T>> {
    let listener = PipeListener::bind(name).expect("the name is free");
    thread::spawn(move || {
        listener
            .incoming()
            .take(clients)
            .map(|client| serve(client.expect("a client")))
            .collect()
    })
}

/// Bytes that no mistake could make by chance: the same for the same seed.
pub struct Noise {
    state: u64,
    left: u64,
}

pub fn noise(seed: u64, length: u64) -> Noise {
    Noise {
        state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        left: length,
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        for chunk in buffer[..length].chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            chunk.copy_from_slice(&self.state.to_le_bytes()[..chunk.len()]);
        }
        self.left -= length as u64;
        Ok(length)
    }
}

/// Reads `from` to its end, and sees that it is exactly `expected`.
#[track_caller]
pub fn assert_is(mut from: impl Read, expected: Noise) {
    let left = assert_starts_with(&mut from, expected);
    let mut more = [0; 1];
    assert_eq!(left, 0, "all is there");
    assert_eq!(
        from.read(&mut more).expect("the end can be read"),
        0,
        "and nothing more"
    );
}

/// Reads as much as `expected` has, or to the end; gives how much is missing.
#[track_caller]
pub fn assert_starts_with(mut from: impl Read, mut expected: Noise) -> u64 {
    // A multiple of the eight bytes that the noise is made in.
    const STEP: usize = 64 * 1024;
    let (mut want, mut have) = (vec![0; STEP], vec![0; STEP]);
    let mut at = 0;
    while expected.left > 0 {
        let step = STEP.min(usize::try_from(expected.left).expect("a step"));
        expected
            .read_exact(&mut want[..step])
            .expect("noise has no errors");
        let mut got = 0;
        while got < step {
            match from.read(&mut have[got..step]).expect("it can be read") {
                0 => return expected.left + (step - got) as u64,
                length => got += length,
            }
        }
        assert!(
            want[..step] == have[..step],
            "the bytes after {at} are others"
        );
        at += step;
    }
    0
}

/// Feeds a writer from another thread, then drops it.
pub fn feed(
    mut to: impl Write + Send + 'static,
    mut from: impl Read + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        io::copy(&mut from, &mut to).expect("the other side takes everything");
    })
}
