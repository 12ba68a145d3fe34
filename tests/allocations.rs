//! No operation on an open stream allocates. Alone in its process, so that all that is counted is its own.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{pair, watchdog};
use npipe::PipeStream;

struct Counting;

// It is const; where thread locals are keys of the system's, clippy 1.96 does not see it.
#[allow(clippy::missing_const_for_thread_local)]
mod counter {
    use std::cell::Cell;

    thread_local! {
        /// Of this thread's alone: the test runner's own threads allocate when they like.
        pub static COUNT: Cell<usize> = const { Cell::new(0) };
    }
}
use counter::COUNT;

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
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

const WARM_UP: usize = 100;
const ROUNDS: usize = 2000;

/// How many allocations this thread makes for `rounds` of writing (if it is the first) and reading a word.
fn rounds(mut stream: &PipeStream, first: bool, rounds: usize) -> usize {
    let mut word = [1; 64];
    let before = COUNT.get();
    for _ in 0..rounds {
        // With a deadline set, as real programs have.
        let later = Instant::now() + Duration::from_secs(30);
        stream.set_deadline(Some(later)).unwrap();
        if first {
            stream.write_all(&word).unwrap();
        }
        stream.read_exact(&mut word).unwrap();
        if !first {
            stream.write_all(&word).unwrap();
        }
    }
    COUNT.get() - before
}

#[test]
fn a_round_trip_allocates_nothing_on_either_side() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair("allocations");
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            rounds(&server, false, WARM_UP);
            rounds(&server, false, ROUNDS)
        });
        rounds(&client, true, WARM_UP);
        assert_eq!(rounds(&client, true, ROUNDS), 0, "the client's");
        assert_eq!(echo.join().unwrap(), 0, "the server's");
    });
}
