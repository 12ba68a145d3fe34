//! A subject that runs: its server's process and its client's.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::options::Options;
use super::place::Placing;
use super::rows::Subject;
use crate::protocol::Half;

/// How long anything may take. Under Wine on a busy machine, .NET takes seconds to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that takes commands, a line each, and answers likewise. Dropped, it ends.
#[derive(Debug)]
struct Talker {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    what: String,
}

impl Talker {
    fn start(command: &[String], what: String) -> Result<Talker> {
        let (program, arguments) = command.split_first().context("a peer without a command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {what}"))?;
        let input = child.stdin.take().context("it has an input")?;
        let output = child.stdout.take().context("it has an output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let talker = Talker {
            child,
            input,
            lines,
            what,
        };
        Ok(talker)
    }

    fn hear(&self) -> Result<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("{} said nothing for {PATIENCE:?}", self.what),
            Err(RecvTimeoutError::Disconnected) => bail!("{} has ended", self.what),
        }
    }

    fn ready(self) -> Result<Talker> {
        let line = self.hear()?;
        ensure!(line == "ready", "{} said {line}", self.what);
        Ok(self)
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A subject with its connection open.
#[derive(Debug)]
pub struct Peer {
    // Before the server, which it would miss.
    client: Talker,
    _server: Talker,
    /// Where the server's socket is, on Unix.
    _directory: Directory,
}

impl Peer {
    pub fn start(subject: &Subject, place: Placing, options: &Options) -> Result<Peer> {
        let directory = Directory::make()?;
        let address = directory.address();
        let start = |half, word: &str| -> Result<Talker> {
            let foreign = options.peers.iter().find(|it| it.name == subject.program);
            let mut command = match foreign {
                Some(foreign) => foreign.command.clone(),
                None => vec![
                    std::env::current_exe()?.to_string_lossy().into_owned(),
                    word.to_owned(),
                    subject.program.clone(),
                    address.clone(),
                ],
            };
            if foreign.is_some() {
                command.extend([word.to_owned(), address.clone()]);
            }
            if options.real_time && place == Placing::Two {
                // On one core it would change what is measured: the one that is woken would not go first.
                command.splice(0..0, ["chrt", "-r", "10"].map(str::to_owned));
            }
            let what = format!("{word} {}", subject.name);
            place
                .within(half, || Talker::start(&command, what))?
                .ready()
        };
        let server = start(Half::Serve, "serve")?;
        let client = start(Half::Work, "work")?;
        let mut peer = Peer {
            client,
            _server: server,
            _directory: directory,
        };
        if subject.idle > 0 {
            let idle = if options.quick { 20 } else { subject.idle };
            peer.ask(&format!("idle {idle}"))?;
        }
        Ok(peer)
    }

    /// Gives the client a command, and returns the numbers of its answer.
    pub fn ask(&mut self, command: &str) -> Result<Vec<u64>> {
        let what = || format!("{}: {command}", self.client.what);
        writeln!(self.client.input, "{command}").with_context(what)?;
        let answer = self.client.hear()?;
        let numbers = answer
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<Vec<u64>, _>>();
        match numbers {
            Ok(numbers) if !numbers.is_empty() => Ok(numbers),
            _ => bail!("{}: {answer}", what()),
        }
    }
}

/// A directory of a server's own, or a name on Windows. Dropped, it goes with what is in it.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn make() -> Result<Directory> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("npipe-bench-{}-{number}", std::process::id());
        if cfg!(windows) {
            return Ok(Directory(format!(r"\\.\pipe\{name}").into()));
        }
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Directory(path))
    }

    fn address(&self) -> String {
        let path = if cfg!(windows) {
            self.0.clone()
        } else {
            self.0.join("s")
        };
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if cfg!(unix) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
