//! Listening: whose the name is, who is delivered and in what order, and how an accept ends.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{name, pair_on, read_all, timed, watchdog};
use npipe::{ConnectOptions, ListenOptions, PipeListener, PipeName, PipeStream, Security};

#[test]
fn a_listener_says_its_name() {
    let name = name("says");
    let listener = PipeListener::bind(&name).unwrap();
    assert_eq!(listener.local_addr(), &PipeName::new(&name).unwrap());
    assert!(format!("{listener:?}").contains(&name), "{listener:?}");
}

#[test]
fn a_second_bind_is_addr_in_use() {
    let _watchdog = watchdog(60);
    let name = name("taken");
    let listener = PipeListener::bind(&name).unwrap();
    for _ in 0..3 {
        let error = PipeListener::bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains("another server"), "{error}");
        assert!(error.to_string().contains(&name), "{error}");
        let source = error.get_ref().and_then(|inner| inner.source()).unwrap();
        let source = source.downcast_ref::<std::io::Error>().unwrap();
        assert!(source.raw_os_error().is_some(), "{source:?}");
    }
    // The attempts took no client's place, and the first listener lives on.
    let (mut server, mut client) = pair_on(&listener);
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
    drop((listener, server, client));
    PipeListener::bind(&name).unwrap();
}

#[test]
fn the_name_is_held_while_all_instances_are_streams() {
    let name = name("held");
    let listener = ListenOptions::new().max_instances(1).bind(&name).unwrap();
    for _ in 0..20 {
        let (server, client) = pair_on(&listener);
        assert_eq!(
            PipeListener::bind(&name).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        drop(server);
        assert_eq!(
            PipeListener::bind(&name).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        drop(client);
    }
}

#[test]
fn one_of_many_binds_wins() {
    let _watchdog = watchdog(60);
    for _ in 0..20 {
        let name = name("race");
        let start = Barrier::new(8);
        let won: Vec<_> = thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        PipeListener::bind(&name)
                    })
                })
                .collect();
            all.into_iter().map(|bind| bind.join().unwrap()).collect()
        });
        let listeners = won.iter().filter(|won| won.is_ok()).count();
        assert_eq!(listeners, 1, "{won:?}");
        for error in won.iter().filter_map(|won| won.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        }
    }
}

#[test]
fn close_wakes_a_blocked_accept_3000_times() {
    let _watchdog = watchdog(300);
    for _ in 0..3000 {
        let listener = Arc::new(PipeListener::bind(name("close")).unwrap());
        let (about_to, begun) = mpsc::channel();
        let accepting = {
            let listener = listener.clone();
            thread::spawn(move || {
                about_to.send(()).unwrap();
                listener.accept()
            })
        };
        begun.recv().unwrap();
        listener.close();
        let error = accepting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
        assert!(error.to_string().contains("listener closed"), "{error}");
    }
}

#[test]
fn who_learns_of_a_close_finds_the_name_free() {
    let _watchdog = watchdog(120);
    let name = name("free");
    let rounds = if cfg!(windows) { 200 } else { 2000 };
    let mut listener = PipeListener::bind(&name).unwrap();
    for round in 0..rounds {
        listener = thread::scope(|scope| {
            let learned = scope.spawn(|| {
                match round % 3 {
                    0 => assert!(listener.incoming().next().is_none()),
                    1 => drop(listener.accept().unwrap_err()),
                    // Looks again and again, and is not in the system at the time.
                    _ => while listener.security_descriptor().is_ok() {},
                }
                PipeListener::bind(&name).unwrap_or_else(|error| panic!("round {round}: {error}"))
            });
            listener.close();
            learned.join().unwrap()
        });
    }
}

