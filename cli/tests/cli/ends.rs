//! `connect` and `listen`: what passes, and every way in which it can end.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use crate::harness::*;

const BIG: u64 = 64 * 1024 * 1024;

/// Byte pipes of Windows have no half close.
const HALF_CLOSE: bool = cfg!(unix);

#[test]
fn lines_pass_both_ways_as_they_are_typed() {
    let _watchdog = watchdog();
    let name = name("lines");
    let (mut listen, _) = serve(&["listen", &name]);
    let mut connect = start(&["connect", &name]);
    for round in 0..3 {
        connect.write(format!("to the server {round}\n"));
        assert_eq!(listen.read_line(), format!("to the server {round}\n"));
        listen.write(format!("to the client {round}\n"));
        assert_eq!(connect.read_line(), format!("to the client {round}\n"));
    }
    // A part of a line is not held back.
    connect.write("no end");
    let mut part = [0; 6];
    listen
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut part)
        .unwrap();
    assert_eq!(&part, b"no end");
    connect.end_stdin();
    if HALF_CLOSE {
        listen.finish().done();
        connect.wait().done();
    }
}

#[test]
fn big_binary_passes_both_ways_at_once_bit_for_bit() {
    let _watchdog = watchdog();
    let name = name("big");
    let (mut listen, _) = serve(&["listen", &name]);
    let mut connect = start(&["connect", "-v", &name]);
    let feeds = [
        feed(listen.stdin.take().unwrap(), noise(1, BIG)),
        feed(connect.stdin.take().unwrap(), noise(2, BIG)),
    ];
    let to_listen = listen.stdout.take().unwrap();
    let to_connect = connect.stdout.take().unwrap();
    let check = std::thread::spawn(move || {
        if HALF_CLOSE {
            assert_is(to_listen, noise(2, BIG));
        } else {
            assert_eq!(assert_starts_with(to_listen, noise(2, BIG)), 0);
        }
    });
    if HALF_CLOSE {
        assert_is(to_connect, noise(1, BIG));
    } else {
        assert_eq!(assert_starts_with(to_connect, noise(1, BIG)), 0);
    }
    check.join().unwrap();
    for feed in feeds {
        feed.join().unwrap();
    }
    if HALF_CLOSE {
        listen.wait().done();
        connect.wait().done();
    }
}

#[test]
fn an_echo_gives_back_everything() {
    let _watchdog = watchdog();
    let name = name("echo");
    let (_echo, _) = serve(&["listen", "--echo", &name]);
    let mut connect = start(&["connect", &name]);
    feed(connect.stdin.take().unwrap(), noise(3, BIG));
    let back = connect.stdout.take().unwrap();
    if HALF_CLOSE {
        assert_is(back, noise(3, BIG));
        connect.wait().done();
    } else {
        assert_eq!(assert_starts_with(back, noise(3, BIG)), 0);
    }
}

#[test]
fn stdin_ends_first_and_the_answer_still_comes() {
    let _watchdog = watchdog();
    let name = name("stdin-first");
    let served = server(&name, 1, |stream| {
        let mut question = vec![0; 100_000];
        (&stream).read_exact(&mut question).unwrap();
        if HALF_CLOSE {
            assert_eq!(
                (&stream).read(&mut [0]).unwrap(),
                0,
                "the end is carried on"
            );
        }
        std::io::copy(&mut noise(4, 1_000_000), &mut &stream).unwrap();
    });
    let mut connect = start(&["connect", &name]);
    connect.write(vec![7; 100_000]);
    connect.end_stdin();
    assert_is(connect.stdout.take().unwrap(), noise(4, 1_000_000));
    connect.wait().done();
    served.join().unwrap();
}

#[test]
fn the_server_closes_first_and_connect_ends_with_stdin_still_open() {
    let _watchdog = watchdog();
    let name = name("server-first");
    let served = server(&name, 1, |stream| {
        (&stream).write_all(b"that is all\n").unwrap()
    });
    let connect = start(&["connect", &name]);
    let ended = connect.wait().done();
    assert_eq!(ended.text(), "that is all\n");
    served.join().unwrap();
}

