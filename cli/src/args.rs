//! What can be typed: the commands, and the options that several of them share.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use npipe::{Access, ConnectOptions, ExpectServer, ImpersonationLevel, ListenOptions, Security};

use crate::commands::{bench, connect, demo, doctor, info, list, listen, relay, shell, tap};
use crate::couple::{Terms, couple};
use crate::end::End;
use crate::progress::{Progress, stdin_size};
use crate::{failure, say};

const TEMPLATE: &str = "\
{name} {version}: {about}

{usage-heading} npipe COMMAND [OPTIONS]

Commands:
{subcommands}{after-help}
";

const EXAMPLES: &str = r"Examples:
  npipe demo                         two programs talk; C# for either side
  npipe listen mypipe                then, in another terminal:
  npipe connect mypipe               what is typed here comes out there
  npipe tap front mypipe             see what a client of `front` says to mypipe
A NAME is mypipe, \\.\pipe\mypipe or, on Unix, a path. See npipe COMMAND -h.
Exit codes: 1 I/O, 2 usage, 3 no such pipe, 4 timed out, 5 not allowed, 6 taken.";

#[derive(Debug, Parser)]
#[command(name = "npipe", bin_name = "npipe", version, about = "named pipes, the same on Windows and Unix", help_template = TEMPLATE, after_help = EXAMPLES)]
#[command(
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 80
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Say nothing but errors
    #[arg(short, long, global = true, display_order = 90)]
    pub quiet: bool,

    /// Say more: who comes, who goes, how much passed
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "quiet",
        display_order = 91
    )]
    pub verbose: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Demo),
    Connect(connect::Connect),
    Listen(listen::Listen),
    Relay(relay::Relay),
    Tap(tap::Tap),
    List(list::List),
    Info(info::Info),
    Doctor(doctor::Doctor),
    Bench(bench::Bench),
    BenchServer(bench::BenchServer),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// How to reach a server.
#[derive(Clone, Debug, Args)]
pub struct Dial {
    /// How long to wait: 500ms, 2m, none
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub timeout: Patience,

    /// Wait for a server that is not there yet
    #[arg(long)]
    pub wait: bool,

    /// How far it acts as you: anonymous to delegation
    #[arg(long, value_name = "LEVEL", default_value = "identification", value_parser = impersonation)]
    #[arg(hide_default_value = true)]
    pub impersonation: ImpersonationLevel,

    /// Refuse any server but: current-user, UID or SID
    #[arg(long, value_name = "WHOSE", value_parser = server)]
    pub expect_server: Option<ExpectServer>,
}

impl Dial {
    pub fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .wait_for_server(self.wait)
            .impersonation(self.impersonation);
        if let Some(server) = &self.expect_server {
            options = options.expect_server(server.clone());
        }
        match self.timeout.0 {
            Some(timeout) => options.timeout(timeout),
            None => options.no_timeout(),
        }
    }
}

/// How to be a server.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Who may connect: owner, everyone, 0660, SDDL
    #[arg(long, value_name = "WHO", default_value = "owner", value_parser = security, hide_default_value = true)]
    pub security: Security,

    /// Serve at most N clients at once; others wait
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_clients: Option<u32>,
}

impl Serve {
    pub fn options(&self, messages: bool) -> ListenOptions {
        let options = ListenOptions::new()
            .security(self.security.clone())
            .message_mode(messages);
        match self.max_clients {
            Some(clients) => options.max_instances(clients),
            None => options,
        }
    }
}

fn impersonation(text: &str) -> Result<ImpersonationLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "anonymous" => Ok(ImpersonationLevel::Anonymous),
        "identification" => Ok(ImpersonationLevel::Identification),
        "impersonation" => Ok(ImpersonationLevel::Impersonation),
        "delegation" => Ok(ImpersonationLevel::Delegation),
        _ => Err("give anonymous, identification, impersonation or delegation".into()),
    }
}

fn server(text: &str) -> Result<ExpectServer, String> {
    if text == "current-user" {
        return Ok(ExpectServer::CurrentUser);
    }
    match text.parse() {
        Ok(uid) if cfg!(unix) => Ok(ExpectServer::Uid(uid)),
        Err(_) if cfg!(windows) && !text.is_empty() => Ok(ExpectServer::Sid(text.to_owned())),
        _ if cfg!(windows) => Err("give current-user, or a SID such as S-1-5-18 or SY".into()),
        _ => Err("give current-user, or the number of a user, such as 1000".into()),
    }
}

/// Which ways a pipe is opened for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Ways {
    #[default]
    Rw,
    R,
    W,
}

impl From<Ways> for Access {
    fn from(ways: Ways) -> Access {
        match ways {
            Ways::Rw => Access::ReadWrite,
            Ways::R => Access::Read,
            Ways::W => Access::Write,
        }
    }
}

