//! The path is short: how many system calls an operation takes, as strace counts them. Unlike times, these are the same
//! on every machine.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{ListenOptions, PipeListener, PipeStream};
use npipe_interop::system_calls;

const ROLE: &str = "NPIPE_TEST_ROLE";
const ROUNDS: u64 = 1000;
/// What the process does before and after: its start, its pipe, its threads, its end.
const BESIDE: u64 = 300;
/// Polls and the like of the program's own start.
const FEW: u64 = 10;
const CHUNK: usize = 64 * 1024;
const LARGE: usize = 1024 * 1024;

fn listener(messages: bool) -> PipeListener {
    let name = format!("/tmp/npipe-calls-{}.sock", std::process::id());
    let options = ListenOptions::new().message_mode(messages);
    options.bind(&name).unwrap()
}

fn pair(messages: bool) -> (PipeStream, PipeStream) {
    let listener = listener(messages);
    let client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
    (listener.accept().unwrap(), client)
}

/// No test: what strace looks at.
#[test]
#[ignore = "the other half of the tests in this file, which start it"]
fn role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let has = |word: &str| role.split(' ').any(|it| it == word);
    if has("connects") {
        return connects();
    }
    let (server, client) = pair(has("messages"));
    if has("deadline") {
        let later = Some(Instant::now() + Duration::from_secs(600));
        server.set_deadline(later).unwrap();
        client.set_deadline(later).unwrap();
    }
    if has("trips") {
        // Each answer has to be waited for.
        if has("shared") {
            trips(&server, &client);
        } else {
            trips(server, client);
        }
    } else if has("there") {
        // The data is always there.
        let mut word = [1; 64];
        for _ in 0..ROUNDS {
            (&client).write_all(&word).unwrap();
            (&server).read_exact(&mut word).unwrap();
        }
    } else if has("writes") {
        // The buffer is always full.
        let size = if has("large") { LARGE } else { CHUNK };
        if has("shared") {
            writes(&server, &client, size);
        } else {
            writes(server, client, size);
        }
    } else if has("messages") {
        let mut message = Vec::new();
        for _ in 0..ROUNDS {
            client.send(&[1; 64]).unwrap();
            message.clear();
            server.recv(&mut message).unwrap();
        }
    }
}

fn trips(mut server: impl Read + Write + Send, mut client: impl Read + Write) {
    let mut word = [1; 64];
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut word = [0; 64];
            for _ in 0..ROUNDS {
                server.read_exact(&mut word).unwrap();
                server.write_all(&word).unwrap();
            }
        });
        for _ in 0..ROUNDS {
            client.write_all(&word).unwrap();
            client.read_exact(&mut word).unwrap();
        }
    });
}

fn writes(mut server: impl Read + Send, mut client: impl Write, size: usize) {
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut chunk = vec![0; CHUNK];
            let mut left = ROUNDS as usize * size;
            while left > 0 {
                left -= server.read(&mut chunk).unwrap();
            }
        });
        let chunk = vec![1; size];
        for _ in 0..ROUNDS {
            client.write_all(&chunk).unwrap();
        }
    });
}

fn connects() {
    let listener = listener(false);
    let mut word = [1; 64];
    for _ in 0..ROUNDS {
        let mut client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
        let mut server = listener.accept().unwrap();
        client.write_all(&word).unwrap();
        server.read_exact(&mut word).unwrap();
    }
}

/// How often a role makes each system call.
struct Counts {
    calls: BTreeMap<String, u64>,
}

impl Counts {
    fn of(role: &str) -> Counts {
        Counts {
            calls: system_calls(ROLE, role),
        }
    }

    fn sum(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.calls.get(*name)).sum()
    }

    fn sends(&self) -> u64 {
        self.sum(&["sendto", "sendmsg"])
    }

    fn receives(&self) -> u64 {
        self.sum(&["recvfrom", "recvmsg"])
    }

    fn polls(&self) -> u64 {
        self.sum(&["poll", "ppoll", "pselect6", "epoll_wait"])
    }

    fn eventfds(&self) -> u64 {
        self.sum(&["eventfd", "eventfd2", "timerfd_create"])
    }

    /// All but those, and but what the threads of the test itself wait for.
    fn others(&self) -> u64 {
        // std's debug builds look at every descriptor before they close it (fcntl).
        let known = self.sends() + self.receives() + self.polls();
        self.sum(&["total"]) - known - self.sum(&["futex", "fcntl"])
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.calls)
    }
}

/// A stream that nobody else can reach makes the calls that `std` makes, and so it does under a deadline that is far away.
#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn alone_a_read_or_a_write_is_one_call_and_waits_in_it() {
    let counts = Counts::of("trips");
    assert_eq!(counts.sends(), 2 * ROUNDS, "{counts}");
    assert_eq!(counts.receives(), 2 * ROUNDS, "{counts}");
    assert!(counts.polls() < FEW, "{counts}");
    assert!(counts.eventfds() < FEW, "{counts}");
    assert!(counts.others() < BESIDE, "{counts}");
    // A call that waits for 50 ms, on a machine that has other things to do, goes the common way.
    let counts = Counts::of("trips deadline");
    assert_eq!(counts.sends(), 2 * ROUNDS, "{counts}");
    assert!(counts.receives() < 2 * ROUNDS + BESIDE, "{counts}");
    assert!(counts.polls() < BESIDE, "{counts}");
    assert!(counts.others() < BESIDE, "{counts}");
}

