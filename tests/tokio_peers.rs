//! The async half and others at the other end: our blocking half, tokio's own pipes, interprocess. Both ways each.

#![cfg(feature = "tokio")]

mod common;

use std::future::Future;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

#[cfg(any(windows, target_os = "linux"))]
use common::tasks::pair_of;
use common::tasks::with_io;
use common::{name, pattern, watchdog};
#[cfg(any(windows, target_os = "linux"))]
use npipe::ListenOptions;
use npipe::PipeName;
use npipe::tokio::{PipeListener, PipeStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const LENGTH: usize = 300_000;

/// One side of a talk: says so much, hears so much, both at the same time.
async fn talk(stream: impl AsyncRead + AsyncWrite, says: u8, hears: u8) {
    let (mut read, mut write) = tokio::io::split(stream);
    let mut heard = vec![0; LENGTH];
    let said = pattern(says, LENGTH);
    let (wrote, read) = tokio::join!(
        async {
            write.write_all(&said).await?;
            write.flush().await
        },
        read.read_exact(&mut heard),
    );
    wrote.unwrap();
    read.unwrap();
    assert!(heard == pattern(hears, LENGTH));
}

/// The same with threads.
fn talk_blocking(mut read: impl Read, mut write: impl Write + Send, says: u8, hears: u8) {
    thread::scope(|scope| {
        scope.spawn(move || {
            write.write_all(&pattern(says, LENGTH)).unwrap();
            write.flush().unwrap();
        });
        let mut heard = vec![0; LENGTH];
        read.read_exact(&mut heard).unwrap();
        assert!(heard == pattern(hears, LENGTH));
    });
}

/// Where a pipe of a new name is.
fn place() -> PathBuf {
    PipeName::new(name("peer")).unwrap().os_path().to_owned()
}

/// Runs a case on both kinds of runtime.
fn on_both<F: Future<Output = ()>>(case: impl Fn() -> F) {
    let _watchdog = watchdog(120);
    with_io(case);
}

/// A thread that need not be waited for by blocking.
async fn join(thread: thread::JoinHandle<()>) {
    while !thread.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    thread.join().unwrap();
}

#[test]
fn our_blocking_client() {
    on_both(|| async {
        let listener = PipeListener::bind(place()).unwrap();
        let path = listener.local_addr().os_path().to_owned();
        let peer = thread::spawn(move || {
            let stream = npipe::PipeStream::connect(path).unwrap();
            talk_blocking(&stream, &stream, 1, 2);
        });
        talk(listener.accept().await.unwrap(), 2, 1).await;
        join(peer).await;
    });
}

#[test]
fn our_blocking_server() {
    on_both(|| async {
        let listener = npipe::PipeListener::bind(place()).unwrap();
        let path = listener.local_addr().os_path().to_owned();
        let peer = thread::spawn(move || {
            let stream = listener.accept().unwrap();
            talk_blocking(&stream, &stream, 1, 2);
        });
        talk(PipeStream::connect(path).await.unwrap(), 2, 1).await;
        join(peer).await;
    });
}

#[cfg(any(windows, target_os = "linux"))]
#[test]
fn messages_to_and_from_our_blocking_half() {
    on_both(|| async {
        for blocking_server in [true, false] {
            let options = ListenOptions::new().message_mode(true);
            let (_listener, server, client) = pair_of(&options).await;
            let (ours, theirs) = match blocking_server {
                true => (client, server),
                false => (server, client),
            };
            let theirs = theirs.into_blocking().unwrap();
            let peer = thread::spawn(move || {
                let mut message = Vec::new();
                while theirs.recv(&mut message).unwrap().is_some() {
                    theirs.send(&message).unwrap();
                    message.clear();
                }
            });
            for length in [0, 1, 4096, 70_000, 1 << 20] {
                let sent = pattern(length as u8, length);
                let mut received = Vec::new();
                let answered = ours.transact(&sent, &mut received).await.unwrap();
                assert_eq!(answered, Some(length));
                assert!(sent == received);
            }
            drop(ours);
            join(peer).await;
        }
    });
}

#[cfg(unix)]
mod tokios_own {
    use super::*;
    use tokio::net::{UnixListener, UnixStream};

    #[test]
    fn client() {
        on_both(|| async {
            let listener = PipeListener::bind(place()).unwrap();
            let path = listener.local_addr().os_path();
            let (ours, theirs) = tokio::join!(listener.accept(), UnixStream::connect(path));
            tokio::join!(talk(ours.unwrap(), 1, 2), talk(theirs.unwrap(), 2, 1));
        });
    }

    #[test]
    fn server() {
        on_both(|| async {
            let path = place();
            let listener = UnixListener::bind(&path).unwrap();
            let (ours, theirs) = tokio::join!(PipeStream::connect(&path), listener.accept());
            tokio::join!(talk(ours.unwrap(), 1, 2), talk(theirs.unwrap().0, 2, 1));
            std::fs::remove_file(path).unwrap();
        });
    }
}

#[cfg(windows)]
mod tokios_own {
    use super::*;
    use tokio::net::windows::named_pipe::{ClientOptions, PipeMode, ServerOptions};

    #[test]
    fn client() {
        on_both(|| async {
            let listener = PipeListener::bind(place()).unwrap();
            let theirs = ClientOptions::new()
                .open(listener.local_addr().os_path())
                .unwrap();
            let ours = listener.accept().await.unwrap();
            tokio::join!(talk(ours, 1, 2), talk(theirs, 2, 1));
        });
    }

    #[test]
    fn server() {
        on_both(|| async {
            let path = place();
            let theirs = ServerOptions::new().create(&path).unwrap();
            let (ours, connected) = tokio::join!(PipeStream::connect(&path), theirs.connect());
            connected.unwrap();
            tokio::join!(talk(ours.unwrap(), 1, 2), talk(theirs, 2, 1));
        });
    }

    #[test]
    fn messages() {
        on_both(|| async {
            let options = ListenOptions::new().message_mode(true);
            let listener = options.bind_tokio(place()).unwrap();
            let mut theirs = ClientOptions::new()
                .pipe_mode(PipeMode::Message)
                .open(listener.local_addr().os_path())
                .unwrap();
            let ours = listener.accept().await.unwrap();
            ours.send(b"one").await.unwrap();
            ours.send(b"three").await.unwrap();
            let mut buffer = [0; 64];
            for expected in [&b"one"[..], b"three"] {
                let length = theirs.read(&mut buffer).await.unwrap();
                assert_eq!(&buffer[..length], expected);
                theirs.write_all(&buffer[..length]).await.unwrap();
                let mut back = Vec::new();
                ours.recv(&mut back).await.unwrap();
                assert_eq!(back, expected);
            }
        });
    }
}

mod interprocess_s {
    use super::*;
    use interprocess::local_socket::tokio::{Listener, Stream};
    use interprocess::local_socket::{GenericFilePath, ListenerOptions, Name, ToFsName, traits};

    fn named(path: &Path) -> io::Result<Name<'_>> {
        path.to_fs_name::<GenericFilePath>()
    }

    #[test]
    fn async_client() {
        on_both(|| async {
            let listener = PipeListener::bind(place()).unwrap();
            let name = named(listener.local_addr().os_path()).unwrap();
            let (ours, theirs) = tokio::join!(
                listener.accept(),
                <Stream as traits::tokio::Stream>::connect(name)
            );
            tokio::join!(talk(ours.unwrap(), 1, 2), talk(theirs.unwrap(), 2, 1));
        });
    }

    #[test]
    fn async_server() {
        on_both(|| async {
            let path = place();
            let listener: Listener = ListenerOptions::new()
                .name(named(&path).unwrap())
                .create_tokio()
                .unwrap();
            let (ours, theirs) = tokio::join!(
                PipeStream::connect(&path),
                traits::tokio::Listener::accept(&listener)
            );
            tokio::join!(talk(ours.unwrap(), 1, 2), talk(theirs.unwrap(), 2, 1));
        });
    }

    #[test]
    fn blocking_client() {
        on_both(|| async {
            let listener = PipeListener::bind(place()).unwrap();
            let path = listener.local_addr().os_path().to_owned();
            let peer = thread::spawn(move || {
                let stream = <interprocess::local_socket::Stream as traits::Stream>::connect(
                    named(&path).unwrap(),
                )
                .unwrap();
                talk_blocking(&stream, &stream, 1, 2);
            });
            talk(listener.accept().await.unwrap(), 2, 1).await;
            join(peer).await;
        });
    }

    #[test]
    fn blocking_server() {
        on_both(|| async {
            let path = place();
            let listener = ListenerOptions::new()
                .name(named(&path).unwrap())
                .create_sync()
                .unwrap();
            let peer = thread::spawn(move || {
                let stream = traits::Listener::accept(&listener).unwrap();
                talk_blocking(&stream, &stream, 1, 2);
            });
            talk(PipeStream::connect(&path).await.unwrap(), 2, 1).await;
            join(peer).await;
        });
    }
}
