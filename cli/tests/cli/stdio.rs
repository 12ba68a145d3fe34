//! Stdin and stdout as other programs leave them: non-blocking, one socket for both; and names that give commands.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Stdio};

use crate::harness::*;

/// `npipe` with a socket for stdin and one for stdout, and our ends of them.
fn wired(args: &[&str], nonblocking: bool) -> (Child, UnixStream, UnixStream) {
    let (stdin, its_stdin) = UnixStream::pair().unwrap();
    let (stdout, its_stdout) = UnixStream::pair().unwrap();
    for its in [&its_stdin, &its_stdout] {
        its.set_nonblocking(nonblocking).unwrap();
    }
    let child = npipe(args)
        .stdin(Stdio::from(OwnedFd::from(its_stdin)))
        .stdout(Stdio::from(OwnedFd::from(its_stdout)))
        .spawn()
        .unwrap();
    (child, stdin, stdout)
}

#[test]
fn stdio_that_another_program_made_non_blocking_is_waited_for() {
    let _watchdog = watchdog();
    const LENGTH: u64 = 1_000_000;
    let name = name("non-blocking");
    let (_echo, _) = serve(&["listen", "--echo", &name]);
    let (mut child, stdin, stdout) = wired(&["connect", &name], true);
    // It is to find nothing there, and nothing to write to.
    let mut first = [0; 1];
    let feeding = feed(stdin.try_clone().unwrap(), noise(1, 1));
    (&stdout).read_exact(&mut first).unwrap();
    feeding.join().unwrap();
    let feeding = feed(stdin, noise(2, LENGTH));
    assert_is(&stdout, noise(2, LENGTH));
    feeding.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn ask_waits_for_non_blocking_stdin_too() {
    let _watchdog = watchdog();
    let name = name("non-blocking-ask");
    let (_echo, _) = serve(&["listen", "--echo", &name]);
    let (mut child, stdin, mut stdout) = wired(&["ask", &name], true);
    std::thread::sleep(std::time::Duration::from_millis(200));
    (&stdin).write_all(b"a line\n").unwrap();
    stdin.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stdout.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "a line\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn messages_from_non_blocking_stdin_stay_whole() {
    let _watchdog = watchdog();
    let name = name("non-blocking-lines");
    let (_echo, _) = serve(&["listen", "--echo", "--message", &name]);
    let (mut child, stdin, mut stdout) = wired(&["connect", "--message", &name], true);
    let mut back = [0; 6];
    for part in ["ab\nc", "d\n"] {
        (&stdin).write_all(part.as_bytes()).unwrap();
        if part.len() == 4 {
            // The first line is back: the rest is waited for now.
            stdout.read_exact(&mut back[..3]).unwrap();
        }
    }
    stdout.read_exact(&mut back[3..]).unwrap();
    assert_eq!(&back, b"ab\ncd\n");
    stdin.shutdown(Shutdown::Both).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// What a command prints goes through a pipe that is full and non-blocking, too.
#[test]
fn what_is_printed_waits_for_its_reader() {
    let _watchdog = watchdog();
    for args in [
        &["man"][..],
        &["completions", "bash"],
        &["demo", "--csharp", "server"],
    ] {
        let whole = run(args).done();
        let (stdout, its_stdout) = UnixStream::pair().unwrap();
        its_stdout.set_nonblocking(true).unwrap();
        // As full as it gets.
        while (&its_stdout).write(&[b'x'; 4096]).is_ok() {}
        let mut filled = 0;
        let mut child = npipe(args)
            .stdout(Stdio::from(OwnedFd::from(its_stdout)))
            .spawn()
            .unwrap();
        // It waits, however long that is.
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none(), "{args:?}");
        let mut printed = Vec::new();
        (&stdout).read_to_end(&mut printed).unwrap();
        while printed.get(filled) == Some(&b'x') {
            filled += 1;
        }
        assert!(printed[filled..] == whole.stdout[..], "{args:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

/// Inetd, systemd with `Accept=yes` and socat give a program one socket for both.
#[test]
fn one_socket_for_both_passes_the_end_on() {
    let _watchdog = watchdog();
    let name = name("one-socket");
    let served = server(&name, 1, |stream| {
        (&stream).write_all(b"that is all").unwrap();
        stream.close_write().unwrap();
        let mut rest = String::new();
        (&stream).read_to_string(&mut rest).unwrap();
        rest
    });
    let (client, its) = UnixStream::pair().unwrap();
    let mut child = npipe(&["connect", &name])
        .stdin(Stdio::from(OwnedFd::from(its.try_clone().unwrap())))
        .stdout(Stdio::from(OwnedFd::from(its)))
        .spawn()
        .unwrap();
    let mut heard = String::new();
    (&client).read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "that is all");
    (&client).write_all(b"and this is mine").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(served.join().unwrap(), ["and this is mine"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_name_gives_a_terminal_no_commands() {
    let _watchdog = watchdog();
    let path = std::env::temp_dir().join(format!("CoreFxPipe_{}\u{1b}]0;owned\u{7}", name("x")));
    let (path, name) = (path.display().to_string(), {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.strip_prefix("CoreFxPipe_").unwrap().to_owned()
    });
    let socket = UnixListener::bind(&path).unwrap();
    let clean = |args: &[&str]| {
        let ended = run(args);
        for text in [&ended.stdout, ended.stderr.as_bytes()] {
            let raw = text.iter().any(|&byte| byte < b' ' && byte != b'\n');
            assert!(!raw, "{args:?}: {:?}", String::from_utf8_lossy(text));
        }
    };
    clean(&["info", &name]);
    clean(&["doctor", &name]);
    clean(&["list", &name]);
    clean(&["listen", &name]);
    drop(socket);
    clean(&["connect", &name]);
    clean(&["doctor", &name]);
    clean(&["listen", "--timeout", "0", &name]);
    clean(&["info", &path]);
    clean(&["relay", &name, &name]);
    // Listening has replaced it, and taken it away.
    let _ = std::fs::remove_file(path);
}