#[cfg(unix)]
#[test]
fn the_server_half_closes_first_and_still_gets_all_of_stdin() {
    let _watchdog = watchdog();
    let name = name("half-first");
    let served = server(&name, 1, |stream| {
        (&stream).write_all(b"go on\n").unwrap();
        stream.close_write().unwrap();
        assert_is(&stream, noise(5, 10_000_000));
    });
    let mut connect = start(&["connect", &name]);
    assert_eq!(connect.read_line(), "go on\n");
    let mut rest = Vec::new();
    connect
        .stdout
        .as_mut()
        .unwrap()
        .read_to_end(&mut rest)
        .unwrap();
    assert_eq!(rest, b"", "whoever reads our stdout sees the end as well");
    feed(connect.stdin.take().unwrap(), noise(5, 10_000_000))
        .join()
        .unwrap();
    connect.wait().done();
    served.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_server_that_half_closes_and_then_goes_ends_it() {
    let _watchdog = watchdog();
    let name = name("half-then-gone");
    let served = server(&name, 1, |stream| {
        stream.close_write().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert_eq!(line, "seen\n");
    });
    let mut connect = start(&["connect", &name]);
    // Stdout has ended for whoever reads it only when npipe does; what is written still arrives.
    connect.write("seen\n");
    served.join().unwrap();
    connect.wait().done();
}

#[test]
fn both_ends_at_once_lose_nothing() {
    let _watchdog = watchdog();
    for round in 0..20 {
        let name = name("both");
        let (mut listen, _) = serve(&["listen", &name]);
        let mut connect = start(&["connect", &name]);
        let length = 1 + 70_000 * round;
        let mut give = vec![9; length];
        noise(round as u64, length as u64)
            .read_exact(&mut give)
            .unwrap();
        let feeds = [
            feed(
                listen.stdin.take().unwrap(),
                noise(round as u64, length as u64),
            ),
            feed(
                connect.stdin.take().unwrap(),
                noise(round as u64, length as u64),
            ),
        ];
        if HALF_CLOSE {
            let wait = std::thread::spawn(|| listen.wait().done());
            assert_eq!(connect.wait().done().stdout, give);
            assert_eq!(wait.join().unwrap().stdout, give);
        } else {
            let mut got = vec![0; length];
            listen
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut got)
                .unwrap();
            assert_eq!(got, give);
            connect
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut got)
                .unwrap();
            assert_eq!(got, give);
        }
        for feed in feeds {
            feed.join().unwrap();
        }
    }
}

#[test]
fn exit_on_eof_ends_once_a_slow_reader_has_everything() {
    let _watchdog = watchdog();
    for (command, length) in [
        ("connect", 3_000_000),
        ("connect", 1),
        ("connect", 0),
        ("listen", 3_000_000),
    ] {
        let name = name("exit-on-eof");
        let mut run;
        let peer = if command == "connect" {
            let (give, take) = std::sync::mpsc::channel();
            server(&name, 1, move |stream| give.send(stream).unwrap());
            run = start(&["connect", "--exit-on-eof", &name]);
            take.recv().unwrap()
        } else {
            run = serve(&["listen", "--exit-on-eof", &name]).0;
            connect(&name)
        };
        // The peer never closes, and does not read until it is asked to.
        let feeding = feed(run.stdin.take().unwrap(), noise(6, length));
        if length > 0 {
            assert!(run.is_running());
        }
        assert_eq!(assert_starts_with(&peer, noise(6, length)), 0);
        feeding.join().unwrap();
        run.wait().done();
        drop(peer);
    }
}

#[test]
fn a_client_that_wrote_and_left_is_heard() {
    let _watchdog = watchdog();
    let name = name("left");
    let (listen, _) = serve(&["listen", &name]);
    (&connect(&name)).write_all(b"goodbye\n").unwrap();
    assert_eq!(listen.wait().done().text(), "goodbye\n");
}

