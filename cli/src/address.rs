//! The places that one can go to: `pipe:NAME`, `unix:PATH`, `tcp:HOST:PORT`, `exec:COMMAND LINE`, `mux:COMMAND LINE`,
//! `stdio`, and `assuan:FILE`, which is where GnuPG for Windows has no socket. A bare name or a path is a pipe.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use clap::builder::{OsStringValueParser, TypedValueParser};
use npipe::PipeName;

use crate::end::End;
use crate::failure::{self, Failure};
use crate::mux::keeper::Keeper;
use crate::options::{Carry, Dial};
use crate::program::Program;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A pipe, or on Unix any other socket of the file system: the library takes a path for a name.
    Pipe(OsString),
    Unix(OsString),
    Tcp(String),
    Exec(Program),
    /// One program for all clients, with `npipe mux` at its other end.
    Mux(Keeper),
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
        let Some(word) = scheme(text) else {
            return bare(text).map(Address::Pipe);
        };
        let rest = rest(text, word);
        match word.to_ascii_lowercase().as_str() {
            "pipe" => non_empty(rest, "a pipe's name, as in pipe:mypipe").map(Address::Pipe),
            "npipe" => Ok(Address::Pipe(text.to_owned())),
            "unix" => unix(rest),
            "tcp" => tcp(rest.to_str().unwrap_or_default()),
            "assuan" => non_empty(
                rest,
                "a file, as in assuan:C:/Users/me/AppData/Local/gnupg/S.gpg-agent",
            )
            .map(Address::Assuan),
            "exec" => command_line(&rest).map(Address::Exec),
            "mux" => command_line(&rest).map(Keeper::new).map(Address::Mux),
            _ => Err(format!(
                "there is no {word}: give {SCHEMES}; pipe:{} if that is a pipe's name",
                text.to_string_lossy()
            )),
        }
    }
}

const SCHEMES: &str = "pipe:NAME, unix:PATH, tcp:HOST:PORT, exec:COMMAND LINE, mux:COMMAND LINE, \
                       stdio or assuan:FILE";

/// The word before the first colon, if nothing but a word is there. (`\\.\pipe\a:b` and `/tmp/a:b` begin with none.)
fn scheme(text: &OsStr) -> Option<&str> {
    let bytes = text.as_encoded_bytes();
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let word = std::str::from_utf8(&bytes[..colon]).ok()?;
    let is_word = |c: char| c.is_alphanumeric() || "+-._".contains(c);
    (!word.is_empty() && word.chars().all(is_word)).then_some(word)
}

/// A name as it is, but for a relative path: that is found from here, whoever uses it.
fn bare(text: &OsStr) -> Result<OsString, String> {
    let bytes = text.as_encoded_bytes();
    let is_relative = [&b"./"[..], b"../"]
        .iter()
        .any(|start| bytes.starts_with(start));
    if !is_relative {
        if text.is_empty() {
            return Err("a name is needed, or an address".into());
        }
        return Ok(text.to_owned());
    }
    if cfg!(windows) {
        return Err(
            "a path is for Unix systems; on Windows a pipe has a name, as in mypipe".into(),
        );
    }
    let path = std::path::absolute(text).map_err(|e| e.to_string())?;
    Ok(path.into_os_string())
}

fn command_line(line: &OsStr) -> Result<Program, String> {
    Program::parse(line.to_str().ok_or("the command line is not Unicode")?)
}

/// The name of a pipe, where nothing else will do.
pub fn pipe_name() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|text| match Address::parse(&text) {
        Ok(Address::Pipe(name) | Address::Unix(name)) => Ok(name),
        // The library says what is wrong with no name at all.
        _ if text.is_empty() => Ok(text),
        Ok(_) => Err("this takes a pipe: give its name, pipe:NAME or a path".to_owned()),
        Err(wrong) => Err(wrong),
    })
}

/// What follows the word and its colon.
#[cfg(unix)]
fn rest(text: &OsStr, word: &str) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(&text.as_bytes()[word.len() + 1..]).to_owned()
}

#[cfg(windows)]
fn rest(text: &OsStr, word: &str) -> OsString {
    use std::os::windows::ffi::{OsStrExt, OsStringExt};
    let skipped = word.encode_utf16().count() + 1;
    OsString::from_wide(&text.encode_wide().skip(skipped).collect::<Vec<_>>())
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
            Address::Mux(keeper) => write!(f, "mux:{keeper}"),
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
            Address::Mux(keeper) => keeper.dial(carry.message.is_some()).map(End::Mux),
            Address::Stdio => End::stdio(carry.message),
        }
    }
}

impl Address {
    /// Whether whoever goes `there` comes to a listener here, as far as names and numbers tell.
    pub fn is_same_place(&self, there: &Address) -> bool {
        match (self, there) {
            (
                Address::Pipe(one) | Address::Unix(one),
                Address::Pipe(other) | Address::Unix(other),
            ) => {
                match (PipeName::new(one), PipeName::new(other)) {
                    (Ok(one), Ok(other)) => is_same_pipe(&one, &other),
                    // What is no name is told by whoever uses it.
                    _ => false,
                }
            }
            (Address::Tcp(one), Address::Tcp(other)) => {
                let addresses = |place: &str| place.to_socket_addrs().into_iter().flatten();
                addresses(one).any(|one| addresses(other).any(|other| is_reached_by(one, other)))
            }
            (one, other) => *one == Address::Stdio && *other == Address::Stdio,
        }
    }
}

#[cfg(windows)]
fn is_same_pipe(one: &PipeName, other: &PipeName) -> bool {
    let text = |name: &PipeName| name.to_string().to_lowercase();
    text(one) == text(other)
}

#[cfg(unix)]
fn is_same_pipe(one: &PipeName, other: &PipeName) -> bool {
    // The last part may not be there yet, and the way to it may lead through links.
    let place = |name: &PipeName| {
        let path = name.os_path();
        path.canonicalize().ok().or_else(|| {
            let directory = path.parent()?.canonicalize().ok()?;
            Some(directory.join(path.file_name()?))
        })
    };
    one == other || place(one).is_some_and(|one| place(other) == Some(one))
}

fn is_reached_by(listener: SocketAddr, goal: SocketAddr) -> bool {
    // Port 0 is any that is free.
    if listener.port() != goal.port() || goal.port() == 0 {
        return false;
    }
    // An address of this machine is one that a socket can have.
    listener.ip() == goal.ip()
        || (listener.ip().is_unspecified() && UdpSocket::bind((goal.ip(), 0)).is_ok())
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
        .timeout()
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
                    how.timeout()
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
                    how.timeout()
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
            (r"\\.\pipe\a:b", r"pipe:\\.\pipe\a:b"),
            ("/tmp/a:b", "pipe:/tmp/a:b"),
            ("a b:c", "pipe:a b:c"),
            ("pipe:tpc:80", "pipe:tpc:80"),
            ("mux:ssh host npipe mux x", "mux:ssh host npipe mux x"),
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
            "mux:",
            "tpc:127.0.0.1:80",
            "TCP-LISTEN:18080,fork",
            "ü:mypipe",
            "C:x",
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
