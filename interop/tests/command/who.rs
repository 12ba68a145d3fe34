//! Who is at the other end, and in which role.

#[cfg(windows)]
use npipe_interop::go;
use npipe_interop::{Dotnet, Peer, name, node, path};

use crate::npipe::Npipe;

/// Byte pipes of Windows have no half close.
pub const HALF_CLOSE: bool = cfg!(unix);

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Dotnet,
    #[cfg(windows)]
    Go,
    Node,
}

impl Who {
    pub fn peer(self, side: &str, pipe: &str, words: &[&str]) -> Peer {
        match self {
            Who::Dotnet => Dotnet::first().peer(&[&[side, pipe], words].concat()),
            #[cfg(windows)]
            Who::Go => go(&[&[side, pipe], words].concat()),
            Who::Node => node(&[&[side, &path(pipe)], words].concat()),
        }
    }

    /// What makes its handle one that reads and writes at once, where that has to be asked for.
    pub fn duplex(self) -> &'static [&'static str] {
        match self {
            Who::Dotnet => &["async"],
            _ => &[],
        }
    }

    /// And what gives its servers buffers, where they have none by themselves.
    pub fn buffers(self) -> &'static [&'static str] {
        match self {
            Who::Node => &[],
            _ => &["in=65536", "out=65536"],
        }
    }
}

/// What `npipe` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Connect,
    Listen,
}

impl Side {
    pub fn start(self, who: Who, words: &[&str], options: &[&str]) -> (Peer, Npipe) {
        match self {
            Side::Connect => connect(who, words, options),
            Side::Listen => listen(who, words, options),
        }
    }
}

/// `npipe connect OPTIONS` with a server of theirs.
fn connect(who: Who, words: &[&str], options: &[&str]) -> (Peer, Npipe) {
    let pipe = name("connect");
    let server = who.peer("serve", &pipe, words).leaving(&pipe);
    server.expect("ready");
    let npipe = Npipe::start(&[&["connect"], options, &[&pipe]].concat());
    server.expect("connected");
    (server, npipe)
}

/// `npipe listen OPTIONS` with a client of theirs.
fn listen(who: Who, words: &[&str], options: &[&str]) -> (Peer, Npipe) {
    let pipe = name("listen");
    let npipe = Npipe::serve(&[&["listen"], options, &[&pipe]].concat(), &pipe);
    let client = who.peer("connect", &pipe, words);
    client.expect("connecting");
    client.expect("connected");
    (client, npipe)
}
