//! Connecting: what is told of a pipe that is not there, that is busy, that comes later; and how a wait ends.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{CancelToken, ConnectOptions, ListenOptions};

use crate::common::{name, read_all, timed, watchdog};
use crate::half::{Half, Listener, Stream};

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

/// A listener with no room for anybody, and what keeps it so.
fn full(half: &dyn Half, name: &str) -> (Listener, Vec<Stream>) {
    let listener = half
        .listen(ListenOptions::new().max_instances(1).backlog(1), name)
        .unwrap();
    let (server, client) = half.pair_on(&listener);
    let mut kept = vec![server, client];
    // On Unix the kernel's queue has to be filled too.
    while cfg!(unix) {
        let options = ConnectOptions::new().timeout(Duration::from_millis(1));
        match half.dial(options, name) {
            Ok(client) => kept.push(client),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                break;
            }
        }
    }
    (listener, kept)
}

both! {
    no_such_pipe_is_not_found_at_once
    a_timeout_of_zero_still_tries_once
    wait_for_server_ends_when_the_server_comes
    wait_for_server_gives_up_at_its_timeout
    a_busy_server_is_timed_out
    the_default_timeout_is_two_seconds
    a_busy_server_that_gets_free_is_connected_to
    whoever_waits_for_an_instance_is_told_of_it
    a_cancel_ends_every_wait
    one_token_ends_many_waits
    a_listener_that_comes_and_goes_is_followed
}

fn no_such_pipe_is_not_found_at_once(half: &dyn Half) {
    let name = name("nobody");
    takes(Duration::ZERO, || {
        half.connect(&name).unwrap_err();
    });
    let error = half.connect(&name).unwrap_err();
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

fn a_timeout_of_zero_still_tries_once(half: &dyn Half) {
    let listener = half.bind(name("zero")).unwrap();
    let client = half.dial(
        ConnectOptions::new().timeout(Duration::ZERO),
        listener.local_addr(),
    );
    client.unwrap();
    let error = half
        .dial(
            ConnectOptions::new()
                .timeout(Duration::ZERO)
                .wait_for_server(true),
            name("zero"),
        )
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

fn wait_for_server_ends_when_the_server_comes(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for _ in 0..20 {
        let name = name("comes");
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                half.dial(
                    ConnectOptions::new()
                        .timeout(Duration::from_secs(30))
                        .wait_for_server(true),
                    &name,
                )
                .unwrap()
                .write_all(b"here")
                .unwrap();
            });
            let listener = half.bind(&name).unwrap();
            let server = listener.accept().unwrap();
            client.join().unwrap();
            assert_eq!(read_all(&server).unwrap(), b"here");
        });
    }
}

fn wait_for_server_gives_up_at_its_timeout(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let asked = Duration::from_millis(300);
    takes(asked, || {
        let name = name("never");
        let error = half
            .dial(
                ConnectOptions::new().timeout(asked).wait_for_server(true),
                &name,
            )
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(
            error.to_string().contains("no server came within 300ms"),
            "{error}"
        );
        assert!(error.to_string().contains(&name), "{error}");
    });
}

fn a_busy_server_is_timed_out(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let name = name("busy");
    let _full = full(half, &name);
    let asked = Duration::from_millis(300);
    takes(asked, || {
        let error = half
            .dial(ConnectOptions::new().timeout(asked), &name)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(
            error.to_string().contains("stayed busy for 300ms"),
            "{error}"
        );
        assert!(error.to_string().contains(&name), "{error}");
    });
}

fn the_default_timeout_is_two_seconds(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let name = name("default");
    let _full = full(half, &name);
    takes(Duration::from_secs(2), || {
        let error = half.connect(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    });
}

fn a_busy_server_that_gets_free_is_connected_to(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let name = name("freed");
    let (listener, kept) = full(half, &name);
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut client = half
                .dial(ConnectOptions::new().no_timeout(), &name)
                .unwrap();
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

/// A wait that nobody tells about ends at its timeout, and may then still connect: only the time shows it.
fn whoever_waits_for_an_instance_is_told_of_it(half: &dyn Half) {
    const ROUNDS: usize = 40;
    let timeout = Duration::from_secs(40);
    let _watchdog = watchdog(120);
    let name = name("told");
    let options = ListenOptions::new().max_instances(1).backlog(1);
    let listener = half.listen(options, &name).unwrap();
    let ((), took) = timed(|| {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let options = ConnectOptions::new().timeout(timeout);
                        let mut client = half.dial(options, &name).unwrap();
                        client.write_all(b"here").unwrap();
                    }
                });
            }
            for _ in 0..2 * ROUNDS {
                assert_eq!(read_all(&listener.accept().unwrap()).unwrap(), b"here");
            }
        });
    });
    assert!(took < timeout, "{took:?}");
}

fn a_cancel_ends_every_wait(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let busy = name("busy");
    let _full = full(half, &busy);
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
                let waiting = scope.spawn(|| half.dial(options.clone(), name));
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

fn one_token_ends_many_waits(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let token = CancelToken::new();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let options = ConnectOptions::new()
                    .no_timeout()
                    .wait_for_server(true)
                    .cancel(&token);
                scope.spawn(move || half.dial(options, name("many")))
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

fn a_listener_that_comes_and_goes_is_followed(half: &dyn Half) {
    let _watchdog = watchdog(120);
    let name = name("restarts");
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(60);
            let mut answered = 0;
            while answered < 30 && Instant::now() < end {
                let stream = half
                    .dial(
                        ConnectOptions::new()
                            .timeout(Duration::from_secs(30))
                            .wait_for_server(true),
                        &name,
                    )
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
            let listener = half.bind(&name).unwrap();
            let mut stream = listener.accept().unwrap();
            stream.write_all(b"answer").unwrap();
            served += 1;
        }
        assert_eq!(client.join().unwrap(), 30);
    });
}
