//! What an idle stream keeps: descriptors, memory and threads of streams that have waited, and now do nothing. Alone in
//! its process, so that all that is counted is its own.

#![cfg(target_os = "linux")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use common::{name, pair_on, watchdog};
use npipe::{ListenOptions, PipeListener, PipeStream};

struct Counting;

/// The bytes that are allocated now.
static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Descriptors, threads and allocated bytes of this process.
fn held() -> [isize; 3] {
    let count = |what: &str| std::fs::read_dir(what).unwrap().count() as isize;
    // A thread that is done, and was waited for, may be listed for a moment still. This one, the runner's and the watchdog stay.
    let patience = Instant::now() + Duration::from_secs(20);
    while count("/proc/self/task") > 3 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The counting itself allocates, and gives all of it back.
    let (descriptors, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
    [descriptors, threads, BYTES.load(Ordering::Relaxed)]
}

const PAIRS: usize = 64;

/// What each end of so many pairs keeps, once `wait` has made both wait.
fn kept(listener: &PipeListener, wait: impl Fn(&mut PipeStream, &mut PipeStream)) -> [f64; 3] {
    // What is made once and kept, by the system or the library, is made now.
    let (mut server, mut client) = pair_on(listener);
    wait(&mut server, &mut client);
    let mut pairs = Vec::with_capacity(PAIRS);
    let before = held();
    for _ in 0..PAIRS {
        let (mut server, mut client) = pair_on(listener);
        wait(&mut server, &mut client);
        pairs.push((server, client));
    }
    let after = held();
    [0, 1, 2].map(|which| (after[which] - before[which]) as f64 / (2 * PAIRS) as f64)
}

fn timed_out<T>(result: std::io::Result<T>) {
    assert_eq!(result.err().map(|e| e.kind()), Some(ErrorKind::TimedOut));
}

const SHORT: Option<Duration> = Some(Duration::from_millis(1));

/// Reads in vain, and writes until nothing more goes. Then all is read, so that the stream is idle.
fn wait_for_bytes(mut stream: impl Read + Write, timeouts: &PipeStream, mut other: &PipeStream) {
    timeouts.set_read_timeout(SHORT).unwrap();
    timeouts.set_write_timeout(SHORT).unwrap();
    timed_out(stream.read(&mut [0; 16]));
    let chunk = [1; 4096];
    let mut written = 0;
    let full = loop {
        match stream.write(&chunk) {
            Ok(length) => written += length,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::TimedOut);
    timeouts.set_read_timeout(None).unwrap();
    timeouts.set_write_timeout(None).unwrap();
    while written > 0 {
        written -= other.read(&mut [0; 4096]).unwrap();
    }
}

/// One test, since two at once would count each other's.
#[test]
fn an_idle_stream_is_a_descriptor_and_half_a_kilobyte() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("idle")).unwrap();
    let alone = kept(&listener, |server, client| {
        let mut word = [1; 64];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..3 {
                    server.read_exact(&mut [0; 64]).unwrap();
                    server.write_all(&[1; 64]).unwrap();
                }
            });
            for _ in 0..3 {
                client.write_all(&word).unwrap();
                client.read_exact(&mut word).unwrap();
            }
        });
    });
    assert_eq!(alone[..2], [1.0, 0.0], "descriptors and threads");
    assert!(alone[2] <= 512.0, "{} bytes", alone[2]);

    let with_timeouts = kept(&listener, |server, client| {
        wait_for_bytes(&*server, server, client);
        wait_for_bytes(&*client, client, server);
    });
    assert_eq!(with_timeouts[1], 0.0, "threads");
    assert!(with_timeouts[2] <= 512.0, "{} bytes", with_timeouts[2]);

    let messages = ListenOptions::new()
        .message_mode(true)
        .bind(name("idle"))
        .unwrap();
    let messages = kept(&messages, |server, client| {
        for (one, other) in [(&*server, &*client), (&*client, &*server)] {
            one.set_read_timeout(SHORT).unwrap();
            timed_out(one.recv_part(&mut [0; 16]));
            one.set_read_timeout(None).unwrap();
            // In pieces, and one that is large.
            other.send(&[1; 100]).unwrap();
            while !one.recv_part(&mut [0; 16]).unwrap().complete {}
            other.send(&[1; 100_000]).unwrap();
            assert_eq!(one.recv(&mut Vec::new()).unwrap(), Some(100_000));
        }
    });
    assert_eq!(messages[1], 0.0, "threads");
    assert!(messages[2] <= 1024.0, "{} bytes", messages[2]);
}
