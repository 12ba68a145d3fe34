//! `--exec` and `exec:`: how a program ends with its client, and a client with its program.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::harness::*;

const NPIPE: &str = env!("CARGO_BIN_EXE_npipe");

/// A program that says hello and then does nothing about anything: `npipe` at a server that keeps every client.
fn stubborn(inner: &str, clients: usize) -> mpsc::Receiver<Duration> {
    let (gone, ends) = mpsc::channel();
    server(inner, clients, move |stream| {
        (&stream).write_all(b"hello\n").unwrap();
        let gone = gone.clone();
        std::thread::spawn(move || {
            let began = Instant::now();
            while stream.is_connected().unwrap() {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = gone.send(began.elapsed());
        });
    });
    ends
}

fn hello(name: &str) -> npipe::PipeStream {
    let client = connect(name);
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), "hello");
    client
}

#[test]
fn a_program_whose_client_has_gone_gives_its_slot_to_the_next() {
    let _watchdog = watchdog();
    let (name, inner) = (name("slot"), name("slot-inner"));
    let ends = stubborn(&inner, 2);
    let (_listen, _) = serve(&[
        "listen",
        "--max-clients",
        "1",
        "--grace",
        "300ms",
        &name,
        "--exec",
        NPIPE,
        "connect",
        &inner,
    ]);
    for _ in 0..2 {
        drop(hello(&name));
        // It is not its client alone that has ended.
        ends.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}

/// As it was found: a program that reads nothing and writes no more.
#[cfg(unix)]
#[test]
fn a_program_that_sleeps_is_ended_with_its_client() {
    let _watchdog = watchdog();
    let name = name("sleeps");
    let (_listen, _) = serve(&[
        "listen",
        "--max-clients",
        "1",
        &name,
        "--exec",
        "sh",
        "-c",
        // Longer than it may take to be ended; the last one goes by itself, since its listener is killed with the test.
        "echo hello; exec sleep 20",
    ]);
    drop(hello(&name));
    let began = Instant::now();
    drop(hello(&name));
    assert!(began.elapsed() < Duration::from_secs(15), "{began:?}");
}

/// It is given the time to do what its client left it to do.
#[cfg(unix)]
#[test]
fn a_program_may_finish_what_it_was_given() {
    let _watchdog = watchdog();
    let name = name("finishes");
    let done = std::env::temp_dir().join(format!("{name}-done"));
    let script = format!(
        "cat > '{0}.part'; sleep 1; mv '{0}.part' '{0}'",
        done.display()
    );
    let (mut listen, _) = serve(&["listen", "-v", &name, "--exec", "sh", "-c", &script]);
    let client = connect(&name);
    (&client).write_all(b"all of it").unwrap();
    drop(client);
    listen.wait_said("has ended: exit status: 0");
    assert_eq!(std::fs::read(&done).unwrap(), b"all of it");
    std::fs::remove_file(done).unwrap();
}

/// What it leaves behind with its stdout keeps nobody.
#[test]
fn a_child_that_a_program_leaves_behind_keeps_no_client() {
    let _watchdog = watchdog();
    let name = name("leaves");
    let program: &[&str] = if cfg!(unix) {
        &["sh -c 'sleep 8 & echo hello; exit 7'"]
    } else {
        let script = "start /b ping -n 9 127.0.0.1 & echo hello& exit 7";
        &["cmd", "/c", script]
    };
    let args = [&["listen", "-v", &name, "--exec"], program].concat();
    let (mut listen, _) = serve(&args);
    let client = connect(&name);
    let mut said = String::new();
    let began = Instant::now();
    (&client).read_to_string(&mut said).unwrap();
    // What ping says meanwhile is said to the client as well.
    assert!(said.contains("hello"), "{said}");
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    drop(client);
    listen.wait_said(if cfg!(unix) {
        "exit status: 7"
    } else {
        "exit code: 7"
    });
}

/// A line is one, however it comes; and a program is told whom it serves.
#[test]
fn a_program_knows_whom_it_serves() {
    let _watchdog = watchdog();
    let line = if cfg!(unix) {
        "sh -c 'echo $NPIPE_NAME $NPIPE_PEER_PID $NPIPE_PEER_UID'"
    } else {
        "cmd /c echo %NPIPE_NAME% %NPIPE_PEER_PID% %NPIPE_PEER_SID%"
    };
    let here = name("serves");
    let exec = name("serves-too");
    let (_listen, place) = serve(&["listen", &here, "--exec", line]);
    let (_relay, other) = serve(&["relay", &exec, &format!("exec:{line}")]);
    for place in [place, other] {
        let client = connect(&place);
        let mut said = String::new();
        (&client).read_to_string(&mut said).unwrap();
        let words: Vec<_> = said.split_whitespace().collect();
        assert_eq!(words.len(), 3, "{said}");
        assert_eq!(words[0], place);
        assert_eq!(words[1], std::process::id().to_string());
        if cfg!(unix) {
            assert!(words[2].parse::<u32>().is_ok(), "{said}");
        } else {
            assert!(words[2].starts_with("S-1-"), "{said}");
        }
    }
}

/// A program that does not read, and a client that has sent more than fits, then left.
#[cfg(unix)]
#[test]
fn a_program_that_ends_unread_ends_its_client() {
    let _watchdog = watchdog();
    let name = name("unread");
    // What it leaves behind holds its stdin, too.
    let script = "(sleep 8 < /dev/stdin) & sleep 1; echo hello";
    let (_listen, _) = serve(&["listen", &name, "--exec", "sh", "-c", script]);
    let client = connect(&name);
    let feeding = {
        let client = client.try_clone().unwrap();
        std::thread::spawn(move || std::io::copy(&mut noise(1, 4_000_000), &mut &client).is_err())
    };
    let mut said = String::new();
    let began = Instant::now();
    let _ = (&client).read_to_string(&mut said);
    // What ping says meanwhile is said to the client as well.
    assert!(said.contains("hello"), "{said}");
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
    drop(client);
    feeding.join().unwrap();
}

#[test]
fn a_client_that_has_gone_is_dialled_for_no_more() {
    let _watchdog = watchdog();
    let (from, to) = (name("waits-from"), name("waits-to"));
    let (mut relay, _) = serve(&["relay", "-v", "--wait", &from, &to]);
    let (mut other, tcp) = serve(&["relay", "-v", "--wait", "tcp:127.0.0.1:0", &to]);
    for _ in 0..3 {
        drop(connect(&from));
        let tcp = std::net::TcpStream::connect(tcp.strip_prefix("tcp:").unwrap()).unwrap();
        drop(tcp);
    }
    for _ in 0..3 {
        relay.wait_said("is dialled for no more");
        other.wait_said("is dialled for no more");
    }
    #[cfg(target_os = "linux")]
    relay.settles_at_idle();
    // One that stays is served once the server is there.
    let client = connect(&from);
    let served = server(&to, 1, |stream| {
        (&stream).write_all(b"here").unwrap();
        let _ = (&stream).read(&mut [0]);
    });
    let mut said = [0; 4];
    (&client).read_exact(&mut said).unwrap();
    drop(client);
    served.join().unwrap();
}