#[test]
fn what_comes_once_a_client_has_left_is_for_the_next() {
    let _watchdog = watchdog();
    let name = name("keep-next");
    for message in [false, true] {
        let args: &[&str] = if message {
            &["listen", "--keep", "--message", &name]
        } else {
            &["listen", "--keep", &name]
        };
        let (mut listen, _) = serve(args);
        let client = connect(&name);
        (&client).write_all(b"here\n").unwrap();
        listen.read_line();
        drop(client);
        for round in 0..10 {
            let client = connect(&name);
            listen.write(format!("{round}\n"));
            let mut got = [0; 1];
            (&client).read_exact(&mut got).unwrap();
            assert_eq!(got, [b'0' + round]);
        }
    }
}

/// By its own half close no direction is left open; it waits all the same.
#[test]
fn exit_on_eof_waits_for_the_reader_of_one_way_too() {
    let _watchdog = watchdog();
    for access in ["w", "rw"] {
        let name = name("one-way-eof");
        let (read, may_read) = std::sync::mpsc::channel::<()>();
        let may_read = std::sync::Mutex::new(may_read);
        let server = server(&name, 1, move |mut client| {
            if access == "rw" {
                // Its own end comes first, where there is a half close.
                let _ = client.close_write();
            }
            may_read.lock().unwrap().recv().unwrap();
            client.read_exact(&mut [0; 5]).unwrap();
        });
        let mut connect = start(&["connect", "--access", access, "--exit-on-eof", &name]);
        connect.write("hello");
        connect.end_stdin();
        assert!(!connect.ends_within(Duration::from_millis(400)), "{access}");
        read.send(()).unwrap();
        connect.wait().done();
        server.join().unwrap();
    }
}

#[test]
fn writing_alone_ends_with_its_reader() {
    let _watchdog = watchdog();
    let name = name("reader-leaves");
    let server = server(&name, 1, |mut client| {
        client.read_exact(&mut [0; 5]).unwrap()
    });
    // Its stdin stays open.
    let mut connect = start(&["connect", "--access", "w", &name]);
    connect.write("hello");
    server.join().unwrap();
    connect.wait().done();
}

#[test]
fn keep_serves_one_client_after_another_and_gives_stdin_to_whoever_is_there() {
    let _watchdog = watchdog();
    let name = name("keep");
    let (mut listen, _) = serve(&["listen", "--keep", "-v", &name]);
    for round in 0..5 {
        let client = connect(&name);
        (&client)
            .write_all(format!("from {round}\n").as_bytes())
            .unwrap();
        assert_eq!(listen.read_line(), format!("from {round}\n"));
        listen.write(format!("for {round}\n"));
        let mut line = String::new();
        BufReader::new(&client).read_line(&mut line).unwrap();
        assert_eq!(line, format!("for {round}\n"));
        drop(client);
        listen.wait_said("is done");
    }
    listen.write("for whoever comes next\n");
    listen.end_stdin();
    let mut rest = String::new();
    let client = connect(&name);
    if HALF_CLOSE {
        (&client).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "for whoever comes next\n");
    } else {
        BufReader::new(&client).read_line(&mut rest).unwrap();
        assert_eq!(rest, "for whoever comes next\n");
    }
}

#[test]
fn exec_wires_a_program_to_each_client() {
    let _watchdog = watchdog();
    let (name, behind) = (name("exec"), name("behind-exec"));
    let npipe = env!("CARGO_BIN_EXE_npipe");
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let (_listen, _) = serve(&["listen", &name, "--exec", npipe, "connect", &behind]);
    let clients: Vec<_> = (0..4).map(|_| connect(&name)).collect();
    for (seed, client) in clients.iter().enumerate() {
        let length = 300_000;
        let write = client.try_clone().unwrap();
        let feeding = feed(write, noise(seed as u64, length));
        assert_eq!(assert_starts_with(client, noise(seed as u64, length)), 0);
        feeding.join().unwrap();
    }
    if HALF_CLOSE {
        for client in &clients {
            client.close_write().unwrap();
            assert_eq!(
                (&*client).read(&mut [0]).unwrap(),
                0,
                "the program has ended"
            );
        }
    }
}

