//! Streams, as threads alone have them: clones, deadlines, busy polls, handles. What tasks have too is in `both/`.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::thread;
use std::time::{Duration, Instant};

use common::{pair, read_all, timed, watchdog};
use npipe::{PipeListener, PipeMode, PipeStream, Role};

#[test]
fn types_can_be_shared_between_threads_and_across_a_panic() {
    fn shared<T: Send + Sync + RefUnwindSafe + UnwindSafe + std::fmt::Debug>() {}
    shared::<PipeStream>();
    shared::<PipeListener>();
    shared::<npipe::CancelToken>();
    shared::<npipe::ListenOptions>();
    shared::<npipe::ConnectOptions>();
}

#[test]
fn clones_are_the_same_stream() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("clone");
    let mut clone = client.try_clone().unwrap();
    drop(client);
    clone.write_all(b"through a clone").unwrap();
    let other = clone.try_clone().unwrap();
    drop(clone);
    // The stream ends with its last handle.
    drop(other);
    assert_eq!(read_all(&server).unwrap(), b"through a clone");
}

#[test]
fn wait_drained_keeps_the_write_deadline() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("drain-late");
    (&client).write_all(b"abc").unwrap();
    let soon = || Some(Instant::now() + Duration::from_millis(50));
    client.set_write_deadline(soon()).unwrap();
    let (error, took) = timed(|| client.wait_drained().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    // One that is set while it waits.
    client.set_write_deadline(None).unwrap();
    thread::scope(|scope| {
        let draining = scope.spawn(|| client.wait_drained().unwrap_err());
        client.set_write_deadline(soon()).unwrap();
        assert_eq!(draining.join().unwrap().kind(), ErrorKind::TimedOut);
    });
    // Nothing is lost by it.
    client.set_write_deadline(None).unwrap();
    (&client).write_all(b"def").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"abcdef");
}

#[test]
fn a_busy_poll_ends_at_a_deadline() {
    let _watchdog = watchdog(60);
    let (_listener, _server, client) = pair("busy-poll-deadline");
    client.set_busy_poll(Some(Duration::MAX)).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = (&client).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    client.set_read_timeout(None).unwrap();
    // One that comes while it spins.
    thread::scope(|scope| {
        let read = scope.spawn(|| (&client).read(&mut [0]).unwrap_err());
        client.set_read_deadline(Some(Instant::now())).unwrap();
        assert_eq!(read.join().unwrap().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_busy_poll_changes_nothing_but_the_time() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("spin");
    for spin in [Some(Duration::from_micros(200)), Some(Duration::MAX), None] {
        client.set_busy_poll(spin).unwrap();
        thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut word = [0; 4];
                client.read_exact(&mut word).unwrap();
                word
            });
            server.write_all(b"spin").unwrap();
            assert_eq!(reading.join().unwrap(), *b"spin");
        });
    }
    // A deadline ends a spin as it ends a wait.
    client
        .set_busy_poll(Some(Duration::from_secs(3600)))
        .unwrap();
    let client = &client;
    thread::scope(|scope| {
        let mut reads = client;
        let reading = scope.spawn(move || reads.read(&mut [0]).unwrap_err());
        client.set_read_deadline(Some(Instant::now())).unwrap();
        assert_eq!(reading.join().unwrap().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn handles_come_and_go() {
    let _watchdog = watchdog(60);
    let (listener, server, client) = pair("handles");
    #[cfg(unix)]
    let (server, client) = {
        use std::os::fd::OwnedFd;
        use std::os::unix::net::UnixStream;
        let std: UnixStream = server.into();
        (
            PipeStream::from(std),
            PipeStream::from(OwnedFd::from(client)),
        )
    };
    #[cfg(windows)]
    let (server, client) = {
        use std::os::windows::io::OwnedHandle;
        (
            PipeStream::try_from(OwnedHandle::try_from(server).unwrap()).unwrap(),
            PipeStream::try_from(OwnedHandle::try_from(client).unwrap()).unwrap(),
        )
    };
    assert_eq!(server.role(), Role::Server);
    assert_eq!(client.role(), Role::Client);
    for end in [&server, &client] {
        assert_eq!(end.mode(), PipeMode::Byte);
        assert_eq!(end.peer_addr(), listener.local_addr());
    }
    (&client).write_all(b"still a pipe").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"still a pipe");
}
