//! How a run that failed says so: one line on stderr (what failed, on which pipe, why, what to do) and an exit code.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use npipe::{PipeError, Reason};

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
    is_peer: bool,
}

impl Failure {
    pub fn new(code: u8, line: impl Into<String>) -> Failure {
        Failure {
            code,
            line: Some(line.into()),
            is_stdout: false,
            is_peer: false,
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
            is_peer: false,
        }
    }

    /// Of what was done with stdout. A reader that has left ends the run quietly, as it would end `cat`.
    pub fn stdout(error: io::Error) -> Failure {
        let gone = error.kind() == ErrorKind::BrokenPipe;
        Failure {
            code: if gone { 0 } else { IO },
            line: (!gone).then(|| format!("write to stdout: {error}")),
            is_stdout: true,
            is_peer: false,
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

    /// Says it of one client among many, where the run goes on. That the other side has closed is no error.
    pub fn tell_of(&self, client: impl fmt::Display) {
        let Some(line) = &self.line else { return };
        let line = format!("{client}: {line}");
        if self.is_peer {
            say::detail(line);
        } else {
            say::error(line);
        }
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
        Failure {
            is_peer: matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
            ),
            ..Failure::new(code, format!("{what}: {error}"))
        }
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
        let Some(known) = PipeError::of(error) else {
            return Failure::io("a pipe", error);
        };
        let (reason, binds) = (known.reason(), known.operation() == "bind");
        let code = code(reason, binds, error.kind());
        let line = match reason {
            // Whoever follows the library's advice to a server would remove somebody's file.
            Reason::NotASocket => {
                let (operation, pipe) = (known.operation(), known.pipe());
                format!("{operation} {pipe}: {}", what_is_there(Path::new(pipe)))
            }
            // Its own words are about who may write to it.
            _ if binds && is_no_directory(Path::new(known.pipe())) => {
                let directory = Path::new(known.pipe()).parent().unwrap_or(Path::new("/"));
                format!(
                    "bind {}: {} is no directory",
                    known.pipe(),
                    directory.display()
                )
            }
            _ => API.iter().fold(error.to_string(), |line, (api, option)| {
                line.replace(api, option)
            }),
        };
        let failure = Failure {
            is_peer: reason == Reason::PeerClosed,
            ..Failure::new(code, line)
        };
        match advice(known, error.kind()) {
            "" => failure,
            advice => failure.advise(advice),
        }
    }

    /// Of the library's list of pipes, whose error names the place.
    pub fn list(error: &io::Error) -> Failure {
        let code = match error.kind() {
            ErrorKind::PermissionDenied => NOT_ALLOWED,
            _ => IO,
        };
        Failure::new(code, error.to_string()).advise(if cfg!(windows) {
            "npipe info NAME is how"
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

/// What the library advises a programmer to do, and what a person does.
const API: [(&str, &str); 4] = [
    ("ConnectOptions::wait_for_server", "--wait"),
    (
        "ListenOptions::allow_shared_directory",
        "--allow-shared-directory",
    ),
    (
        "with ConnectOptions::allow_shared_directory",
        "without --expect-server",
    ),
    ("Security::OsDefault", "--security default"),
];

fn code(reason: Reason, binds: bool, kind: ErrorKind) -> u8 {
    match reason {
        Reason::NameTaken => NAME_TAKEN,
        Reason::NotASocket | Reason::StaleSocket if binds => NAME_TAKEN,
        Reason::NoDirectory if binds => IO,
        Reason::NoSuchPipe | Reason::NotASocket | Reason::StaleSocket | Reason::NoDirectory => {
            NO_SUCH_PIPE
        }
        Reason::Busy | Reason::NoServerCame | Reason::DeadlinePassed | Reason::WriteLost => {
            TIMED_OUT
        }
        Reason::NotAllowed
        | Reason::UnexpectedServer
        | Reason::OpenDirectory
        | Reason::WrongDirection => NOT_ALLOWED,
        Reason::WrongName
        | Reason::WrongOption
        | Reason::WrongMode
        | Reason::WrongRole
        | Reason::WrongHandle
        | Reason::NotHere => USAGE,
        Reason::System if kind == ErrorKind::PermissionDenied => NOT_ALLOWED,
        _ => IO,
    }
}

fn advice(error: &PipeError, kind: ErrorKind) -> &'static str {
    let operation = error.operation();
    match error.reason() {
        Reason::NoSuchPipe | Reason::StaleSocket if operation == "connect" => {
            "`npipe list` shows the existing pipes"
        }
        Reason::NotASocket => "give the name of a pipe; `npipe list` shows those there are",
        Reason::NoDirectory if is_in_tmpdir(error.pipe()) => BETTER_TMPDIR,
        Reason::NoDirectory => "create it, or choose another path",
        Reason::Busy | Reason::NoServerCame | Reason::DeadlinePassed => {
            "give it longer with --timeout 30s, or none"
        }
        Reason::NotAllowed if operation == "bind" && is_in_tmpdir(error.pipe()) => BETTER_TMPDIR,
        Reason::NotAllowed if operation == "bind" => "choose a place where you may make one",
        Reason::NotAllowed => {
            "run as the server's user, or have the server listen with --security everyone"
        }
        Reason::UnexpectedServer => "if the expectation is right, somebody else has taken the name",
        Reason::WrongDirection if operation.starts_with("read") => "open it with --access w",
        Reason::WrongDirection => "open it with --access r",
        Reason::NameTaken => "choose another name, or end that server",
        Reason::System if operation != "bind" => "",
        Reason::System | Reason::NotHere | Reason::OpenDirectory
            if operation == "bind" && is_in_tmpdir(error.pipe()) =>
        {
            BETTER_TMPDIR
        }
        Reason::System => match kind {
            ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull | ErrorKind::NotADirectory => {
                "choose a directory that can be written to, on a disk with room"
            }
            _ => "",
        },
        _ => "",
    }
}

const BETTER_TMPDIR: &str = "its place comes from TMPDIR: give TMPDIR a directory that is there, with room, and that \
                             you may write to, or unset it";

fn is_in_tmpdir(pipe: &str) -> bool {
    cfg!(unix)
        && std::env::var_os("TMPDIR")
            .is_some_and(|tmp| !tmp.is_empty() && Path::new(pipe).parent() == Some(Path::new(&tmp)))
}

fn is_no_directory(path: &Path) -> bool {
    let parent = path.parent().and_then(|parent| parent.metadata().ok());
    cfg!(unix) && parent.is_some_and(|parent| !parent.is_dir())
}

/// In plain words, where it is no socket that a pipe could be.
pub fn what_is_there(path: &Path) -> &'static str {
    match path.metadata().map(|file| file.file_type()) {
        Ok(kind) if kind.is_dir() => "this is a directory, and no pipe",
        Ok(kind) if kind.is_file() => "this is a file, and no pipe",
        #[cfg(unix)]
        Ok(kind) if std::os::unix::fs::FileTypeExt::is_socket(&kind) => {
            "this is a socket for datagrams, and no pipe"
        }
        _ => "this is no pipe",
    }
}
