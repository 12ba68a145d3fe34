//! `npipe doctor NAME`: tries to connect, and says in plain words why it fails and what to do.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use clap::Args;
use npipe::{PipeMode, PipeName, PipeStream};

use crate::address::pipe_name;
use crate::failure::{self, Failure};
use crate::look::{self, Place, mode_word};
use crate::options::{Dial, Ways};
use crate::say::plain;
use crate::stdout::print_styled;

const EXAMPLES: &str = r"Examples:
  npipe doctor mypipe
  npipe doctor mypipe --message --access r     as your program would open it

It looks from outside first. If somebody listens it then connects, and leaves
at once: a server that serves one client and ends has to be started again.
Its exit code is that of connect.";

/// Find out why a connection fails, and what to do
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// The pipe
    #[arg(value_parser = pipe_name())]
    name: OsString,

    /// Look from outside alone, and use up no connection
    #[arg(long)]
    no_connect: bool,

    /// Whether your program wants messages
    #[arg(long)]
    message: bool,

    /// Which ways your program opens it for: r, w, rw
    #[arg(
        long,
        value_name = "WAYS",
        default_value = "rw",
        hide_default_value = true,
        hide_possible_values = true
    )]
    access: Ways,

    #[command(flatten)]
    dial: Dial,
}

/// What is told on stdout, a line each.
struct Report {
    failed: bool,
}

impl Report {
    fn line(&self, color: AnsiColor, mark: &str, text: &str) -> failure::Result {
        let style = Style::new().fg_color(Some(color.into()));
        print_styled(&format!("{style}{mark:<5}{style:#}{}\n", plain(text)))
    }

    fn good(&self, text: impl AsRef<str>) -> failure::Result {
        self.line(AnsiColor::Green, "ok", text.as_ref())
    }

    fn bad(&mut self, text: impl AsRef<str>) -> failure::Result {
        self.failed = true;
        self.line(AnsiColor::Red, "bad", text.as_ref())
    }

    /// What to do about it, or what else there is.
    fn hint(&self, text: impl AsRef<str>) -> failure::Result {
        self.line(AnsiColor::Yellow, "->", text.as_ref())
    }
}

impl Doctor {
    pub fn run(self) -> failure::Result {
        let mut report = Report { failed: false };
        let name = match PipeName::new(&self.name) {
            Ok(name) => name,
            Err(error) => {
                report.bad(error.to_string())?;
                return Err(Failure::silent(failure::USAGE));
            }
        };
        report.good(format!(
            "{} is the address {name}",
            plain(&self.name.to_string_lossy())
        ))?;
        let look = look::at(&self.name, &name);
        let nobody = matches!(look.place, Place::Absent | Place::Stale | Place::NotASocket);
        if nobody && !self.dial.wait {
            self.absent(&mut report, &name)?;
            return Err(Failure::silent(failure::NO_SUCH_PIPE));
        }
        if !nobody {
            match &look.server {
                Some(server) => report.good(format!("{server} listens there"))?,
                None => report.good("there is a pipe")?,
            }
        }
        if self.no_connect {
            return report.hint("it has not been connected to; without --no-connect it is");
        }
        report.hint("connecting: the server sees a client come, and leave without a word")?;
        match self.connect(self.access) {
            Ok(stream) => {
                let ended = self.connected(&mut report, &stream);
                drop(stream);
                self.tell_cost(&report, &name)?;
                ended
            }
            Err(error) => {
                self.refused(&mut report, &name, &error)?;
                Err(Failure::silent(Failure::pipe(&error).code))
            }
        }
    }

