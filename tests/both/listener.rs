//! Listening: whose the name is, who is delivered and in what order, and how an accept ends.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use npipe::{ConnectOptions, ListenOptions, PipeName, Security};

use crate::common::{self, name, read_all, watchdog};
use crate::half::Half;

both! {
    a_listener_says_its_name
    a_second_bind_is_addr_in_use
    the_name_is_held_while_all_instances_are_streams
    one_of_many_binds_wins
    close_wakes_a_blocked_accept_every_time
    who_learns_of_a_close_finds_the_name_free
    close_wakes_every_accept_and_refuses_later_ones
    clients_that_nobody_accepted_see_the_end_when_the_listener_closes
    incoming_delivers_until_the_listener_is_closed
    two_hundred_clients_at_once_five_times
    three_hundred_streams_are_alive_at_once
    a_thread_that_computes_after_its_accept_holds_up_no_other
    who_wrote_and_left_before_accept_is_delivered_2000_of_2000_in_order
    who_leaves_while_others_accept_is_delivered_too
    a_small_backlog_makes_clients_wait_and_not_fail
    a_limited_listener_keeps_its_name_while_its_streams_come_and_go
    wrong_options_are_told
    every_security_of_this_system_admits_its_own_user
    buffers_of_any_size_carry_everything
}

fn a_listener_says_its_name(half: &dyn Half) {
    let name = name("says");
    let listener = half.bind(&name).unwrap();
    assert_eq!(listener.local_addr(), PipeName::new(&name).unwrap());
    assert!(format!("{listener:?}").contains(&name), "{listener:?}");
}

fn a_second_bind_is_addr_in_use(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let name = name("taken");
    let listener = half.bind(&name).unwrap();
    for _ in 0..3 {
        let error = half.bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains("another server"), "{error}");
        assert!(error.to_string().contains(&name), "{error}");
        let source = error.get_ref().and_then(|inner| inner.source()).unwrap();
        let source = source.downcast_ref::<std::io::Error>().unwrap();
        assert!(source.raw_os_error().is_some(), "{source:?}");
    }
    // The attempts took no client's place, and the first listener lives on.
    let (mut server, mut client) = half.pair_on(&listener);
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
    drop((listener, server, client));
    half.bind(&name).unwrap();
}

fn the_name_is_held_while_all_instances_are_streams(half: &dyn Half) {
    let name = name("held");
    let listener = half
        .listen(ListenOptions::new().max_instances(1), &name)
        .unwrap();
    for _ in 0..20 {
        let (server, client) = half.pair_on(&listener);
        assert_eq!(half.bind(&name).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(server);
        assert_eq!(half.bind(&name).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(client);
    }
}

fn one_of_many_binds_wins(half: &dyn Half) {
    let _watchdog = watchdog(60);
    for _ in 0..20 {
        let name = name("race");
        let start = Barrier::new(8);
        let won: Vec<_> = thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        half.bind(&name)
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

fn close_wakes_a_blocked_accept_every_time(half: &dyn Half) {
    let _watchdog = watchdog(300);
    // Under Wine a listener takes a tenth of a second and more to come and go.
    let rounds = if cfg!(windows) { 300 } else { 3000 };
    for _ in 0..rounds {
        let listener = Arc::new(half.bind(name("close")).unwrap());
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

fn who_learns_of_a_close_finds_the_name_free(half: &dyn Half) {
    let _watchdog = watchdog(120);
    let name = name("free");
    let rounds = if cfg!(windows) { 200 } else { 2000 };
    let mut listener = half.bind(&name).unwrap();
    for round in 0..rounds {
        listener = thread::scope(|scope| {
            let learned = scope.spawn(|| {
                match round % 3 {
                    0 => assert!(listener.next().is_none()),
                    1 => drop(listener.accept().unwrap_err()),
                    // Looks again and again, and is not in the system at the time.
                    _ => while listener.security_descriptor().is_ok() {},
                }
                half.bind(&name)
                    .unwrap_or_else(|error| panic!("round {round}: {error}"))
            });
            listener.close();
            learned.join().unwrap()
        });
    }
}

fn close_wakes_every_accept_and_refuses_later_ones(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let name = name("close-all");
    let listener = half.bind(&name).unwrap();
    let (server, mut client) = half.pair_on(&listener);
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
    assert!(listener.next().is_none());
    listener.close();
    // Whom it accepted before lives on.
    client.write_all(b"still here").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"still here");
    drop(server);
    half.bind(&name).unwrap();
}

fn clients_that_nobody_accepted_see_the_end_when_the_listener_closes(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let listener = half.bind(name("unaccepted")).unwrap();
    let clients: Vec<_> = (0..5)
        .map(|_| half.connect(listener.local_addr()).unwrap())
        .collect();
    listener.close();
    for client in clients {
        assert_eq!(read_all(&client).unwrap(), b"");
    }
}

fn incoming_delivers_until_the_listener_is_closed(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let listener = half.bind(name("incoming")).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut served = 0;
            while let Some(stream) = listener.next() {
                let mut byte = [0];
                let mut stream = stream.unwrap();
                stream.read_exact(&mut byte).unwrap();
                stream.write_all(&byte).unwrap();
                served += 1;
            }
            served
        });
        for i in 0..50u8 {
            let mut client = half.connect(listener.local_addr()).unwrap();
            client.write_all(&[i]).unwrap();
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [i]);
        }
        listener.close();
        assert_eq!(server.join().unwrap(), 50);
    });
}

