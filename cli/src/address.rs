//! The places that `relay` and `tap` know: `pipe:NAME`, `unix:PATH`, `tcp:HOST:PORT`, `exec:COMMAND LINE`, `stdio`, and
//! `assuan:FILE`, which is where GnuPG for Windows has no socket.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::args::{Carry, Dial};
use crate::end::End;
use crate::failure::{self, Failure};
use crate::program::Program;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A pipe, or on Unix any other socket of the file system: the library takes a path for a name.
    Pipe(OsString),
    Unix(OsString),
    Tcp(String),
    Exec(Program),
    Stdio,
    /// A file with a port of this machine and a secret for whoever connects to it.
    Assuan(OsString),
}

impl Address {
    /// How the command line is read.
    pub fn parser() -> impl TypedValueParser<Value = Address> {
        OsStringValueParser::new().try_map(|text| Address::parse(&text))
    }

    fn parse(text: &OsStr) -> Result<Address, String> {
        if text.eq_ignore_ascii_case("stdio") || text == "-" {
            return Ok(Address::Stdio);
        }
        if let Some(name) = after(text, "pipe:") {
            return non_empty(name, "a pipe's name, as in pipe:mypipe").map(Address::Pipe);
        }
        if let Some(path) = after(text, "unix:") {
            return unix(path);
        }
        if let Some(place) = after(text, "tcp:") {
            return tcp(place.to_str().unwrap_or_default());
        }
        if let Some(file) = after(text, "assuan:") {
            return non_empty(
                file,
                "a file, as in assuan:C:/Users/me/AppData/Local/gnupg/S.gpg-agent",
            )
            .map(Address::Assuan);
        }
        if let Some(line) = after(text, "exec:") {
            let line = line.to_str().ok_or("the command line is not Unicode")?;
            return Program::parse(line).map(Address::Exec);
        }
        non_empty(text.to_owned(), "an address").map(Address::Pipe)
    }
}

/// What follows `kind`, in whatever case, at the beginning of `text`.
fn after(text: &OsStr, kind: &str) -> Option<OsString> {
    let start = text.as_encoded_bytes().get(..kind.len())?;
    start
        .eq_ignore_ascii_case(kind.as_bytes())
        .then(|| rest(text, kind.len()))
}

/// What follows so many ASCII characters.
#[cfg(unix)]
fn rest(text: &OsStr, length: usize) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(&text.as_bytes()[length..]).to_owned()
}

#[cfg(windows)]
fn rest(text: &OsStr, length: usize) -> OsString {
    use std::os::windows::ffi::{OsStrExt, OsStringExt};
    OsString::from_wide(&text.encode_wide().skip(length).collect::<Vec<_>>())
}

fn non_empty(text: OsString, what: &str) -> Result<OsString, String> {
    if text.is_empty() {
        return Err(format!("give {what}"));
    }
    Ok(text)
}

fn unix(path: OsString) -> Result<Address, String> {
    if cfg!(windows) {
        return Err("unix: is for Unix systems; on Windows give pipe:NAME or tcp:HOST:PORT".into());
    }
    let path = non_empty(path, "a socket's path, as in unix:/run/app.sock")?;
    let path = std::path::absolute(path).map_err(|e| e.to_string())?;
    Ok(Address::Unix(path.into_os_string()))
}

fn tcp(place: &str) -> Result<Address, String> {
    let (host, port) = place.rsplit_once(':').unwrap_or_default();
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err("give host and port, as in tcp:127.0.0.1:8080 or tcp:[::1]:8080".into());
    }
    Ok(Address::Tcp(place.to_owned()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Pipe(name) => write!(f, "pipe:{}", name.to_string_lossy()),
            Address::Unix(path) => write!(f, "unix:{}", path.to_string_lossy()),
            Address::Tcp(place) => write!(f, "tcp:{place}"),
            Address::Exec(program) => write!(f, "exec:{program}"),
            Address::Stdio => f.write_str("stdio"),
            Address::Assuan(file) => write!(f, "assuan:{}", file.to_string_lossy()),
        }
    }
}

impl Address {
    /// Goes there, for what is to be copied.
    pub fn dial(&self, how: &Dial, carry: &Carry) -> failure::Result<End> {
        match self {
            Address::Pipe(name) | Address::Unix(name) => {
                let options = how.options().access(carry.access.into());
                let stream = options.connect(name).map_err(|e| Failure::pipe(&e))?;
                Ok(End::Pipe(stream))
            }
            Address::Tcp(place) => dial_tcp(place, how).map(End::Tcp),
            Address::Assuan(file) => dial_assuan(file, how).map(End::Tcp),
            Address::Exec(program) => program.start().map(End::Program),
            Address::Stdio => End::stdio(carry.message),
        }
    }
}

/// TCP has no event for a server that comes.
const TCP_RETRY: Duration = Duration::from_millis(50);