    /// Whether the server is there for others yet.
    fn tell_cost(&self, report: &Report, name: &PipeName) -> failure::Result {
        const GRACE: Duration = Duration::from_millis(300);
        const LOOK: Duration = Duration::from_millis(20);
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            let place = look::at(&self.name, name).place;
            if matches!(place, Place::Absent | Place::Stale) {
                return report.hint(
                    "its server has ended with this connection, as one for a single client does: start it again",
                );
            }
            thread::sleep(LOOK);
        }
        report.hint("that took one connection; the server still listens")
    }

    fn connect(&self, ways: Ways) -> io::Result<PipeStream> {
        self.dial.options().access(ways.into()).connect(&self.name)
    }

    fn connected(&self, report: &mut Report, stream: &PipeStream) -> failure::Result {
        report.good("its server takes connections")?;
        if let Ok(id) = stream.peer_pid() {
            let user = stream
                .peer_identity()
                .ok()
                .and_then(|user| look::account(&user))
                .map(|user| format!(", of {user}"))
                .unwrap_or_default();
            report.good(format!("the server is {}{user}", look::process(id)))?;
        }
        match (stream.mode(), self.message) {
            (PipeMode::Byte, true) => {
                report.bad(
                    "it is a byte pipe: whoever reads it sees no boundaries between messages",
                )?;
                report.hint(
                    "let the server make a message pipe (PipeTransmissionMode.Message, message_mode), or mark the \
                     messages' ends in the bytes, with lines for example",
                )?;
            }
            (PipeMode::Message, false) => {
                report.good("it is a message pipe; read as bytes it shows no boundaries, with --message it does")?;
            }
            (mode, _) => report.good(format!("it is a {} pipe", mode_word(mode)))?,
        }
        if report.failed {
            // What `connect --message` says of such a pipe.
            return Err(Failure::silent(failure::USAGE));
        }
        Ok(())
    }

    fn refused(&self, report: &mut Report, name: &PipeName, error: &io::Error) -> failure::Result {
        match error.kind() {
            ErrorKind::NotFound => self.absent(report, name),
            ErrorKind::TimedOut => {
                let look = look::at(&self.name, name);
                if look.place == Place::Absent || look.place == Place::Stale {
                    return self.absent(report, name);
                }
                report.bad(format!(
                    "there is a server, and it took no connection within {}: it is stuck, or serves as many clients \
                     as it allows",
                    self.dial.timeout()
                ))?;
                if let Some(server) = &look.server {
                    report.hint(format!("the server is {server}: look at what it does"))?;
                }
                if let (Some(instances), Some(most)) = (look.instances, look.max_instances) {
                    report.hint(format!(
                        "{instances} instances are there, of {most} that may be"
                    ))?;
                }
                report.hint("end a client, let the server accept more at once, or wait longer with --timeout")
            }
            ErrorKind::PermissionDenied if self.not_expected(report, error)? => Ok(()),
            ErrorKind::PermissionDenied => self.forbidden(report, name, error),
            _ => report.bad(error.to_string()),
        }
    }

    #[cfg(unix)]
    fn absent(&self, report: &mut Report, name: &PipeName) -> failure::Result {
        use crate::look::{Barrier, barrier, elsewhere, me};
        let path = name.os_path();
        let look = look::at(&self.name, name);
        match barrier(path) {
            Some(Barrier::NoDirectory(directory)) => {
                report.bad(format!(
                    "its directory {} is not there",
                    directory.display()
                ))?;
                if std::env::var_os("TMPDIR").is_some_and(|tmp| path.starts_with(tmp)) {
                    report.hint(
                        "it comes from TMPDIR: give TMPDIR a directory that is there, or unset it",
                    )?;
                }
            }
            Some(Barrier::NoDirectoryAccess(directory)) => {
                report.bad(format!(
                    "this user may not look into {}",
                    directory.display()
                ))?;
            }
            None if look.place == Place::NotASocket => {
                report.bad(failure::what_is_there(path))?;
                report.hint(
                    "give the name of a pipe, and see that the server uses another name too: it could not listen here",
                )?;
            }
            None if look.place == Place::Absent => match std::fs::read_link(path) {
                Ok(target) => report.bad(format!(
                    "it is a link to {}, which is not there",
                    plain(&target.to_string_lossy())
                ))?,
                Err(_) => report.bad("nobody listens there: there is no socket")?,
            },
            None => {
                report
                    .bad("there is a socket, and its server is gone without having removed it")?;
                report.hint(
                    "start the server again: npipe's listeners and .NET's replace such a socket",
                )?;
                if let Some(owner) = look.owner.filter(|owner| *owner != me()) {
                    report.hint(format!(
                        "it is of {owner}: a server of another user may not be able to replace it; have its owner or \
                         root remove it: rm {}",
                        path.display()
                    ))?;
                }
            }
        }
        let others = elsewhere(name);
        for other in &others {
            report.hint(format!(
                "there is a server of this name at {}: it runs with another TMPDIR; give both the same, or connect \
                 to that path",
                plain(&other.to_string_lossy())
            ))?;
        }
        if others.is_empty() && look.place == Place::Absent && barrier(path).is_none() {
            self.alike(report)?;
        }
        Ok(())
    }

    #[cfg(windows)]
    fn absent(&self, report: &mut Report, name: &PipeName) -> failure::Result {
        report.bad(format!("nobody listens there: there is no pipe {name}"))?;
        self.alike(report)
    }

    #[cfg(unix)]
    fn forbidden(
        &self,
        report: &mut Report,
        name: &PipeName,
        error: &io::Error,
    ) -> failure::Result {
        use crate::look::{Barrier, barrier, me};
        if let Some(Barrier::NoDirectoryAccess(directory)) = barrier(name.os_path()) {
            report.bad(format!(
                "this user may not look into {}",
                directory.display()
            ))?;
            return report
                .hint("let the server put its pipe elsewhere, or this user into that directory");
        }
        let me = me();
        let look = look::at(&self.name, name);
        match (&look.owner, look.permissions) {
            (Some(owner), Some(bits)) => {
                report.bad(format!(
                    "its socket belongs to {owner} with mode {bits:04o}, and you are {me}: to connect takes the right \
                     to write"
                ))?;
                if *owner != me {
                    report.hint(format!(
                        "run as {owner}, if that server is the one that you want"
                    ))?;
                }
            }
            _ => report.bad(error.to_string())?,
        }
        report.hint("or let the server listen for others: Security::Everyone, npipe listen --security everyone")
    }

    #[cfg(windows)]
    fn forbidden(
        &self,
        report: &mut Report,
        _name: &PipeName,
        error: &io::Error,
    ) -> failure::Result {
        // A pipe that goes one way lets nobody in who wants the other.
        for (ways, what, option) in [
            (
                Ways::R,
                "from the server to its clients",
                "--access r, PipeDirection.In, Access::Read",
            ),
            (
                Ways::W,
                "from the clients to the server",
                "--access w, PipeDirection.Out, Access::Write",
            ),
        ] {
            if self.access != ways && self.connect(ways).is_ok() {
                report.bad(format!("the pipe goes one way alone, {what}"))?;
                return report.hint(format!("open it for that: {option}"));
            }
        }
        report.bad(error.to_string())?;
        report.hint(
            "if the server runs as another user, as a service or elevated: run as that, or let it listen for others \
             (Security::Everyone, npipe listen --security everyone, PipeSecurity in .NET)",
        )
    }

    /// Whether somebody else's server than the expected one is all that is wrong; then it is told.
    fn not_expected(&self, report: &mut Report, error: &io::Error) -> failure::Result<bool> {
        let anyone = Dial {
            expect_server: None,
            ..self.dial.clone()
        };
        if self.dial.expect_server.is_none() || anyone.options().connect(&self.name).is_err() {
            return Ok(false);
        }
        report.bad(error.to_string())?;
        report.hint("either the expectation is wrong, or somebody else has taken the name: end that server first")?;
        Ok(true)
    }

    /// Names that could have been meant.
    fn alike(&self, report: &mut Report) -> failure::Result {
        let alike: Vec<_> = npipe::list()
            .unwrap_or_default()
            .into_iter()
            .filter(|entry| looks_like(entry.name(), &self.name.to_string_lossy()))
            .map(|entry| plain(entry.name()))
            .collect();
        if alike.is_empty() {
            return report.hint("start the server, and see that both use the same name; `npipe list` shows all names");
        }
        report.hint(format!(
            "there are pipes that look alike: {}",
            alike.join(", ")
        ))
    }
}

