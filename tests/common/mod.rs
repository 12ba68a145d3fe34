//! What the tests share: names that nobody else has, a watchdog, a connected pair, a child process that is this test.

#![allow(dead_code)] // no test file uses all of it

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use npipe::{PipeListener, PipeStream};

#[cfg(feature = "tokio")]
pub mod tasks;

/// A plain pipe name that nobody else has.
pub fn name(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let random = RandomState::new().build_hasher().finish() as u32;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("npipe-{what}-{:x}-{random:x}-{count:x}", std::process::id())
}

/// Ends the whole test process, saying which test hung, if it is not dropped in time.
pub struct Watchdog(Option<mpsc::Sender<()>>);

pub fn watchdog(seconds: u64) -> Watchdog {
    let (alive, dropped) = mpsc::channel();
    let test = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        let waited = dropped.recv_timeout(Duration::from_secs(seconds));
        if waited == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("watchdog: {test} hangs: not done within {seconds} s");
            std::process::abort();
        }
    });
    Watchdog(Some(alive))
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// A listener, the server's end and the client's end of a new pipe.
pub fn pair(what: &str) -> (PipeListener, PipeStream, PipeStream) {
    let listener = PipeListener::bind(name(what)).unwrap();
    let (server, client) = pair_on(&listener);
    (listener, server, client)
}

pub fn pair_on(listener: &PipeListener) -> (PipeStream, PipeStream) {
    let client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
    (listener.accept().unwrap(), client)
}

/// `length` bytes that depend on `seed` and on their place, so that one that is lost or doubled shows.
pub fn pattern(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

pub fn read_all(mut stream: impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    Ok(all)
}

/// How long something took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

const ROLE: &str = "NPIPE_TEST_ROLE";

/// This test once more, in a process of its own that finds `role` in [`role`]. Killed on drop.
pub struct Role(pub Child);

pub fn spawn_role(role: &str) -> Role {
    let test = thread::current().name().unwrap().to_owned();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Role(child)
}

/// What this process was started for, if it was started by [`spawn_role`].
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

impl Role {
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The sentence of an error.
pub fn said(error: &io::Error) -> String {
    error.to_string()
}
