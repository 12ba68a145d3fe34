//! A write to a peer that has gone is an error and no SIGPIPE, whoever made the socket: Rust's programs ignore that signal, and
//! those in other languages, which may have this library in them, do not. Alone in its process, which is one of the latter.

#![cfg(unix)]

mod common;

use std::io::{ErrorKind, IoSlice, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use common::{name, pair_on, watchdog};
use npipe::{PipeListener, PipeName, PipeStream};

fn is_told((mut stream, peer): (PipeStream, impl Sized)) {
    drop(peer);
    let told = |result: std::io::Result<usize>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
    };
    told(stream.write(&[0]));
    told((&stream).write(&[0]));
    told(stream.write_vectored(&[IoSlice::new(&[0]), IoSlice::new(&[0])]));
}

#[test]
fn a_peer_that_has_gone_is_told_of_by_an_error() {
    let _watchdog = watchdog(60);
    // SAFETY: what the system does with the signal of itself.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let listener = PipeListener::bind(name("sigpipe")).unwrap();
    is_told(pair_on(&listener));
    is_told(PipeStream::pair().unwrap());
    let (server, client) = pair_on(&listener);
    is_told((client, server));
    // Made by others.
    let (ours, theirs) = UnixStream::pair().unwrap();
    is_told((OwnedFd::from(ours).into(), theirs));
    let path = PipeName::new(name("sigpipe-handed-over")).unwrap();
    let listener = UnixListener::bind(path.os_path()).unwrap();
    let listener = PipeListener::try_from(listener).unwrap();
    is_told(pair_on(&listener));
    std::fs::remove_file(path.os_path()).unwrap();
    #[cfg(target_os = "linux")]
    {
        let options = npipe::ListenOptions::new().message_mode(true);
        let listener = options.bind(name("sigpipe-messages")).unwrap();
        for size in [1, 10_000] {
            let (server, client) = pair_on(&listener);
            drop(client);
            let sent = server.send(&vec![0; size]);
            assert_eq!(sent.unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
    }
}
