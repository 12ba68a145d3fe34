//! No operation on an open stream allocates. Alone in its process, so that all that is counted is its own.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
#[cfg(unix)]
use std::io::{IoSlice, IoSliceMut};
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

/// How many allocations this thread makes for `rounds` of `once`.
fn allocations(rounds: usize, mut once: impl FnMut()) -> usize {
    let before = COUNT.get();
    for _ in 0..rounds {
        once();
    }
    COUNT.get() - before
}

/// Both sides count their own while the server echoes what the client asks.
fn nothing_is_allocated(mut ask: impl FnMut(), mut echo: impl FnMut() + Send) {
    thread::scope(|scope| {
        let echoing = scope.spawn(move || {
            allocations(WARM_UP, &mut echo);
            allocations(ROUNDS, &mut echo)
        });
        allocations(WARM_UP, &mut ask);
        assert_eq!(allocations(ROUNDS, &mut ask), 0, "the client's");
        assert_eq!(echoing.join().unwrap(), 0, "the server's");
    });
}

fn ask(mut stream: impl Read + Write) {
    let mut word = [1; 64];
    stream.write_all(&word).unwrap();
    stream.read_exact(&mut word).unwrap();
}

fn echo(mut stream: impl Read + Write) {
    let mut word = [0; 64];
    stream.read_exact(&mut word).unwrap();
    stream.write_all(&word).unwrap();
}

#[test]
fn a_round_trip_allocates_nothing_on_either_side() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("allocations");
    nothing_is_allocated(|| ask(&mut client), || echo(&mut server));
    // Shared, and with a deadline set, as real programs have.
    let until = |stream: &PipeStream| {
        let later = Instant::now() + Duration::from_secs(30);
        stream.set_deadline(Some(later)).unwrap();
    };
    nothing_is_allocated(
        || {
            until(&client);
            ask(&client);
        },
        || {
            until(&server);
            echo(&server);
        },
    );
}

/// Unix: the system gathers them and scatters them itself. (Windows has no such call for pipes.)
#[cfg(unix)]
#[test]
fn several_buffers_of_bytes_are_not_copied_together() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("slices");
    let (head, body) = ([1; 16], [2; 4000]);
    let slices = [&head[..], &[], &body].map(IoSlice::new);
    // More than one call takes.
    let many = vec![IoSlice::new(&head); 3000];
    nothing_is_allocated(
        || {
            assert_eq!(client.write_vectored(&slices).unwrap(), 4016);
            client.read_exact(&mut [0]).unwrap();
            let written = client.write_vectored(&many).unwrap();
            client.write_all(&[0; 48_000][written..]).unwrap();
            client.read_exact(&mut [0]).unwrap();
        },
        || {
            let (mut head, mut body) = ([0; 10], [0; 4006]);
            let mut slices = [&mut head[..], &mut [], &mut body].map(IoSliceMut::new);
            let mut length = server.read_vectored(&mut slices).unwrap();
            while length < 4016 {
                length += server.read(&mut [0; 4016][length..]).unwrap();
            }
            assert_eq!((head, body[0]), ([1; 10], 1));
            server.write_all(&[0]).unwrap();
            server.read_exact(&mut [0; 48_000]).unwrap();
            server.write_all(&[0]).unwrap();
        },
    );
}

#[cfg(any(windows, target_os = "linux"))]
#[test]
fn a_message_allocates_nothing_where_its_room_is_kept() {
    let _watchdog = watchdog(60);
    let options = npipe::ListenOptions::new().message_mode(true);
    let listener = options.bind(common::name("allocations")).unwrap();
    let (server, client) = common::pair_on(&listener);
    let message = [1; 1000];
    let mut room = Vec::new();
    nothing_is_allocated(
        || {
            client.send(&message).unwrap();
            assert!(client.recv_part(&mut [0; 2000]).unwrap().complete);
        },
        || {
            room.clear();
            server.recv(&mut room).unwrap();
            server.send(&room).unwrap();
        },
    );
}