#[test]
fn close_wakes_every_accept_and_refuses_later_ones() {
    let _watchdog = watchdog(60);
    let name = name("close-all");
    let listener = PipeListener::bind(&name).unwrap();
    let (server, mut client) = pair_on(&listener);
    thread::scope(|scope| {
        let blocked: Vec<_> = (0..8).map(|_| scope.spawn(|| listener.accept())).collect();
        listener.close();
        for accept in blocked {
            let error = accept.join().unwrap().unwrap_err();
            assert!(error.to_string().contains("listener closed"), "{error}");
        }
    });
    let error = listener.accept().unwrap_err();
    assert!(error.to_string().contains("listener closed"), "{error}");
    assert!(listener.incoming().next().is_none());
    listener.close();
    // Whom it accepted before lives on.
    client.write_all(b"still here").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"still here");
    drop(server);
    PipeListener::bind(&name).unwrap();
}

#[test]
fn clients_that_nobody_accepted_see_the_end_when_the_listener_closes() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("unaccepted")).unwrap();
    let clients: Vec<_> = (0..5)
        .map(|_| PipeStream::connect(listener.local_addr().os_path()).unwrap())
        .collect();
    listener.close();
    for client in clients {
        assert_eq!(read_all(&client).unwrap(), b"");
    }
}

#[test]
fn a_deadline_ends_an_accept_and_the_next_one_can_succeed() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("deadline")).unwrap();
    let soon = Instant::now() + Duration::from_millis(30);
    listener.set_deadline(Some(soon)).unwrap();
    let error = listener.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(Instant::now() >= soon);
    // Past already: nothing is tried.
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
    listener.set_deadline(None).unwrap();
    pair_on(&listener);
    // One that is set while the accept waits.
    thread::scope(|scope| {
        let accept = scope.spawn(|| listener.accept());
        let (error, took) = timed(|| {
            listener.set_deadline(Some(Instant::now())).unwrap();
            accept.join().unwrap().unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn incoming_delivers_until_the_listener_is_closed() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("incoming")).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut served = 0;
            for stream in &listener {
                let mut byte = [0];
                let mut stream = stream.unwrap();
                stream.read_exact(&mut byte).unwrap();
                stream.write_all(&byte).unwrap();
                served += 1;
            }
            served
        });
        for i in 0..50u8 {
            let mut client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
            client.write_all(&[i]).unwrap();
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [i]);
        }
        listener.close();
        assert_eq!(server.join().unwrap(), 50);
    });
}

#[test]
fn two_hundred_clients_at_once_five_times() {
    const CLIENTS: usize = 200;
    let _watchdog = watchdog(240);
    for _ in 0..5 {
        let listener = PipeListener::bind(name("burst")).unwrap();
        let start = Barrier::new(CLIENTS);
        thread::scope(|scope| {
            for i in 0..CLIENTS {
                let (start, listener) = (&start, &listener);
                scope.spawn(move || {
                    start.wait();
                    let mut client = ConnectOptions::new()
                        .timeout(Duration::from_secs(60))
                        .connect(listener.local_addr().os_path())
                        .unwrap();
                    let request = (i as u32).to_le_bytes();
                    client.write_all(&request).unwrap();
                    let mut answer = [0; 4];
                    client.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, request);
                });
            }
            for _ in 0..CLIENTS {
                let mut stream = listener.accept().unwrap();
                let mut request = [0; 4];
                stream.read_exact(&mut request).unwrap();
                stream.write_all(&request).unwrap();
            }
        });
    }
}

