//! How a run that failed says so: one line on stderr (what failed, on which pipe, why, what to do) and an exit code.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use crate::say;
use crate::signals;

/// An I/O failure, and whatever has no code of its own.
pub const IO: u8 = 1;
pub const USAGE: u8 = 2;
pub const NO_SUCH_PIPE: u8 = 3;
pub const TIMED_OUT: u8 = 4;
pub const NOT_ALLOWED: u8 = 5;
pub const NAME_TAKEN: u8 = 6;

pub type Result<T = ()> = std::result::Result<T, Failure>;

#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    /// None: there is nobody left to tell, or it has been told.
    line: Option<String>,
    is_stdout: bool,
}

impl Failure {
    pub fn new(code: u8, line: impl Into<String>) -> Failure {
        Failure {
            code,
            line: Some(line.into()),
            is_stdout: false,
        }
    }

    pub fn usage(line: impl Into<String>) -> Failure {
        Failure::new(USAGE, line)
    }

    /// Of what was typed, as clap found it: its message and the usage, without the lines between them.
    pub fn typed(error: &clap::Error) -> Failure {
        let text = error.render().to_string();
        let mut line = String::new();
        if error.kind() == clap::error::ErrorKind::MissingSubcommand {
            // Clap would list hidden commands too.
            return Failure::usage("no command is given; `npipe --help` shows all of them");
        }
        for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
            if part.starts_with("For more information") {
                continue;
            }
            // Clap shows one letter of what may be a whole name.
            let part = if part.starts_with("tip: to pass '") {
                "tip: put -- before what begins with - and is no option"
            } else {
                part
            };
            let part = part.strip_prefix("error: ").unwrap_or(part);
            let remark = ["Usage: ", "tip: "]
                .iter()
                .any(|start| part.starts_with(start));
            if !line.is_empty() {
                line.push_str(if remark { "; " } else { " " });
            }
            line.push_str(
                &part
                    .replacen("Usage: ", "usage: ", 1)
                    .replacen("tip: ", "", 1),
            );
        }
        Failure::usage(line)
    }

    /// Ends the run without a word: somebody else has said it.
    pub fn silent(code: u8) -> Failure {
        Failure {
            code,
            line: None,
            is_stdout: false,
        }
    }

    /// Of what was done with stdout. A reader that has left ends the run quietly, as it would end `cat`.
    pub fn stdout(error: io::Error) -> Failure {
        let gone = error.kind() == ErrorKind::BrokenPipe;
        Failure {
            code: if gone { 0 } else { IO },
            line: (!gone).then(|| format!("write to stdout: {error}")),
            is_stdout: true,
        }
    }

    /// Of a file that somebody wants written.
    pub fn file(path: &Path, error: &io::Error) -> Failure {
        Failure::io(format_args!("write {}", path.display()), error)
            .advise("give a file that can be written, on a disk with room")
    }

    /// Whether nothing can be said on stdout any more.
    pub fn is_stdout(&self) -> bool {
        self.is_stdout
    }

    /// Of a file, a program or a socket: `what` says what was tried on which.
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Failure {
        let code = match error.kind() {
            ErrorKind::TimedOut => TIMED_OUT,
            ErrorKind::PermissionDenied => NOT_ALLOWED,
            ErrorKind::AddrInUse => NAME_TAKEN,
            ErrorKind::InvalidInput => USAGE,
            _ => IO,
        };
        Failure::new(code, format!("{what}: {error}"))
    }

    /// Says what to do about it, too.
    pub fn advise(mut self, advice: &str) -> Failure {
        if let Some(line) = &mut self.line {
            line.push_str("; ");
            line.push_str(advice);
        }
        self
    }

    /// Of the library, whose errors name the operation, the pipe and the reason: what to do is added here.
    pub fn pipe(error: &io::Error) -> Failure {
        let (code, advice) = match error.kind() {
            ErrorKind::NotFound if error.to_string().starts_with("bind ") => {
                (IO, "create it, or choose another path")
            }
            ErrorKind::NotFound => (
                NO_SUCH_PIPE,
                "start its server first, or wait for it with --wait; `npipe list` shows the pipes there are",
            ),
            ErrorKind::TimedOut => (TIMED_OUT, "give it longer with --timeout 30s, or none"),
            ErrorKind::PermissionDenied if error.to_string().ends_with(AT_YOUR_RISK) => {
                (NOT_ALLOWED, "")
            }
            ErrorKind::PermissionDenied if error.to_string().starts_with("bind ") => {
                (NOT_ALLOWED, "choose a place where you may make one")
            }
            ErrorKind::PermissionDenied if is_of_the_system(error) => (
                NOT_ALLOWED,
                "run as the server's user, or have the server listen with --security everyone",
            ),
            // What goes against the direction that the pipe has.
            ErrorKind::PermissionDenied if error.to_string().starts_with("read ") => {
                (NOT_ALLOWED, "open it with --access w")
            }
            ErrorKind::PermissionDenied if !error.to_string().starts_with("connect ") => {
                (NOT_ALLOWED, "open it with --access r")
            }
            ErrorKind::PermissionDenied => (
                NOT_ALLOWED,
                "if the expectation is right, somebody else has taken the name",
            ),
            ErrorKind::AddrInUse if error.to_string().ends_with("or choose another name") => {
                (NAME_TAKEN, "")
            }
            ErrorKind::AddrInUse => (NAME_TAKEN, "choose another name, or end that server"),
            ErrorKind::InvalidInput | ErrorKind::Unsupported => (USAGE, ""),
            _ => (IO, ""),
        };
        let mut line = error.to_string();
        if let Some(fact) = line.strip_suffix(FOR_PROGRAMMERS) {
            line.truncate(fact.len());
        } else if let Some(fact) = line.strip_suffix(AT_YOUR_RISK) {
            line = format!("{fact}--security default");
        }
        let failure = Failure::new(code, line);
        if advice.is_empty() {
            return failure;
        }
        failure.advise(advice)
    }

    /// Of the library's list of pipes, whose error names the place.
    pub fn list(error: &io::Error) -> Failure {
        let code = match error.kind() {
            ErrorKind::PermissionDenied => NOT_ALLOWED,
            _ => IO,
        };
        Failure::new(code, error.to_string()).advise(if cfg!(windows) {
            "ask for one with npipe info NAME"
        } else {
            "give TMPDIR a directory that you may read, or unset it"
        })
    }

    pub fn line(&self) -> &str {
        self.line.as_deref().unwrap_or_default()
    }

    /// Says it, and gives the code to end with.
    pub fn report(self) -> ExitCode {
        ExitCode::from(self.say())
    }

    /// Says it, and ends the process, from whichever thread.
    pub fn exit(self) -> ! {
        signals::exit(self.say())
    }

    fn say(&self) -> u8 {
        if let Some(line) = &self.line {
            say::error(line.replace('\n', " "));
        }
        self.code
    }
}

/// What the library advises a programmer to do; a person has options instead.
const FOR_PROGRAMMERS: &str =
    "; start the server first, or wait for it (ConnectOptions::wait_for_server)";

/// The same, of a directory in which others may replace our files.
const AT_YOUR_RISK: &str = "ListenOptions::allow_shared_directory";

/// Whether the system has refused, rather than the library on our behalf.
fn is_of_the_system(error: &io::Error) -> bool {
    let source = error.get_ref().and_then(|inner| inner.source());
    source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|source| source.raw_os_error().is_some())
}