/// libassuan's stand-in for a socket: a file with a port, a line end, and sixteen bytes that the server wants first.
fn dial_assuan(file: &OsStr, how: &Dial) -> failure::Result<TcpStream> {
    let what = || format!("connect assuan:{}", file.to_string_lossy());
    let secret = std::fs::read(file).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Failure::new(
            failure::NO_SUCH_PIPE,
            format!("{}: there is no such file; start gpg-agent, `gpgconf --list-dirs` shows where it is", what()),
        ),
        _ => Failure::io(what(), &e).advise("give a file that you may read"),
    })?;
    let split = secret.iter().position(|&byte| byte == b'\n');
    let port = split.and_then(|at| {
        std::str::from_utf8(&secret[..at])
            .ok()?
            .trim()
            .parse::<u16>()
            .ok()
    });
    let (Some(at), Some(port)) = (split, port) else {
        return Err(Failure::new(
            failure::IO,
            format!(
                "{}: the file does not begin with a port; give the one that gpg-agent made",
                what()
            ),
        ));
    };
    let mut stream = dial_tcp(&format!("127.0.0.1:{port}"), how)?;
    stream
        .write_all(&secret[at + 1..])
        .map_err(|e| Failure::io(what(), &e))?;
    Ok(stream)
}

fn dial_tcp(place: &str, how: &Dial) -> failure::Result<TcpStream> {
    let what = || format!("connect tcp:{place}");
    let until = how
        .timeout
        .0
        .and_then(|time| Instant::now().checked_add(time));
    loop {
        let error = match attempt_tcp(place, until) {
            Ok(stream) => {
                // What passes here is as interactive as a pipe is.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => error,
        };
        let refused = error.kind() == ErrorKind::ConnectionRefused;
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if refused && how.wait && left.is_none_or(|left| !left.is_zero()) {
            std::thread::sleep(left.map_or(TCP_RETRY, |left| left.min(TCP_RETRY)));
            continue;
        }
        return Err(match error.kind() {
            ErrorKind::ConnectionRefused if how.wait => Failure::new(
                failure::TIMED_OUT,
                format!(
                    "{}: no server came within {}; give it longer with --timeout",
                    what(),
                    how.timeout
                ),
            ),
            ErrorKind::ConnectionRefused => Failure::new(
                failure::NO_SUCH_PIPE,
                format!(
                    "{}: nothing listens there; start its server first, or wait for it with --wait",
                    what()
                ),
            ),
            ErrorKind::TimedOut => Failure::new(
                failure::TIMED_OUT,
                format!(
                    "{}: no answer within {}; give it longer with --timeout",
                    what(),
                    how.timeout
                ),
            ),
            _ => Failure::io(what(), &error).advise("see that host and port are right"),
        });
    }
}

fn attempt_tcp(place: &str, until: Option<Instant>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "this host has no address");
    for address in place.to_socket_addrs()? {
        let attempt = match until {
            // No time at all is refused by the system: one attempt is always made.
            Some(until) => TcpStream::connect_timeout(
                &address,
                until
                    .saturating_duration_since(Instant::now())
                    .max(Duration::from_millis(1)),
            ),
            None => TcpStream::connect(address),
        };
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_a_bare_name_is_a_pipe() {
        for (text, shown) in [
            ("mypipe", "pipe:mypipe"),
            ("pipe:mypipe", "pipe:mypipe"),
            ("PIPE:mypipe", "pipe:mypipe"),
            (r"\\.\pipe\mypipe", r"pipe:\\.\pipe\mypipe"),
            ("npipe:////./pipe/mypipe", "pipe:npipe:////./pipe/mypipe"),
            ("ü:mypipe", "pipe:ü:mypipe"),
            ("assuan:S.gpg-agent", "assuan:S.gpg-agent"),
            ("tcp:localhost:80", "tcp:localhost:80"),
            ("tcp:[::1]:80", "tcp:[::1]:80"),
            ("exec:ssh host npipe", "exec:ssh host npipe"),
            ("stdio", "stdio"),
            ("-", "stdio"),
        ] {
            let address = Address::parse(OsStr::new(text)).unwrap();
            assert_eq!(address.to_string(), shown);
        }
        for text in [
            "",
            "pipe:",
            "tcp:",
            "tcp:80",
            "tcp:host:port",
            "assuan:",
            "exec:",
            "exec:\"a",
        ] {
            assert!(Address::parse(OsStr::new(text)).is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_unicode_is_kept() {
        use std::os::unix::ffi::OsStrExt;
        let address = |bytes| Address::parse(OsStr::from_bytes(bytes));
        let name = OsStr::from_bytes(b"/tmp/\xff").to_owned();
        assert_eq!(address(b"/tmp/\xff"), Ok(Address::Pipe(name.clone())));
        assert_eq!(address(b"PIPE:/tmp/\xff"), Ok(Address::Pipe(name.clone())));
        assert_eq!(address(b"unix:/tmp/\xff"), Ok(Address::Unix(name.clone())));
        assert_eq!(address(b"assuan:/tmp/\xff"), Ok(Address::Assuan(name)));
        assert!(address(b"tcp:\xff:80").is_err() && address(b"exec:\xff").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_found_from_anywhere() {
        use std::path::Path;
        let address = Address::parse(OsStr::new("unix:app.sock")).unwrap();
        assert!(
            matches!(address, Address::Unix(path) if Path::new(&path).is_absolute() && Path::new(&path).ends_with("app.sock"))
        );
    }
}
