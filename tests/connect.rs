//! Connecting: what is told of a pipe that is not there, that is busy, that comes later; and how a wait ends.

mod common;

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{name, pair_on, read_all, timed, watchdog};
use npipe::{CancelToken, ConnectOptions, ListenOptions, PipeListener, PipeStream};

/// A wait that should take `asked`, tried up to five times: another program may have had the machine meanwhile.
fn takes(asked: Duration, mut wait: impl FnMut()) {
    let most = asked + Duration::from_millis(50);
    let mut times = Vec::new();
    for _ in 0..5 {
        let ((), took) = timed(&mut wait);
        assert!(took >= asked, "{took:?} is before the timeout of {asked:?}");
        if took < most {
            return;
        }
        times.push(took);
    }
    panic!("never within 50 ms of {asked:?}: {times:?}");
}

#[test]
fn no_such_pipe_is_not_found_at_once() {
    let name = name("nobody");
    takes(Duration::ZERO, || {
        PipeStream::connect(&name).unwrap_err();
    });
    let error = PipeStream::connect(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(&name), "{error}");
    assert!(error.to_string().contains("no such pipe"), "{error}");
    assert!(error.to_string().contains("wait_for_server"), "{error}");
    // The system's own error is there for who wants it.
    let source = error.get_ref().and_then(|e| e.source()).expect("a source");
    let source = source
        .downcast_ref::<std::io::Error>()
        .expect("an io::Error");
    assert_eq!(
        source.raw_os_error(),
        Some(2),
        "ENOENT and ERROR_FILE_NOT_FOUND are both 2"
    );
}

#[cfg(unix)]
#[test]
fn what_is_no_socket_is_called_so() {
    let directory = std::env::temp_dir().join(name("no-socket"));
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("file");
    std::fs::write(&file, "").unwrap();
    for path in [&file, &directory] {
        for error in [
            PipeStream::connect(path).unwrap_err(),
            npipe::state(path).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("is no socket"), "{error}");
        }
    }
    // Its permissions come first, but who may see it may know.
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let error = PipeStream::connect(&file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let link = directory.join("link");
    std::os::unix::fs::symlink(directory.join("nothing"), &link).unwrap();
    let error = PipeStream::connect(&link).unwrap_err();
    assert!(
        error.to_string().contains("no socket at this path"),
        "{error}"
    );
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_timeout_of_zero_still_tries_once() {
    let listener = PipeListener::bind(name("zero")).unwrap();
    let client = ConnectOptions::new()
        .timeout(Duration::ZERO)
        .connect(listener.local_addr().os_path());
    client.unwrap();
    let error = ConnectOptions::new()
        .timeout(Duration::ZERO)
        .wait_for_server(true)
        .connect(name("zero"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

#[test]
fn wait_for_server_ends_when_the_server_comes() {
    let _watchdog = watchdog(60);
    for _ in 0..20 {
        let name = name("comes");
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                ConnectOptions::new()
                    .timeout(Duration::from_secs(30))
                    .wait_for_server(true)
                    .connect(&name)
                    .unwrap()
                    .write_all(b"here")
                    .unwrap();
            });
            let listener = PipeListener::bind(&name).unwrap();
            let server = listener.accept().unwrap();
            client.join().unwrap();
            assert_eq!(read_all(&server).unwrap(), b"here");
        });
    }
}

#[test]
fn wait_for_server_gives_up_at_its_timeout() {
    let _watchdog = watchdog(60);
    let asked = Duration::from_millis(300);
    takes(asked, || {
        let name = name("never");
        let error = ConnectOptions::new()
            .timeout(asked)
            .wait_for_server(true)
            .connect(&name)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(
            error.to_string().contains("no server came within 300ms"),
            "{error}"
        );
        assert!(error.to_string().contains(&name), "{error}");
    });
}

