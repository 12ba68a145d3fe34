//! Ten thousand idle connections: what they cost, and that all of them answer. Alone in its process, whose memory it counts.

#![cfg(feature = "tokio")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::tasks::runtimes;
use common::{name, watchdog};
use npipe::ConnectOptions;
use npipe::tokio::PipeListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How many there are. An end is a descriptor, so that the other ends are another process's.
const CLIENTS: usize = if cfg!(windows) { 1_000 } else { 10_000 };

/// What an end may take of this process's memory, in bytes, beyond what tokio takes to watch it.
const MOST: usize = 1024;

/// What has been allocated and not given back, in bytes.
static USED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        USED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// As many descriptors as this user may have.
fn raise_the_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        let all = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, all).unwrap();
        let enough = maximum.is_none_or(|maximum| maximum > CLIENTS as u64 + 100);
        assert!(enough, "this user may not have so many descriptors");
    }
}

/// What tokio takes to watch one socket of its own, in bytes.
#[cfg(unix)]
fn watching() -> usize {
    const PAIRS: usize = 500;
    let before = USED.load(Ordering::Relaxed);
    let pairs: Vec<_> = (0..PAIRS)
        .map(|_| tokio::net::UnixStream::pair().unwrap())
        .collect();
    let each = (USED.load(Ordering::Relaxed) - before) / (2 * PAIRS);
    drop(pairs);
    each
}

/// The other ends: they answer what they are asked, until they are left.
async fn clients(path: String) {
    let mut tasks = Vec::new();
    let options = ConnectOptions::new().no_timeout();
    for _ in 0..CLIENTS {
        let mut stream = options.connect_tokio(&path).await.unwrap();
        tasks.push(tokio::spawn(async move {
            while let Ok(asked) = stream.read_u32().await {
                stream.write_u32(!asked).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_answer() {
    let _watchdog = watchdog(300);
    raise_the_limit();
    let [runtime, _] = runtimes();
    if let Some(path) = common::role() {
        runtime.block_on(clients(path));
        return;
    }
    runtime.block_on(async {
        let listener = PipeListener::bind(name("many")).unwrap();
        let path = listener.local_addr().os_path().to_str().unwrap().to_owned();
        let mut child = common::spawn_role(&path);
        #[cfg(unix)]
        let watching = watching();
        #[cfg(not(unix))]
        let watching = 0;
        let mut streams = Vec::with_capacity(CLIENTS);
        streams.push(listener.accept().await.unwrap());
        let before = USED.load(Ordering::Relaxed);
        while streams.len() < CLIENTS {
            streams.push(listener.accept().await.unwrap());
        }
        let each = (USED.load(Ordering::Relaxed) - before) / (CLIENTS - 1);
        println!("{each} bytes an end, of which {watching} are tokio's");
        assert!(each <= watching + MOST, "{each} bytes an end");
        for (at, stream) in streams.iter_mut().enumerate() {
            stream.write_u32(at as u32).await.unwrap();
        }
        for (at, stream) in streams.iter_mut().enumerate() {
            assert_eq!(stream.read_u32().await.unwrap(), !(at as u32));
        }
        // What a talk needs is given back after it.
        let each = USED.load(Ordering::Relaxed).saturating_sub(before) / (CLIENTS - 1);
        assert!(each <= watching + MOST, "{each} bytes an end");
        drop(streams);
        assert!(child.0.wait().unwrap().success());
    });
}