/// Whether one could have been meant for the other: but for case, two letters, or a part that is missing.
fn looks_like(one: &str, other: &str) -> bool {
    let (one, other) = (short(one), short(other));
    if one == other {
        return true;
    }
    let (small, big) = if one.len() < other.len() {
        (&one, &other)
    } else {
        (&other, &one)
    };
    (small.chars().count() >= 3 && big.contains(small.as_str()))
        || (one.len() > 2 && distance(&one, &other) <= 2)
}

/// A name as it is typed, of whatever spelling.
fn short(name: &str) -> String {
    let name = name
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(name)
        .to_lowercase();
    name.strip_prefix("corefxpipe_").unwrap_or(&name).to_owned()
}

/// How many letters have to be put in, taken out or changed to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike() {
        for (one, other) in [
            ("mypipe", "MyPipe"),
            ("mypipe", "mypipes"),
            ("mypipe", "mypip"),
            ("mypipe", "mpyipe"),
            ("docker", "docker_engine"),
            ("mypipe", r"\\.\pipe\mypipe"),
        ] {
            assert!(looks_like(one, other), "{one} {other}");
        }
        for (one, other) in [("mypipe", "docker"), ("a", "b"), ("ab", "abcdef")] {
            assert!(!looks_like(one, other), "{one} {other}");
        }
    }
}