/// What of stdin is one message, and what follows one on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Framing {
    /// A line is a message.
    Lines,
    /// What ends in a NUL is one.
    Nul,
    /// What one read brings is one, and nothing follows one.
    Raw,
}

fn security(text: &str) -> Result<Security, String> {
    match text.to_ascii_lowercase().as_str() {
        "owner" => Ok(Security::OwnerOnly),
        "everyone" => Ok(Security::Everyone),
        "default" => Ok(Security::OsDefault),
        _ if text.starts_with('0') && cfg!(windows) => {
            Err("permission bits are for Unix; on Windows give owner, everyone, default or SDDL".into())
        }
        _ if text.starts_with('0') => match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Security::Mode(mode)),
            _ => Err("permission bits are three octal digits, as in 0660".into()),
        },
        // Every security descriptor in SDDL begins with a letter and a colon: O: G: D: S:
        _ if text.get(1..2) == Some(":") && cfg!(unix) => {
            Err("SDDL is for Windows; on Unix give owner, everyone, default or permission bits such as 0660".into())
        }
        _ if text.get(1..2) == Some(":") => Ok(Security::Sddl(text.to_owned())),
        _ => Err("give owner, everyone, default, permission bits such as 0660 (Unix) \
                  or SDDL such as D:P(A;;GA;;;OW) (Windows)"
            .into()),
    }
}

/// How to copy between stdio and a pipe.
#[derive(Clone, Debug, Args)]
pub struct Transfer {
    /// End once the peer has read all of stdin
    #[arg(long)]
    pub exit_on_eof: bool,

    #[command(flatten)]
    pub carry: Carry,
}

/// What is copied of a connection, and how it shows.
#[derive(Clone, Debug, Args)]
pub struct Carry {
    /// Show bytes, rate and time on stderr
    #[arg(long)]
    pub progress: bool,

    /// Read, write or both, seen from here: r, w, rw
    #[arg(
        long,
        value_name = "WAYS",
        default_value = "rw",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub access: Ways,

    /// Messages: one per line, or with =nul or =raw
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "lines")]
    #[arg(hide_possible_values = true)]
    pub message: Option<Framing>,
}

impl Transfer {
    /// Copies until it is over, and says what there is to say.
    pub fn run(&self, near: End, far: End) -> failure::Result {
        let name = far.name();
        say::detail(format_args!("connected to {name}"));
        let progress = self.carry.progress.then(|| Progress::start(stdin_size()));
        let terms = Terms {
            exit_on_eof: self.exit_on_eof,
            ways: self.carry.access,
        };
        let outcome = couple(near, far, terms, progress.as_ref().map(Progress::watch))?;
        drop(progress);
        say::detail(format_args!(
            "{name} is done: {} bytes sent, {} received",
            outcome.up.bytes, outcome.down.bytes
        ));
        outcome.into_result()
    }
}

/// A length of time; `none` is forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Option<Duration>);

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Patience, String> {
        if text == "none" {
            return Ok(Patience(None));
        }
        duration(text).map(|time| Patience(Some(time)))
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Debug has the unit that fits, but for nothing at all.
            Some(Duration::ZERO) => f.write_str("0s"),
            Some(time) => write!(f, "{time:?}"),
            None => f.write_str("none"),
        }
    }
}

/// `500ms`, `5s`, `2m`, `1h`, or seconds without a unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no length of time: give for example 500ms, 5s, 2m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let seconds = match &text[digits.len()..] {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" | "" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// `64`, `64k`, `1M`: bytes, in powers of 1024.
pub fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is no number of bytes: give for example 64, 64k, 1M");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: usize = digits.parse().map_err(|_| wrong())?;
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, millis) in [
            ("500ms", 500),
            ("5s", 5000),
            ("2", 2000),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "5 s", "-1s", "5d", "nans", "1e30h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!("none".parse(), Ok(Patience(None)));
    }

    #[test]
    fn numbers_of_bytes() {
        for (text, count) in [("64", 64), ("64k", 65536), ("1MiB", 1 << 20), ("0", 0)] {
            assert_eq!(bytes(text), Ok(count), "{text}");
        }
        for text in ["", "k", "-1", "99999999999G", "1x"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn who_may_connect() {
        assert_eq!(security("everyone"), Ok(Security::Everyone));
        let (mode, sddl) = (security("0640"), security("D:P(A;;GA;;;OW)"));
        if cfg!(unix) {
            assert_eq!(mode, Ok(Security::Mode(0o640)));
            assert!(sddl.is_err());
        } else {
            assert!(mode.is_err());
            assert_eq!(sddl, Ok(Security::Sddl("D:P(A;;GA;;;OW)".into())));
        }
        assert!(security("0999").is_err());
        assert!(security("me").is_err());
    }
}
