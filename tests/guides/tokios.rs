//! What a program meets that was written for tokio's own pipes and sockets.

use std::future::Future;
use std::io;
use std::time::Duration;

use npipe::PipeName;
use tokio::time::sleep;

use crate::common::tasks::with_io;
use crate::common::{name, watchdog};
use crate::tokio_after;

/// Lets one of the guide's servers answer three of its clients, and stops it.
async fn talk<S, A>(path: String, serve: fn(String) -> S, ask: fn(String) -> A)
where
    S: Future<Output = io::Result<()>> + Send + 'static,
    A: Future<Output = io::Result<String>>,
{
    let server = tokio::spawn(serve(path.clone()));
    while npipe::state(&path).is_err() {
        assert!(!server.is_finished(), "{:?}", server.await);
        sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..3 {
        assert_eq!(ask(path.clone()).await.unwrap(), "you said hello\n");
    }
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
}

fn path(what: &str) -> String {
    PipeName::new(name(what)).unwrap().to_string()
}

async fn serve_after(path: String) -> io::Result<()> {
    tokio_after::serve(&path).await
}

async fn ask_after(path: String) -> io::Result<String> {
    tokio_after::ask(&path, "hello").await
}

#[test]
fn the_program_after_the_move_talks() {
    let _watchdog = watchdog(60);
    with_io(|| talk(path("after"), serve_after, ask_after));
}

#[cfg(windows)]
mod windows {
    use super::*;
    use crate::tokio_before;
    use npipe::tokio::{PipeListener, PipeStream};
    use npipe::{ConnectOptions, ListenOptions, PipeError, Reason};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::windows::named_pipe::{ClientOptions, PipeMode, ServerOptions};
    use tokio::time::timeout;

    async fn serve_before(path: String) -> io::Result<()> {
        tokio_before::serve(&path).await
    }

    async fn ask_before(path: String) -> io::Result<String> {
        tokio_before::ask(&path, "hello").await
    }

    #[test]
    fn the_program_before_the_move_talks_with_the_one_after_it() {
        let _watchdog = watchdog(60);
        with_io(|| talk(path("before"), serve_before, ask_before));
        with_io(|| talk(path("served"), serve_before, ask_after));
        with_io(|| talk(path("asked"), serve_after, ask_before));
    }

    #[test]
    fn a_busy_server_is_an_error_there_and_waited_for_here() {
        let _watchdog = watchdog(60);
        with_io(|| async {
            let path = path("busy");
            let server = ServerOptions::new().create(&path).unwrap();
            let first = ClientOptions::new().open(&path).unwrap();
            server.connect().await.unwrap();
            let error = ClientOptions::new().open(&path).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(231), "{error}");
            let options = ConnectOptions::new().timeout(Duration::from_millis(100));
            let error = options.connect_tokio(&path).await.unwrap_err();
            let reason = PipeError::of(&error).unwrap().reason();
            assert_eq!(reason, Reason::Busy, "{error}");
            drop(first);
        });
    }

    #[test]
    fn another_server_of_the_name_is_let_in_there_and_refused_here() {
        let _watchdog = watchdog(60);
        with_io(|| async {
            let path = path("second");
            let _server = ServerOptions::new().create(&path).unwrap();
            let _another = ServerOptions::new().create(&path).unwrap();
            let error = PipeListener::bind(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        });
    }

    #[test]
    fn a_message_larger_than_the_buffer_is_in_pieces_there_and_whole_here() {
        let _watchdog = watchdog(60);
        with_io(|| async {
            let options = ListenOptions::new().message_mode(true);
            let listener = options.bind_tokio(path("pieces")).unwrap();
            let mut theirs = ClientOptions::new()
                .pipe_mode(PipeMode::Message)
                .open(listener.local_addr().os_path())
                .unwrap();
            let server = listener.accept().await.unwrap();
            server.send(&[1; 300]).await.unwrap();
            server.send(&[2; 2]).await.unwrap();
            let mut lengths = Vec::new();
            let mut buffer = [0; 200];
            while lengths.iter().sum::<usize>() < 302 {
                lengths.push(theirs.read(&mut buffer).await.unwrap());
            }
            assert_eq!(
                lengths,
                [200, 100, 2],
                "and nothing tells which two are one"
            );

            let ours = PipeStream::connect(listener.local_addr()).await.unwrap();
            let server = listener.accept().await.unwrap();
            server.send(&[1; 300]).await.unwrap();
            let mut message = Vec::with_capacity(200);
            assert_eq!(ours.recv(&mut message).await.unwrap(), Some(300));
        });
    }

    #[test]
    fn a_flush_says_nothing_there_and_that_the_system_has_it_here() {
        let _watchdog = watchdog(60);
        with_io(|| async {
            // Where there are no buffers the system has nothing before it has been read.
            let options = ListenOptions::new().input_buffer_size(0);
            let listener = options.bind_tokio(path("flush")).unwrap();
            let address = listener.local_addr().clone();
            let mut theirs = ClientOptions::new().open(address.os_path()).unwrap();
            let _server = listener.accept().await.unwrap();
            theirs.write_all(b"word").await.unwrap();
            theirs.flush().await.unwrap();

            let mut ours = PipeStream::connect(&address).await.unwrap();
            let mut server = listener.accept().await.unwrap();
            ours.write_all(b"word").await.unwrap();
            let flushed = timeout(Duration::from_millis(100), ours.flush()).await;
            assert!(flushed.is_err(), "{flushed:?}");
            let mut word = [0; 4];
            let (read, flushed) = tokio::join!(server.read_exact(&mut word), ours.flush());
            read.unwrap();
            flushed.unwrap();
            assert_eq!(&word, b"word");
        });
    }
}
