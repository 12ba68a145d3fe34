//! Running other programs: each has a time limit, none outlives its chore.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ui::Progress;

const TICK: Duration = Duration::from_millis(50);

/// The process groups that are running, for the signal handler.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Ends every program that is running when this one is told to end. They are in process groups of their own, so that a
/// time limit can end a program with all that it started; for that reason a Ctrl-C does not reach them by itself.
pub fn end_children_on_signals() {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
            return;
        };
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                for group in RUNNING.lock().unwrap().iter() {
                    kill_group(*group);
                }
                println!();
                std::process::exit(128 + signal);
            }
        });
    }
}

#[cfg(unix)]
fn kill_group(group: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// A program that is running, with what it starts. Dropped, all of it ends.
#[derive(Debug)]
pub struct Running {
    child: Child,
    what: String,
    until: Instant,
    limit: Duration,
    ended: bool,
}

impl Running {
    pub fn start(command: &mut Command, limit: Duration) -> Result<Running> {
        let what = command.get_program().to_string_lossy().into_owned();
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut running = RUNNING.lock().unwrap();
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {what}"))?;
        running.push(child.id());
        Ok(Running {
            child,
            what,
            until: Instant::now() + limit,
            limit,
            ended: false,
        })
    }

    /// The lines of what it prints, as they come; standard error too where that is a pipe.
    pub fn lines(&mut self) -> Receiver<String> {
        let (sender, lines) = mpsc::channel();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            self.child.stdout.take().map(|s| Box::new(s) as _),
            self.child.stderr.take().map(|s| Box::new(s) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = Vec::new();
                while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                    let text = String::from_utf8_lossy(&line);
                    if sender.send(text.trim_end().to_owned()).is_err() {
                        break;
                    }
                    line.clear();
                }
            });
        }
        lines
    }

    /// Its standard output and error, where they are pipes.
    pub fn take_outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Whether it has ended. An error once its time is over.
    pub fn poll(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.ended |= status.is_some();
        if status.is_none() && Instant::now() > self.until {
            self.kill();
            bail!(
                "{} was still running after {:?}: ended it",
                self.what,
                self.limit
            );
        }
        Ok(status)
    }

    pub fn kill(&mut self) {
        if !self.ended {
            #[cfg(unix)]
            kill_group(self.child.id());
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.ended = true;
        }
    }

    /// Waits for it, giving `each` every line that it prints.
    pub fn finish(mut self, mut each: impl FnMut(Option<String>)) -> Result<ExitStatus> {
        let lines = self.lines();
        let mut open = true;
        let status = loop {
            if open {
                match lines.recv_timeout(TICK) {
                    Ok(line) => each(Some(line)),
                    Err(RecvTimeoutError::Timeout) => each(None),
                    Err(RecvTimeoutError::Disconnected) => open = false,
                }
            } else {
                thread::sleep(TICK);
                each(None);
            }
            if let Some(status) = self.poll()? {
                break status;
            }
        };
        // What it left in the pipe; not waiting for the pipe's end, since what it started may hold that open.
        while let Ok(line) = lines.recv_timeout(TICK) {
            each(Some(line));
        }
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let id = self.child.id();
        if let Ok(mut running) = RUNNING.lock() {
            running.retain(|other| *other != id);
        }
    }
}

/// Runs a program whose output matters only when it fails: it goes to `log`, with progress on the screen.
pub fn run_logged(command: &mut Command, what: &str, log: &Path, limit: Duration) -> Result<()> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut file = File::options().create(true).append(true).open(log)?;
    writeln!(file, "\n$ {command:?}")?;
    let mut progress = Progress::begin(what);
    let mut last = Vec::new();
    let status = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()), limit)?
        .finish(|line| {
            if let Some(line) = line {
                let _ = writeln!(file, "{line}");
                progress.line(&line);
                last.push(line);
                if last.len() > 200 {
                    last.drain(..100);
                }
            }
            progress.tick();
        });
    progress.end();
    let status = status.with_context(|| format!("{what} (its output is in {})", log.display()))?;
    if !status.success() {
        for line in &last[last.len().saturating_sub(8)..] {
            let line: String = line.chars().take(160).collect();
            println!("    | {line}");
        }
        bail!(
            "{what}: {} ended with {status}; all of its output is in {}",
            command.get_program().to_string_lossy(),
            log.display()
        );
    }
    Ok(())
}

/// Runs a program whose output is for the reader, untouched.
pub fn run_shown(command: &mut Command, limit: Duration) -> Result<ExitStatus> {
    Running::start(command, limit)?.finish(|_| ())
}

/// What a short program prints, or `None` where it cannot be started or fails.
pub fn output(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()
}
