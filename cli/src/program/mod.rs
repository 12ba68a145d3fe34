//! A program that is run for a connection, its stdin and stdout the connection.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use crate::failure::{self, Failure};
use crate::say;
use crate::threads::STACK;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    words: Vec<OsString>,
}

impl Program {
    /// Splits a command line at blanks. Quotes of both kinds keep blanks, and a backslash keeps the next character,
    /// except on Windows, where it is part of every path. No shell is asked: whoever wants one says `sh -c '...'`.
    pub fn parse(line: &str) -> Result<Program, String> {
        let mut words: Vec<String> = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (Some(q), c) if q == c => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None | Some('"'), '\\') if cfg!(unix) => {
                    let kept = chars.next().ok_or("the command line ends in a backslash")?;
                    word.get_or_insert_default().push(kept);
                }
                (None, c) if c.is_whitespace() => words.extend(word.take()),
                _ => word.get_or_insert_default().push(c),
            }
        }
        if quote.is_some() {
            return Err("a quote is opened and never closed in the command line".into());
        }
        words.extend(word);
        if words.is_empty() {
            return Err("give a command line, as in exec:\"ssh host npipe connect NAME\"".into());
        }
        let words = words.into_iter().map(OsString::from).collect();
        Ok(Program { words })
    }

    /// From the words behind an option. One alone that is no file is a command line, as `exec:` takes it.
    pub fn of_words(words: Vec<OsString>) -> Result<Program, String> {
        match &words[..] {
            [line] if !Path::new(line).is_file() => match line.to_str() {
                Some(line) if line.contains(char::is_whitespace) => Program::parse(line),
                _ => Ok(Program { words }),
            },
            _ => Ok(Program { words }),
        }
    }

    /// Runs it, with `environment` beside our own. Its stderr stays ours. Once its client has gone it is told by the end of
    /// its input, and ended if it has not done so itself after `grace`.
    pub fn start(
        &self,
        environment: &[(&str, String)],
        grace: Option<Duration>,
    ) -> failure::Result<Running> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).stdin(Stdio::piped());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let what = || format!("run {:?}", self.words[0]);
        let (process, stdin, stdout) =
            system::start(command).map_err(|error| match error.kind() {
                ErrorKind::NotFound => Failure::new(
                    failure::IO,
                    format!(
                        "{}: there is no such program; give its full path, or put it on the PATH",
                        what()
                    ),
                ),
                _ => Failure::io(what(), &error).advise("give a program that you may run"),
            })?;
        Ok(Running {
            id: process.id(),
            process: Arc::new(process),
            stdin: Mutex::new(stdin.map(Arc::new)),
            stdout: Mutex::new(stdout.map(Arc::new)),
            grace,
        })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(OsStr::new(" ")).to_string_lossy())
    }
}

/// How long it may take to end once it has been asked to.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often one looks whether it has ended, where one has to.
const LOOK: Duration = Duration::from_millis(20);

/// A program that runs. One thread may read from it while another writes.
#[derive(Debug)]
pub struct Running {
    id: u32,
    process: Arc<system::Process>,
    stdin: Mutex<Option<Arc<system::Input>>>,
    stdout: Mutex<Option<Arc<system::Output>>>,
    grace: Option<Duration>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// What is there, or comes until the program has ended: a child that it leaves behind with its stdout adds nothing.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let stdout = lock(&self.stdout).clone();
        match stdout {
            Some(stdout) => stdout.read(&self.process, buffer),
            None => Ok(0),
        }
    }

    /// Writes all of it, or fails: once the program has ended nobody reads it.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let stdin = lock(&self.stdin).clone();
        match stdin {
            Some(stdin) => stdin.write_all(&self.process, bytes),
            None => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    /// The end of its input.
    pub fn end_input(&self) {
        *lock(&self.stdin) = None;
    }

    /// Nobody wants its output any more: what it writes from now on fails.
    pub fn close_output(&self) {
        *lock(&self.stdout) = None;
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// How long it may go on once its client has gone. None: as long as it likes.
    pub fn grace(&self) -> Option<Duration> {
        self.grace
    }

    /// Ends it, with whatever it has started where the system can tell: asked first, then made to. A pending read ends
    /// with it.
    pub fn stop(&self) {
        stop(&self.process);
    }
}

fn stop(process: &system::Process) {
    if !process.has_ended() && process.ask_to_end() && ends_within(process, LAST_WORDS) {
        return;
    }
    process.kill();
}

fn ends_within(process: &system::Process, time: Duration) -> bool {
    let until = Instant::now() + time;
    while !process.has_ended() {
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}

/// What is the same on both systems.
impl system::Process {
    fn child(&self) -> MutexGuard<'_, Child> {
        lock(&self.child)
    }

    pub fn id(&self) -> u32 {
        self.child().id()
    }

    pub fn has_ended(&self) -> bool {
        !matches!(self.child().try_wait(), Ok(None))
    }

    /// Says how it has ended.
    pub fn tell_end(&self) {
        let mut child = self.child();
        if let Ok(Some(status)) = child.try_wait() {
            say::detail(format_args!("process {} has ended: {status}", child.id()));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_input();
        self.close_output();
        if self.has_ended() {
            self.process.tell_end();
            return;
        }
        // Somebody must wait for its end, or it stays as a zombie for as long as we run.
        let (process, grace) = (self.process.clone(), self.grace());
        let wait = move || {
            if grace.is_some_and(|grace| !ends_within(&process, grace)) {
                stop(&process);
            }
            process.wait();
            process.tell_end();
        };
        // If no thread can be started it stays a zombie, and nothing else is harmed.
        let _ = thread::Builder::new().stack_size(STACK).spawn(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<OsString>, String> {
        Program::parse(line).map(|program| program.words)
    }

    #[test]
    fn a_command_line_is_split_as_people_expect() {
        assert_eq!(
            words("a b  c"),
            Ok(vec!["a".into(), "b".into(), "c".into()])
        );
        assert_eq!(
            words("a 'b c' \"d e\"f ''"),
            Ok(vec!["a".into(), "b c".into(), "d ef".into(), "".into()])
        );
        assert!(words("a 'b").is_err());
        assert!(words("  ").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_backslash_keeps_what_follows() {
        assert_eq!(
            words(r"a\ b 'c\d' \'"),
            Ok(vec!["a b".into(), r"c\d".into(), "'".into()])
        );
    }

    #[cfg(windows)]
    #[test]
    fn a_backslash_belongs_to_a_path() {
        assert_eq!(
            words(r"C:\bin\x.exe y"),
            Ok(vec![r"C:\bin\x.exe".into(), "y".into()])
        );
    }
}