fn two_hundred_clients_at_once_five_times(half: &dyn Half) {
    const CLIENTS: usize = 200;
    let _watchdog = watchdog(240);
    for _ in 0..5 {
        let listener = half.bind(name("burst")).unwrap();
        let start = Barrier::new(CLIENTS);
        thread::scope(|scope| {
            for i in 0..CLIENTS {
                let (start, listener) = (&start, &listener);
                scope.spawn(move || {
                    start.wait();
                    let mut client = half
                        .dial(
                            ConnectOptions::new().timeout(Duration::from_secs(60)),
                            listener.local_addr(),
                        )
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

fn three_hundred_streams_are_alive_at_once(half: &dyn Half) {
    let _watchdog = watchdog(240);
    let listener = half.bind(name("many")).unwrap();
    let mut streams: Vec<_> = (0..300).map(|_| half.pair_on(&listener)).collect();
    for (server, client) in &mut streams {
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
    }
}

fn a_thread_that_computes_after_its_accept_holds_up_no_other(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let listener = half.bind(name("busy")).unwrap();
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
        let connect = || half.connect(listener.local_addr()).unwrap();
        let _first = connect();
        is_accepted.recv().unwrap();
        let _second = connect();
        listener.accept().unwrap();
        listener.close();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn who_wrote_and_left_before_accept_is_delivered_2000_of_2000_in_order(half: &dyn Half) {
    let _watchdog = watchdog(240);
    let listener = half.bind(name("early")).unwrap();
    let mut came = 0u32;
    while came < 2000 {
        // So many at a time as there is room for ahead of accept.
        let batch = 1 + came % 30;
        for i in 0..batch {
            let mut client = half.connect(listener.local_addr()).unwrap();
            client.write_all(&(came + i).to_le_bytes()).unwrap();
        }
        for i in 0..batch {
            let stream = listener.accept().unwrap();
            assert_eq!(read_all(&stream).unwrap(), (came + i).to_le_bytes());
        }
        came += batch;
    }
}

fn who_leaves_while_others_accept_is_delivered_too(half: &dyn Half) {
    const CLIENTS: u32 = 2000;
    let _watchdog = watchdog(240);
    let listener = half.bind(name("hurry")).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for i in 0..CLIENTS / 2 {
                    let mut client = half
                        .dial(
                            ConnectOptions::new().timeout(Duration::from_secs(60)),
                            listener.local_addr(),
                        )
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

fn a_small_backlog_makes_clients_wait_and_not_fail(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let listener = half
        .listen(ListenOptions::new().backlog(1), name("backlog"))
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = half
                    .dial(ConnectOptions::new().no_timeout(), listener.local_addr())
                    .unwrap();
                client.write_all(b"x").unwrap();
            });
        }
        for _ in 0..20 {
            assert_eq!(read_all(&listener.accept().unwrap()).unwrap(), b"x");
        }
    });
}

/// The next instance is made before the last one is closed: the name is never without one, however many end at once.
fn a_limited_listener_keeps_its_name_while_its_streams_come_and_go(half: &dyn Half) {
    const CLIENTS: usize = 400;
    for most in [1, 2, 7] {
        let _watchdog = watchdog(120);
        let listener = half
            .listen(ListenOptions::new().max_instances(most), name("churn"))
            .unwrap();
        let options = ConnectOptions::new().timeout(Duration::from_secs(60));
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < CLIENTS {
                        let mut client = half.dial(options.clone(), listener.local_addr()).unwrap();
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

fn wrong_options_are_told(half: &dyn Half) {
    for (options, says) in [
        (ListenOptions::new().backlog(0), "backlog is 0"),
        (ListenOptions::new().max_instances(0), "max_instances is 0"),
    ] {
        let error = half.listen(options, name("wrong")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(says), "{error}");
    }
}

fn every_security_of_this_system_admits_its_own_user(half: &dyn Half) {
    let mut all = vec![Security::OwnerOnly, Security::Everyone, Security::OsDefault];
    if cfg!(windows) {
        all.push(Security::Sddl(
            "D:P(A;;GA;;;SY)(A;;GA;;;OW)(A;;GA;;;WD)".into(),
        ));
    } else {
        all.push(Security::Mode(0o600));
    }
    for security in all {
        let listener = half
            .listen(
                ListenOptions::new().security(security.clone()),
                name("security"),
            )
            .unwrap_or_else(|error| panic!("{security:?}: {error}"));
        half.pair_on(&listener);
    }
}

fn buffers_of_any_size_carry_everything(half: &dyn Half) {
    let _watchdog = watchdog(60);
    let sent = common::pattern(1, 300_000);
    for size in [0, 1, 512, 65536, 1 << 20] {
        let listener = half
            .listen(
                ListenOptions::new()
                    .input_buffer_size(size)
                    .output_buffer_size(size),
                name("buffers"),
            )
            .unwrap();
        let (server, client) = half.pair_on(&listener);
        for (mut from, to) in [(&client, &server), (&server, &client)] {
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