#[test]
fn a_program_that_ends_by_itself_ends_its_client() {
    let _watchdog = watchdog();
    let name = name("exec-ends");
    let npipe = env!("CARGO_BIN_EXE_npipe");
    let (_listen, _) = serve(&["listen", &name, "--exec", npipe, "--version"]);
    for _ in 0..10 {
        let client = connect(&name);
        // It reads nothing of this, and that must not look like a failure from here.
        let _ = (&client).write_all(b"is anybody there?\n");
        let mut said = String::new();
        (&client).read_to_string(&mut said).unwrap();
        assert_eq!(said, format!("npipe {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn stdout_that_is_closed_ends_it_quietly() {
    let _watchdog = watchdog();
    let name = name("stdout-closed");
    let served = server(&name, 1, |stream| {
        // Until the other side goes, which is what is waited for.
        while (&stream).write_all(&[b'x'; 4096]).is_ok() {}
    });
    let mut connect = start(&["connect", &name]);
    let mut first = [0; 10];
    connect
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    connect.stdout = None;
    let ended = connect.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    served.join().unwrap();
}

#[test]
fn a_server_that_dies_in_the_middle_is_a_failure() {
    let _watchdog = watchdog();
    let name = name("dies");
    let served = server(&name, 1, |stream| {
        (&stream).read_exact(&mut [0; 100_000]).unwrap();
    });
    let mut connect = start(&["connect", &name]);
    let mut stdin = connect.stdin.take().unwrap();
    std::thread::spawn(move || while stdin.write_all(&[0; 65536]).is_ok() {});
    let ended = connect.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("write to"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    served.join().unwrap();
}

#[test]
fn progress_says_how_much_passed() {
    let _watchdog = watchdog();
    let name = name("progress");
    let served = server(&name, 1, |stream| {
        (&stream).read_exact(&mut [0; 100_000]).unwrap();
        (&stream).write_all(&[0; 2048]).unwrap();
    });
    let mut connect = start(&["connect", "--progress", &name]);
    connect.write(vec![0; 100_000]);
    let ended = connect.finish().done();
    assert_eq!(ended.stdout.len(), 2048);
    let last = ended.stderr.lines().last().unwrap();
    assert!(
        last.contains("sent 97.66 KiB") && last.contains("received 2.00 KiB"),
        "{last}"
    );
    served.join().unwrap();
}

/// A signal ends it at once, and its socket's file is gone with it.
#[cfg(unix)]
#[test]
fn a_signal_leaves_no_socket_behind() {
    let _watchdog = watchdog();
    for args in [
        &["listen", "--echo", "NAME"][..],
        &["listen", "NAME"],
        &["listen", "--keep", "NAME"],
        &["relay", "NAME", "nobody"],
        &["tap", "NAME", "nobody"],
        &["bench-server", "NAME"],
    ] {
        let name = name("signal");
        let args: Vec<_> = args
            .iter()
            .map(|&arg| if arg == "NAME" { &name } else { arg })
            .collect();
        // What serves a bench says nothing; its socket is there all the same.
        let (run, path) = if args[0] == "bench-server" {
            let mut run = start(&args);
            assert_eq!(run.read_line(), "ready\n");
            (run, npipe::PipeName::new(&name).unwrap().to_string())
        } else {
            serve(&args)
        };
        assert!(std::path::Path::new(&path).exists());
        let _client = connect(&name);
        assert!(run.terminate());
        let ended = run.wait();
        assert_eq!(ended.code, None, "it is ended by the signal: {ended:?}");
        assert!(!std::path::Path::new(&path).exists());
    }
}

#[test]
fn a_wait_for_clients_has_its_timeout() {
    let _watchdog = watchdog();
    let began = std::time::Instant::now();
    let ended = run(&["listen", "--timeout", "200ms", &name("nobody")]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended.stderr.contains("no client came within 200ms"),
        "{ended:?}"
    );
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_server_of_many_ends_when_nobody_has_been_there_for_its_timeout() {
    let _watchdog = watchdog();
    let npipe = env!("CARGO_BIN_EXE_npipe");
    for what in [&["--echo"][..], &["--exec", npipe, "--version"]] {
        let name = name("nobody-at-all");
        let began = std::time::Instant::now();
        let ended = run(&[&["listen", &name, "--timeout", "200ms"], what].concat());
        assert_eq!(ended.code, Some(4), "{ended:?}");
        for part in [&name, "no client came within 200ms", "--timeout"] {
            assert!(ended.stderr.contains(part), "{ended:?}");
        }
        assert!(began.elapsed() >= Duration::from_millis(200));
    }
    // Enough for this client to come; it stays for longer than that.
    const PATIENCE: Duration = Duration::from_secs(2);
    let name = name("somebody");
    let (server, _) = serve(&["listen", "--echo", "--timeout", "2s", &name]);
    let mut client = connect(&name);
    let later = std::time::Instant::now() + PATIENCE + Duration::from_millis(500);
    client.set_read_deadline(Some(later)).unwrap();
    let waited = client.read(&mut [0]).unwrap_err();
    assert_eq!(waited.kind(), std::io::ErrorKind::TimedOut);
    client.set_read_deadline(None).unwrap();
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    let left = std::time::Instant::now();
    drop(client);
    let ended = server.wait();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(left.elapsed() >= PATIENCE);
}

/// On Linux, where a file's name may be any bytes.
#[cfg(target_os = "linux")]
#[test]
fn names_and_arguments_need_not_be_unicode() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let _watchdog = watchdog();
    let odd = |what: &str| {
        let plain = npipe::PipeName::new(name(what)).unwrap();
        let mut path = plain.os_path().as_os_str().to_owned();
        path.push(OsString::from_vec(b"\xff\xfe".to_vec()));
        path
    };
    let words = |words: &[&str], odd: &[&OsStr]| -> Vec<OsString> {
        let words = words.iter().copied().map(OsStr::new);
        words
            .chain(odd.iter().copied())
            .map(OsStr::to_owned)
            .collect()
    };
    let (front, behind) = (odd("front"), odd("behind"));
    let echo = [
        OsStr::new("--exec"),
        OsStr::new("echo"),
        OsStr::from_bytes(b"\xff"),
    ];
    let listen = [&words(&["listen"], &[&behind])[..], &words(&[], &echo)].concat();
    let mut listen = start_command(npipe(&listen));
    listen.wait_said("listening on ");
    let mut relay = start_command(npipe(&words(&["relay"], &[&front, &behind])));
    relay.wait_said("listening on ");
    let connected = start_command(npipe(&words(&["connect"], &[&front]))).finish();
    assert_eq!(connected.done().stdout, b"\xff\n");
    for command in ["info", "doctor"] {
        let looked = start_command(npipe(&words(&[command], &[&front]))).finish();
        assert!(looked.done().text().contains("\u{fffd}\u{fffd}"));
    }
    let listed =
        start_command(npipe(&words(&["list"], &[OsStr::from_bytes(b"\xff\xfe")]))).finish();
    assert!(listed.done().text().contains("front\u{fffd}\u{fffd}"));
}

/// On Linux, where more can be on its way to us than the command and its stdout hold.
#[cfg(target_os = "linux")]
#[test]
fn what_has_come_when_stdin_is_drained_is_written_however_slowly() {
    // More than stdout's pipe and one read of the command's take (64 KiB each), less than fits into the socket too, however
    // little that one read brought.
    const ANSWER: u64 = 140_000;
    let _watchdog = watchdog();
    let name = name("slow-stdout");
    let answered = server(&name, 1, |mut client| {
        // The answer is on its way before the last word is read: from then on the command means to end.
        std::io::copy(&mut noise(1, ANSWER), &mut client).unwrap();
        client.read_exact(&mut [0; 1000]).unwrap();
        // It cannot yet, for nobody reads its stdout: some of the answer stays here until its patience has run out.
        let soon = std::time::Instant::now() + Duration::from_millis(200);
        client.set_write_deadline(Some(soon)).unwrap();
        let waited = client.wait_drained();
        (waited.unwrap_err().kind(), client)
    });
    let mut connect = start(&["connect", "--exit-on-eof", &name]);
    connect.write([b'x'; 1000]);
    connect.end_stdin();
    let (waited, _client) = answered.join().unwrap().remove(0);
    assert_eq!(waited, std::io::ErrorKind::TimedOut);
    let ended = connect.wait().done();
    assert_eq!(ended.stdout.len() as u64, ANSWER);
    assert_is(&ended.stdout[..], noise(1, ANSWER));
}
