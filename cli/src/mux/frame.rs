//! What the two ends say: a line each before anything else, then frames within each connection.

use std::fmt;

/// Raised whenever an end of before could not understand one of after.
const VERSION: u32 = 1;
const WORD: &str = "npipe-mux";

/// No end says more than this before its line ends.
pub const LONGEST_HELLO: usize = 200;

/// Which end has clients, and which goes to their server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Listens,
    Dials,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Listens => "listens",
            Role::Dials => "dials",
        }
    }
}

/// `npipe-mux 1 dials 0.1.0`: protocol, role, and whose.
pub fn hello(role: Role) -> String {
    format!(
        "{WORD} {VERSION} {} {}\n",
        role.word(),
        env!("CARGO_PKG_VERSION")
    )
}

/// Whether an end that says `line` is one that an end with `role` can talk to; else what to tell people.
pub fn check(line: &str, role: Role) -> Result<(), String> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some(WORD) {
        let shown: String = line.trim_end().chars().take(60).collect();
        return Err(format!(
            "the other end says {shown:?}, which is not `npipe mux`; let the command run that, and print nothing of its own"
        ));
    }
    let (version, theirs, whose) = (words.next(), words.next(), words.next());
    if version.and_then(|version| version.parse().ok()) != Some(VERSION) {
        return Err(format!(
            "the other end is npipe {}, which speaks version {} of mux, and this is npipe {}, which speaks {VERSION}; \
             install the same at both ends",
            whose.unwrap_or("of another version"),
            version.unwrap_or("?"),
            env!("CARGO_PKG_VERSION"),
        ));
    }
    if theirs == Some(role.word()) {
        return Err(match role {
            Role::Dials => "both ends dial; give the `npipe mux` at one of them --listen",
            Role::Listens => "both ends wait for clients; leave --listen out at one of them",
        }
        .into());
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client is here; whether its pipe has messages. The first frame, and only that.
    Open = 0,
    /// It has been seen. What dialling came to follows.
    Seen,
    /// Its server is there; whether that has messages.
    Opened,
    /// It is not: an exit code, and the line to say.
    Failed,
    Data,
    /// A message, or the last part of one.
    Message,
    Part,
    /// Half a close: nothing more comes this way.
    End,
}

pub const HEADER: usize = 5;

/// The most that one frame has: a longer message goes in parts.
pub const LONGEST: usize = 64 * 1024;

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        [
            Kind::Open,
            Kind::Seen,
            Kind::Opened,
            Kind::Failed,
            Kind::Data,
            Kind::Message,
            Kind::Part,
            Kind::End,
        ]
        .into_iter()
        .find(|&kind| kind as u8 == byte)
    }
}

/// Appends a frame.
pub fn put(frames: &mut Vec<u8>, kind: Kind, bytes: &[u8]) {
    frames.push(kind as u8);
    // No more than LONGEST, which fits.
    frames.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    frames.extend_from_slice(bytes);
}

/// None: no end of this version has sent it.
pub fn header(bytes: [u8; HEADER]) -> Option<(Kind, usize)> {
    let [kind, length @ ..] = bytes;
    let length = u32::from_be_bytes(length) as usize;
    Kind::of(kind)
        .filter(|_| length <= LONGEST)
        .map(|kind| (kind, length))
}

/// What goes wrong where the other end keeps to nothing of this.
#[derive(Debug)]
pub struct Nonsense;

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other end of mux does not keep to its protocol")
    }
}

impl std::error::Error for Nonsense {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_talk_to_whom_and_why_not() {
        assert_eq!(check(&hello(Role::Dials), Role::Listens), Ok(()));
        assert_eq!(check(&hello(Role::Listens), Role::Dials), Ok(()));
        for (line, role, part) in [
            (hello(Role::Dials), Role::Dials, "--listen"),
            (hello(Role::Listens), Role::Listens, "--listen"),
            (
                "npipe-mux 2 dials 0.9.0".into(),
                Role::Listens,
                "npipe 0.9.0, which speaks version 2",
            ),
            (
                "Welcome to Ubuntu\u{1b}[2J".into(),
                Role::Listens,
                "\"Welcome to Ubuntu\\u{1b}[2J\"",
            ),
            (String::new(), Role::Listens, "not `npipe mux`"),
        ] {
            let said = check(&line, role).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn frames_are_read_as_they_were_put() {
        let mut frames = Vec::new();
        put(&mut frames, Kind::Part, b"abc");
        assert_eq!(frames, [6, 0, 0, 0, 3, b'a', b'b', b'c']);
        assert_eq!(header([6, 0, 0, 0, 3]), Some((Kind::Part, 3)));
        assert_eq!(header([99, 0, 0, 0, 3]), None);
        assert_eq!(header([4, 255, 0, 0, 0]), None);
    }
}
