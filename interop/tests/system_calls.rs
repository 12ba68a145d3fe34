//! The path is short: how many system calls a round trip takes, as strace counts them.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{PipeListener, PipeStream};

const ROLE: &str = "NPIPE_TEST_ROLE";
const ROUNDS: u64 = 1000;
/// What the process does before and after: its start, its pipe, its threads, its end.
const BESIDE: u64 = 100;

fn pair() -> (PipeStream, PipeStream) {
    let name = format!("/tmp/npipe-calls-{}.sock", std::process::id());
    let listener = PipeListener::bind(&name).unwrap();
    let client = PipeStream::connect(&name).unwrap();
    (listener.accept().unwrap(), client)
}

/// No test: what strace looks at.
#[test]
#[ignore = "the other half of the tests in this file, which start it"]
fn role() {
    let (mut server, mut client) = pair();
    // With a deadline set, as real programs have.
    let later = Some(Instant::now() + Duration::from_secs(60));
    client.set_deadline(later).unwrap();
    let mut word = [1; 64];
    match std::env::var(ROLE).as_deref() {
        // Each answer has to be waited for.
        Ok("round trips") => {
            let echo = thread::spawn(move || {
                let mut word = [0; 64];
                while server.read_exact(&mut word).is_ok() {
                    server.write_all(&word).unwrap();
                }
            });
            for _ in 0..ROUNDS {
                client.write_all(&word).unwrap();
                client.read_exact(&mut word).unwrap();
            }
            drop(client);
            echo.join().unwrap();
        }
        // The data is always there.
        Ok("there already") => {
            for _ in 0..ROUNDS {
                client.write_all(&word).unwrap();
                server.read_exact(&mut word).unwrap();
            }
        }
        _ => {}
    }
}

/// How often the role makes each system call.
fn count(role: &str) -> BTreeMap<String, u64> {
    let counted = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o", "/dev/stdout", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "role", "--include-ignored", "--quiet"])
        .env(ROLE, role)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(counted.status.success(), "{counted:?}");
    let text = String::from_utf8(counted.stdout).unwrap();
    text.lines()
        .filter_map(|line| {
            let (calls, name) = line.trim().split_once(char::is_whitespace)?;
            Some((name.trim().to_owned(), calls.parse().ok()?))
        })
        .collect()
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn a_round_trip_is_a_write_and_at_most_three_calls_to_read() {
    let calls = count("round trips");
    let of = |name: &str| calls.get(name).copied().unwrap_or(0);
    // Two sides, each with one write and one read a round.
    assert_eq!(of("sendto"), 2 * ROUNDS, "{calls:?}");
    assert!(of("recvfrom") <= 4 * ROUNDS + BESIDE, "{calls:?}");
    assert!(of("ppoll") + of("poll") <= 2 * ROUNDS + BESIDE, "{calls:?}");
    let all: u64 = calls
        .iter()
        .filter(|(name, _)| *name != "total")
        .map(|(_, calls)| calls)
        .sum();
    let known = of("sendto") + of("recvfrom") + of("ppoll") + of("poll");
    assert!(
        all - known < ROUNDS,
        "nothing else grows with the rounds: {calls:?}"
    );
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn what_is_there_already_takes_one_call_to_read() {
    let calls = count("there already");
    let of = |name: &str| calls.get(name).copied().unwrap_or(0);
    assert_eq!(of("sendto"), ROUNDS, "{calls:?}");
    assert_eq!(of("recvfrom"), ROUNDS, "{calls:?}");
    assert!(of("ppoll") + of("poll") < BESIDE, "{calls:?}");
}
