//! A program that is run for a connection, its stdin and stdout the connection.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::failure::{self, Failure};
use crate::say;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    words: Vec<OsString>,
}

impl Program {
    /// From words that somebody's shell has split already. There must be one.
    pub fn new(words: Vec<OsString>) -> Program {
        Program { words }
    }

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

    /// Runs it. Its stderr stays ours.
    pub fn start(&self) -> failure::Result<Running> {
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let what = format!("run {:?}", self.words[0]);
            match error.kind() {
                ErrorKind::NotFound => Failure::new(
                    failure::IO,
                    format!("{what}: there is no such program; give its full path, or put it on the PATH"),
                ),
                _ => Failure::io(what, &error).advise("give a program that you may run"),
            }
        })?;
        Ok(Running {
            stdin: Mutex::new(child.stdin.take()),
            stdout: Mutex::new(child.stdout.take()),
            child: Mutex::new(Some(child)),
        })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(OsStr::new(" ")).to_string_lossy())
    }
}

/// A program that runs. One thread may read from it while another writes.
#[derive(Debug)]
pub struct Running {
    stdin: Mutex<Option<ChildStdin>>,
    stdout: Mutex<Option<ChildStdout>>,
    /// None once somebody else waits for it.
    child: Mutex<Option<Child>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut *lock(&self.stdout) {
            Some(stdout) => stdout.read(buffer),
            None => Ok(0),
        }
    }

    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match &mut *lock(&self.stdin) {
            Some(stdin) => stdin.write_all(bytes),
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
        lock(&self.child).as_ref().map_or(0, Child::id)
    }

    pub fn has_ended(&self) -> bool {
        match &mut *lock(&self.child) {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => true,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_input();
        self.close_output();
        if self.has_ended() {
            return;
        }
        // Somebody must be told of its end, or it stays as a zombie for as long as we run.
        let Some(mut child) = lock(&self.child).take() else {
            return;
        };
        let wait = move || {
            if let Ok(status) = child.wait() {
                say::detail(format_args!("process {} has ended: {status}", child.id()));
            }
        };
        // Where no thread can be had it stays a zombie, and nothing else is harmed.
        let _ = std::thread::Builder::new()
            .stack_size(crate::threads::STACK)
            .spawn(wait);
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