#[test]
fn three_hundred_streams_are_alive_at_once() {
    let _watchdog = watchdog(240);
    let listener = PipeListener::bind(name("many")).unwrap();
    let mut streams: Vec<_> = (0..300).map(|_| pair_on(&listener)).collect();
    for (server, client) in &mut streams {
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn a_thread_that_computes_after_its_accept_holds_up_no_other() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("busy")).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let (accepted, is_accepted) = mpsc::channel();
        let (listener, done) = (&listener, &done);
        scope.spawn(move || {
            let _stream = listener.accept().unwrap();
            accepted.send(()).unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let connect = || PipeStream::connect(listener.local_addr().os_path()).unwrap();
        let _first = connect();
        is_accepted.recv().unwrap();
        let _second = connect();
        listener.accept().unwrap();
        listener.close();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn who_wrote_and_left_before_accept_is_delivered_2000_of_2000_in_order() {
    let _watchdog = watchdog(240);
    let listener = PipeListener::bind(name("early")).unwrap();
    let mut came = 0u32;
    while came < 2000 {
        // So many at a time as there is room for ahead of accept.
        let batch = 1 + came % 30;
        for i in 0..batch {
            let mut client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
            client.write_all(&(came + i).to_le_bytes()).unwrap();
        }
        for i in 0..batch {
            let stream = listener.accept().unwrap();
            assert_eq!(read_all(&stream).unwrap(), (came + i).to_le_bytes());
        }
        came += batch;
    }
}

#[test]
fn who_leaves_while_others_accept_is_delivered_too() {
    const CLIENTS: u32 = 2000;
    let _watchdog = watchdog(240);
    let listener = PipeListener::bind(name("hurry")).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for i in 0..CLIENTS / 2 {
                    let mut client = ConnectOptions::new()
                        .timeout(Duration::from_secs(60))
                        .connect(listener.local_addr().os_path())
                        .unwrap();
                    client.write_all(&i.to_le_bytes()).unwrap();
                }
            });
        }
        for _ in 0..CLIENTS {
            let stream = listener.accept().unwrap();
            assert_eq!(read_all(&stream).unwrap().len(), 4);
        }
    });
}

#[test]
fn a_small_backlog_makes_clients_wait_and_not_fail() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .backlog(1)
        .bind(name("backlog"))
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = ConnectOptions::new()
                    .no_timeout()
                    .connect(listener.local_addr().os_path())
                    .unwrap();
                client.write_all(b"x").unwrap();
            });
        }
        for _ in 0..20 {
            assert_eq!(read_all(&listener.accept().unwrap()).unwrap(), b"x");
        }
    });
}

#[test]
fn max_instances_makes_further_clients_wait_until_a_stream_is_dropped() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .max_instances(2)
        .bind(name("most"))
        .unwrap();
    let (first, _first_client) = pair_on(&listener);
    let (second, mut second_client) = pair_on(&listener);
    // A clone is the same stream.
    let first_clone = first.try_clone().unwrap();
    thread::scope(|scope| {
        let third = scope.spawn(|| {
            let mut client = ConnectOptions::new()
                .no_timeout()
                .connect(listener.local_addr().os_path())
                .unwrap();
            client.write_all(b"third").unwrap();
        });
        let soon = || Some(Instant::now() + Duration::from_millis(30));
        listener.set_deadline(soon()).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
        drop(first);
        listener.set_deadline(soon()).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
        listener.set_deadline(None).unwrap();
        let accept = scope.spawn(|| listener.accept().unwrap());
        drop(first_clone);
        let stream = accept.join().unwrap();
        third.join().unwrap();
        assert_eq!(read_all(&stream).unwrap(), b"third");
    });
    second_client.write_all(b"x").unwrap();
    drop(second_client);
    assert_eq!(read_all(&second).unwrap(), b"x");
}

/// The next instance is made before the last one is closed: the name is never without one, however many end at once.
#[test]
fn a_limited_listener_keeps_its_name_while_its_streams_come_and_go() {
    const CLIENTS: usize = 400;
    for most in [1, 2, 7] {
        let _watchdog = watchdog(120);
        let listener = ListenOptions::new()
            .max_instances(most)
            .bind(name("churn"))
            .unwrap();
        let options = ConnectOptions::new().timeout(Duration::from_secs(60));
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < CLIENTS {
                        let mut client = options.connect(listener.local_addr()).unwrap();
                        client.write_all(b"x").unwrap();
                        // Whoever is connected is served.
                        let mut answer = [0];
                        client.read_exact(&mut answer).unwrap();
                        assert_eq!(&answer, b"y");
                    }
                });
            }
            for _ in 0..CLIENTS {
                let mut stream = listener.accept().unwrap();
                scope.spawn(move || {
                    stream.read_exact(&mut [0]).unwrap();
                    stream.write_all(b"y").unwrap();
                });
            }
        });
    }
}