/// So do the byte calls of a message pipe: a message is one packet, and one call on each side.
#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn alone_a_small_message_is_one_call_that_waits_too() {
    for role in ["trips messages", "trips messages deadline"] {
        let counts = Counts::of(role);
        assert_eq!(counts.sends(), 2 * ROUNDS, "{role}: {counts}");
        // What is waited for longer than a slice goes the common way.
        assert!(counts.receives() < 2 * ROUNDS + BESIDE, "{role}: {counts}");
        assert!(counts.polls() < BESIDE, "{role}: {counts}");
        assert!(counts.others() < BESIDE, "{role}: {counts}");
    }
}

/// Each side has one write and one read a round, and a read that has to wait tries, waits, and tries again.
#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn a_round_trip_is_a_write_and_at_most_three_calls_to_read() {
    for role in ["trips shared", "trips shared deadline"] {
        let counts = Counts::of(role);
        assert_eq!(counts.sends(), 2 * ROUNDS, "{role}: {counts}");
        // A wake-up that moves nothing is rare, and happens.
        assert!(counts.receives() <= 4 * ROUNDS + BESIDE, "{role}: {counts}");
        assert!(counts.polls() <= 2 * ROUNDS + BESIDE, "{role}: {counts}");
        assert!(counts.others() < BESIDE, "{role}: {counts}");
        // A deadline that stays is set once for each side.
        let set = counts.sum(&["timerfd_settime"]);
        assert_eq!(set > 0, role.contains("deadline"), "{role}: {counts}");
        assert!(set < FEW, "{role}: {counts}");
    }
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn what_is_there_already_takes_one_call_to_read() {
    for role in ["there", "there deadline"] {
        let counts = Counts::of(role);
        assert_eq!(counts.sends(), ROUNDS, "{role}: {counts}");
        assert_eq!(counts.receives(), ROUNDS, "{role}: {counts}");
        assert!(counts.polls() < FEW, "{role}: {counts}");
    }
}

/// However full the buffer is, the kernel waits for room by itself.
#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn alone_a_write_of_64_kib_is_one_call_and_no_poll() {
    let counts = Counts::of("writes");
    assert_eq!(counts.sends(), ROUNDS, "{counts}");
    assert!(counts.polls() < FEW, "{counts}");
    let counts = Counts::of("writes deadline");
    assert!(counts.sends() < ROUNDS + BESIDE, "{counts}");
    assert!(counts.polls() < BESIDE, "{counts}");
}

/// A deadline that is far enough away for all of the kernel's buffers leaves a large write whole.
#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn alone_a_write_of_1_mib_is_one_call_under_a_deadline_too() {
    for role in ["writes large", "writes large deadline"] {
        let counts = Counts::of(role);
        assert!(counts.sends() < ROUNDS + BESIDE, "{role}: {counts}");
        assert!(counts.polls() < BESIDE, "{role}: {counts}");
    }
}

/// Where somebody may move a deadline meanwhile, a write that does not fit goes in two pieces at most.
#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn shared_a_write_of_64_kib_is_two_calls_and_one_poll_at_most() {
    for role in ["writes shared", "writes shared deadline"] {
        let counts = Counts::of(role);
        assert!(counts.sends() <= 2 * ROUNDS, "{role}: {counts}");
        // The reader's are among them.
        assert!(counts.polls() <= 2 * ROUNDS, "{role}: {counts}");
    }
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn a_small_message_is_one_call_a_side() {
    let counts = Counts::of("messages");
    assert_eq!(counts.sends(), ROUNDS, "{counts}");
    assert_eq!(counts.receives(), ROUNDS, "{counts}");
    assert!(counts.polls() < FEW, "{counts}");
}

/// A socket, its connect and its accept, and the timeout of a connect; nothing to wake anybody with.
#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn a_connection_is_made_of_its_sockets_alone() {
    let counts = Counts::of("connects");
    for (call, times) in [("socket", 1), ("connect", 1), ("accept4", 1), ("close", 2)] {
        let made = counts.sum(&[call]);
        assert!(made <= times * ROUNDS + BESIDE, "{call}: {counts}");
    }
    assert_eq!(
        (counts.sends(), counts.receives()),
        (ROUNDS, ROUNDS),
        "{counts}"
    );
    assert!(counts.polls() + counts.eventfds() < FEW, "{counts}");
    let known = counts.sum(&["socket", "connect", "accept4", "close"]);
    assert!(counts.others() - known <= ROUNDS + 3 * BESIDE, "{counts}");
}