/// A listener with no room for anybody, and what keeps it so.
fn full(name: &str) -> (PipeListener, Vec<PipeStream>) {
    let listener = ListenOptions::new()
        .max_instances(1)
        .backlog(1)
        .bind(name)
        .unwrap();
    let (server, client) = pair_on(&listener);
    let mut kept = vec![server, client];
    // On Unix the kernel's queue has to be filled too.
    while cfg!(unix) {
        let options = ConnectOptions::new().timeout(Duration::from_millis(1));
        match options.connect(name) {
            Ok(client) => kept.push(client),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                break;
            }
        }
    }
    (listener, kept)
}

#[test]
fn a_busy_server_is_timed_out() {
    let _watchdog = watchdog(60);
    let name = name("busy");
    let _full = full(&name);
    let asked = Duration::from_millis(300);
    takes(asked, || {
        let error = ConnectOptions::new()
            .timeout(asked)
            .connect(&name)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(
            error.to_string().contains("stayed busy for 300ms"),
            "{error}"
        );
        assert!(error.to_string().contains(&name), "{error}");
    });
}

#[test]
fn the_default_timeout_is_two_seconds() {
    let _watchdog = watchdog(60);
    let name = name("default");
    let _full = full(&name);
    takes(Duration::from_secs(2), || {
        let error = PipeStream::connect(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    });
}

#[test]
fn a_busy_server_that_gets_free_is_connected_to() {
    let _watchdog = watchdog(60);
    let name = name("freed");
    let (listener, kept) = full(&name);
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut client = ConnectOptions::new().no_timeout().connect(&name).unwrap();
            client.write_all(b"at last").unwrap();
        });
        drop(kept);
        // On Unix those that filled the queue come first.
        loop {
            let said = read_all(&listener.accept().unwrap()).unwrap();
            if said == b"at last" {
                break;
            }
            assert_eq!(said, b"");
        }
        client.join().unwrap();
    });
}

#[test]
fn a_cancel_ends_every_wait() {
    let _watchdog = watchdog(60);
    let busy = name("busy");
    let _full = full(&busy);
    let absent = name("absent");
    for name in [&busy, &absent] {
        for before in [false, true] {
            let token = CancelToken::new();
            assert!(!token.is_cancelled());
            let options = ConnectOptions::new()
                .no_timeout()
                .wait_for_server(true)
                .cancel(&token);
            thread::scope(|scope| {
                if before {
                    token.cancel();
                }
                let waiting = scope.spawn(|| options.connect(name));
                // A clone is the same token, and once more is no more.
                let (error, took) = timed(|| {
                    token.clone().cancel();
                    token.cancel();
                    waiting.join().unwrap().unwrap_err()
                });
                assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
                assert!(error.to_string().contains("cancelled"), "{error}");
                assert!(error.to_string().contains(name.as_str()), "{error}");
                assert!(took < Duration::from_millis(500), "{took:?}");
            });
            assert!(token.is_cancelled());
        }
    }
}

#[test]
fn one_token_ends_many_waits() {
    let _watchdog = watchdog(60);
    let token = CancelToken::new();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let options = ConnectOptions::new()
                    .no_timeout()
                    .wait_for_server(true)
                    .cancel(&token);
                scope.spawn(move || options.connect(name("many")))
            })
            .collect();
        token.cancel();
        for wait in waiting {
            assert_eq!(
                wait.join().unwrap().unwrap_err().kind(),
                ErrorKind::ConnectionAborted
            );
        }
    });
}

#[test]
fn a_listener_that_comes_and_goes_is_followed() {
    let _watchdog = watchdog(120);
    let name = name("restarts");
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(60);
            let mut answered = 0;
            while answered < 30 && Instant::now() < end {
                let stream = ConnectOptions::new()
                    .timeout(Duration::from_secs(30))
                    .wait_for_server(true)
                    .connect(&name)
                    .unwrap();
                // A client that was not accepted before the listener closed sees the end instead of an answer.
                if read_all(&stream).unwrap() == b"answer" {
                    answered += 1;
                }
            }
            answered
        });
        let mut served = 0;
        while served < 30 {
            let listener = PipeListener::bind(&name).unwrap();
            let mut stream = listener.accept().unwrap();
            stream.write_all(b"answer").unwrap();
            served += 1;
        }
        assert_eq!(client.join().unwrap(), 30);
    });
}