#[cfg(windows)]
#[test]
fn a_backlog_has_a_limit_of_its_own() {
    let _watchdog = watchdog(60);
    let options = ListenOptions::new().backlog(u32::MAX);
    let listener = options.bind(name("backlog")).unwrap();
    assert_eq!(listener.info().unwrap().instances(), Some(1024));
}

#[test]
fn wrong_options_are_told() {
    for (options, says) in [
        (ListenOptions::new().backlog(0), "backlog is 0"),
        (ListenOptions::new().max_instances(0), "max_instances is 0"),
    ] {
        let error = options.bind(name("wrong")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn every_security_of_this_system_admits_its_own_user() {
    let mut all = vec![Security::OwnerOnly, Security::Everyone, Security::OsDefault];
    if cfg!(windows) {
        all.push(Security::Sddl(
            "D:P(A;;GA;;;SY)(A;;GA;;;OW)(A;;GA;;;WD)".into(),
        ));
    } else {
        all.push(Security::Mode(0o600));
    }
    for security in all {
        let listener = ListenOptions::new()
            .security(security.clone())
            .bind(name("security"))
            .unwrap_or_else(|error| panic!("{security:?}: {error}"));
        pair_on(&listener);
    }
}

#[test]
fn buffers_of_any_size_carry_everything() {
    let _watchdog = watchdog(60);
    let sent = common::pattern(1, 300_000);
    for size in [0, 1, 512, 65536, 1 << 20] {
        let listener = ListenOptions::new()
            .input_buffer_size(size)
            .output_buffer_size(size)
            .bind(name("buffers"))
            .unwrap();
        let (server, client) = pair_on(&listener);
        for (mut from, to) in [
            (client.try_clone().unwrap(), &server),
            (server.try_clone().unwrap(), &client),
        ] {
            thread::scope(|scope| {
                scope.spawn(|| from.write_all(&sent).unwrap());
                let mut got = vec![0; sent.len()];
                let mut to = to;
                to.read_exact(&mut got).unwrap();
                assert!(got == sent, "buffer size {size}");
            });
        }
    }
}

#[cfg(not(any(windows, target_os = "linux")))]
#[test]
fn where_there_are_no_messages_it_is_told() {
    let error = ListenOptions::new()
        .message_mode(true)
        .bind(name("mode"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("message boundaries"), "{error}");
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    fn path(name: &str) -> PathBuf {
        PipeName::new(name).unwrap().os_path().to_owned()
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let name = name("stale");
        drop(UnixListener::bind(path(&name)).unwrap()); // std leaves its file behind
        assert!(path(&name).exists());
        let listener = PipeListener::bind(&name).unwrap();
        pair_on(&listener);
        drop(listener);
        assert!(!path(&name).exists());
    }

    #[test]
    fn a_live_socket_is_never_touched() {
        let _watchdog = watchdog(60);
        let name = name("live");
        let theirs = UnixListener::bind(path(&name)).unwrap();
        let error = PipeListener::bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        // Nor does its server notice: the next one it accepts is the next one that connects.
        let mut client = PipeStream::connect(&name).unwrap();
        client.write_all(b"first").unwrap();
        drop(client);
        assert_eq!(read_all(theirs.accept().unwrap().0).unwrap(), b"first");
        fs::remove_file(path(&name)).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_never_touched() {
        let name = name("file");
        fs::write(path(&name), "precious").unwrap();
        let error = PipeListener::bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert_eq!(fs::read_to_string(path(&name)).unwrap(), "precious");
        fs::remove_file(path(&name)).unwrap();

        // Not even one that a link at the place leads to.
        let target = path(&common::name("target"));
        symlink(&target, path(&name)).unwrap();
        let error = PipeListener::bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(!target.exists());
        fs::remove_file(path(&name)).unwrap();

        fs::create_dir(path(&name)).unwrap();
        assert_eq!(
            PipeListener::bind(&name).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        fs::remove_dir(path(&name)).unwrap();
    }

    #[test]
    fn only_our_own_file_is_removed() {
        let name = name("own");
        let listener = PipeListener::bind(&name).unwrap();
        // As a .NET server of the same name does, which asks nobody.
        fs::remove_file(path(&name)).unwrap();
        let theirs = UnixListener::bind(path(&name)).unwrap();
        drop(listener);
        assert!(path(&name).exists());
        drop(theirs);
        fs::remove_file(path(&name)).unwrap();
    }

    #[test]
    fn the_socket_has_the_mode_that_was_asked_for() {
        for (security, mode) in [
            (Security::OwnerOnly, 0o600),
            (Security::Everyone, 0o666),
            (Security::Mode(0o660), 0o660),
            (Security::Mode(0o1600), 0o1600),
        ] {
            let name = name("mode");
            let _listener = ListenOptions::new().security(security).bind(&name).unwrap();
            let file = fs::symlink_metadata(path(&name)).unwrap();
            assert!(file.file_type().is_socket());
            assert_eq!(file.permissions().mode() & 0o7777, mode);
        }
    }

    #[test]
    fn what_is_not_unix_is_told_so() {
        let bind = |security| {
            ListenOptions::new()
                .security(security)
                .bind(name("not-unix"))
        };
        let error = bind(Security::Sddl("D:P(A;;GA;;;SY)".into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("SDDL is Windows's"), "{error}");
        let error = bind(Security::Mode(0o4755)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("0o1777"), "{error}");
    }

    #[test]
    fn a_directory_where_anybody_may_replace_files_is_refused() {
        let directory = std::env::temp_dir().join(name("open"));
        fs::create_dir(&directory).unwrap();
        let socket = directory.join("x.sock");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        let error = PipeListener::bind(&socket).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("chmod +t"), "{error}");
        let bind = || {
            ListenOptions::new()
                .security(Security::OsDefault)
                .bind(&socket)
        };
        drop(bind().unwrap());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
        drop(PipeListener::bind(&socket).unwrap());
        // Nothing was left in it.
        fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_so() {
        let error = PipeListener::bind("/nowhere-at-all/x.sock").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.to_string().contains("directory does not exist"),
            "{error}"
        );
    }
}

#[cfg(windows)]
mod windows {
    use super::*;

    #[test]
    fn a_wrong_sddl_says_where() {
        for (sddl, says) in [
            ("", "empty"),
            ("nonsense", "character 1"),
            (
                "D:P(A;;GA;;;SY)(A;;GA;;;NOBODY)",
                r#"character 16: "(A;;GA;;;NOBODY)""#,
            ),
            ("D:P(A;;GA;SY)", "character 4"),
            ("D:P(A;;GA;;;S\0Y)", "NUL"),
        ] {
            let error = ListenOptions::new()
                .security(Security::Sddl(sddl.into()))
                .bind(name("sddl"))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{sddl}: {error}");
            assert!(error.to_string().contains(says), "{sddl}: {error}");
        }
    }

    #[test]
    fn what_is_not_windows_is_told_so() {
        let error = ListenOptions::new()
            .security(Security::Mode(0o600))
            .bind(name("mode"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("0o600"), "{error}");
    }

    #[test]
    fn streams_keep_the_name_after_their_listener() {
        let name = name("outlives");
        let listener = PipeListener::bind(&name).unwrap();
        let (server, client) = pair_on(&listener);
        drop(listener);
        assert_eq!(
            PipeStream::connect(&name).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        drop((server, client));
        PipeListener::bind(&name).unwrap();
    }
}
