//! No operation on an open stream allocates. Alone in its process, so that all that is counted is its own.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{pair, watchdog};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_round_trip_allocates_nothing() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("allocations");
    let (ready, is_ready) = mpsc::channel();
    let echo = thread::spawn(move || {
        let mut word = [0; 64];
        ready.send(()).unwrap();
        while server.read_exact(&mut word).is_ok() {
            server.write_all(&word).unwrap();
        }
    });
    is_ready.recv().unwrap();
    let mut round = |rounds| {
        let mut word = [1; 64];
        let before = COUNT.load(Ordering::SeqCst);
        for _ in 0..rounds {
            // Deadlines are part of the bargain.
            let later = Instant::now() + Duration::from_secs(30);
            client.set_deadline(Some(later)).unwrap();
            client.write_all(&word).unwrap();
            client.read_exact(&mut word).unwrap();
        }
        COUNT.load(Ordering::SeqCst) - before
    };
    round(100);
    assert_eq!(round(2000), 0, "allocations in 2000 round trips");
    drop(client);
    echo.join().unwrap();
}
