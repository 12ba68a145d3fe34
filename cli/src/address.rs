//! The places that one can go to: `pipe:NAME`, `unix:PATH`, `tcp:HOST:PORT`, `exec:COMMAND LINE`, `mux:COMMAND LINE`,
//! `stdio`, and `assuan:FILE`, which is where GnuPG for Windows has no socket. A bare name or a path is a pipe.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use npipe::{CancelToken, ConnectOptions, PipeName, PipeStream};

use crate::end::End;
use crate::failure::{self, Failure};
use crate::mux::keeper::Keeper;
use crate::options::{Carry, Dial};
use crate::program::Program;
use crate::tcp;
use crate::threads::STACK;

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
            "pipe" => {
                let name = non_empty(rest, "a pipe's name, as in pipe:mypipe")?;
                bare(&name).map(Address::Pipe)
            }
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
        return Err(
            "give host and port, as in tcp:127.0.0.1:8080 or tcp:[::1]:8080; a port is 0 to 65535"
                .into(),
        );
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
    pub fn dial(&self, how: &Dial, carry: &Carry, errand: &Errand) -> failure::Result<End> {
        let has_left = || errand.client.is_some_and(End::has_left);
        match self {
            Address::Pipe(name) | Address::Unix(name) => {
                let options = how.options().access(carry.access.into());
                let stream = match errand.client {
                    Some(client) if how.may_take_long() => connect_for(client, name, options),
                    _ => options.connect(name),
                };
                match stream {
                    Ok(stream) => Ok(End::Pipe(stream)),
                    // The client has left, and there is nobody to tell.
                    Err(e) if e.kind() == ErrorKind::ConnectionAborted => {
                        Err(Failure::silent(failure::IO))
                    }
                    Err(e) => Err(Failure::pipe(&e)),
                }
            }
            Address::Tcp(place) => tcp::dial(place, how, has_left).map(End::Tcp),
            Address::Assuan(file) => tcp::dial_assuan(file, how, has_left).map(End::Tcp),
            Address::Exec(program) => {
                let environment = errand.client.map(End::environment).unwrap_or_default();
                program.start(&environment, errand.grace).map(End::Program)
            }
            Address::Mux(keeper) => keeper
                .dial(carry.message.is_some(), has_left)
                .map(|channel| End::Mux(Box::new(channel))),
            Address::Stdio => End::stdio(carry.message),
        }
    }
}

/// On whose behalf somebody goes to an address.
#[derive(Debug, Default)]
pub struct Errand<'a> {
    pub client: Option<&'a End>,
    /// How long a program may go on once the client has gone. None: as long as it likes.
    pub grace: Option<Duration>,
}

/// Connects for as long as the client is there.
fn connect_for(client: &End, name: &OsStr, options: ConnectOptions) -> io::Result<PipeStream> {
    // Most often there is nothing to wait for.
    match options.clone().timeout(AT_ONCE).connect(name) {
        Err(e) if e.kind() == ErrorKind::TimedOut => {}
        done => return done,
    }
    let token = CancelToken::new();
    let cancel = token.clone();
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watch = move || {
            while waiting.recv_timeout(tcp::LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
                if client.has_left() {
                    return cancel.cancel();
                }
            }
        };
        thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, watch)?;
        let connected = options.cancel(&token).connect(name);
        drop(done);
        connected
    })
}

/// How long it is tried before anybody watches the client.
const AT_ONCE: Duration = Duration::from_millis(50);

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
                addresses(one)
                    .any(|one| addresses(other).any(|other| tcp::is_reached_by(one, other)))
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
