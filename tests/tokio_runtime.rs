//! The async half and its runtimes: nothing blocks them, nothing outlives them, and they go at once.

#![cfg(feature = "tokio")]

mod common;

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::tasks::{cut, drivers, message_pair, pair, pair_of, runtimes};
use common::{name, pattern, watchdog};
use npipe::tokio::{PipeListener, PipeStream};
use npipe::{ConnectOptions, ListenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
#[cfg(target_os = "linux")]
use tokio_stream::StreamExt;

/// A runtime of one thread, whose pool for blocking work is one thread that is busy.
fn narrow() -> (Runtime, impl Drop) {
    struct Done(std::sync::mpsc::Sender<()>);
    impl Drop for Done {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let runtime = drivers(&mut Builder::new_current_thread())
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (done, busy) = std::sync::mpsc::channel();
    runtime.spawn_blocking(move || busy.recv());
    (runtime, Done(done))
}

/// How long a heart may stand still.
const STILL: Duration = Duration::from_millis(250);

/// Runs `work` beside a heart that has to beat, in a runtime that has one thread for everything.
fn with_a_heartbeat(work: impl Future<Output = ()>) {
    with_a_heartbeat_within(STILL, work);
}

fn with_a_heartbeat_within(still: Duration, work: impl Future<Output = ()>) {
    let (runtime, _busy) = narrow();
    let longest = Arc::new(AtomicU64::new(0));
    let told = longest.clone();
    runtime.spawn(async move {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let gap = last.elapsed().as_millis() as u64;
            told.fetch_max(gap, Ordering::Relaxed);
            last = Instant::now();
        }
    });
    // What a thread of its own misses is the machine's.
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let noise = thread::spawn(move || {
        let beat = Duration::from_millis(5);
        let mut longest = 0;
        let mut last = Instant::now();
        while is_done.recv_timeout(beat) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            longest = longest.max(last.elapsed().as_millis() as u64);
            last = Instant::now();
        }
        longest
    });
    runtime.block_on(work);
    drop(done);
    let (longest, noise) = (longest.load(Ordering::Relaxed), noise.join().unwrap());
    assert!(
        longest < still.as_millis() as u64 + noise,
        "the heart stood still for {longest} ms, and a thread for {noise} ms"
    );
}

/// Long enough that a thread which is blocked shows.
const WHILE: Duration = Duration::from_millis(400);

#[test]
fn a_connect_that_waits_blocks_nobody() {
    let _watchdog = watchdog(60);
    with_a_heartbeat(async {
        let options = ConnectOptions::new().timeout(WHILE).wait_for_server(true);
        let error = options.connect_tokio(name("nobody")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_connect_to_a_server_that_has_no_room_blocks_nobody() {
    let _watchdog = watchdog(60);
    with_a_heartbeat(async {
        let name = name("full");
        let options = ListenOptions::new().backlog(1);
        let listener = options.bind_tokio(&name).unwrap();
        let mut clients = Vec::new();
        let error = loop {
            let connect = ConnectOptions::new().timeout(WHILE).connect_tokio(&name);
            match connect.await {
                Ok(stream) => clients.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Room comes while one waits for it.
        let connect = ConnectOptions::new().no_timeout().connect_tokio(&name);
        let (connected, accepted) = tokio::join!(connect, listener.accept());
        connected.unwrap();
        accepted.unwrap();
    });
}

#[test]
fn a_server_that_comes_is_found() {
    let _watchdog = watchdog(60);
    with_a_heartbeat(async {
        let name = name("late");
        let options = ConnectOptions::new().no_timeout().wait_for_server(true);
        let (connected, accepted) = tokio::join!(options.connect_tokio(&name), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            PipeListener::bind(&name).unwrap().accept().await
        });
        connected.unwrap();
        accepted.unwrap();
    });
}

#[test]
fn a_write_that_is_stuck_and_a_drain_that_waits_block_nobody() {
    let _watchdog = watchdog(60);
    with_a_heartbeat(async {
        let (_listener, mut server, _client) = pair().await;
        let bytes = vec![1; 8 << 20];
        let stuck = tokio::time::timeout(WHILE, server.write_all(&bytes)).await;
        assert!(stuck.is_err());
        if cfg!(any(windows, target_os = "linux")) {
            let drain = tokio::time::timeout(WHILE, server.wait_drained()).await;
            assert!(drain.is_err());
        }
    });
}

#[test]
fn a_burst_of_clients_blocks_nobody() {
    let _watchdog = watchdog(120);
    const CLIENTS: usize = 500;
    // Under Wine each call goes to a server and back, and tokio lets 61 tasks run before it looks at its timers.
    let still = if cfg!(windows) { 8 * STILL } else { STILL };
    with_a_heartbeat_within(still, async {
        let listener = PipeListener::bind(name("burst")).unwrap();
        let path = listener.local_addr().os_path().to_owned();
        let server = tokio::spawn(async move {
            for _ in 0..CLIENTS {
                let mut stream = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let byte = stream.read_u8().await.unwrap();
                    stream.write_u8(byte).await.unwrap();
                });
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|at| {
                let path = path.clone();
                tokio::spawn(async move {
                    let options = ConnectOptions::new().no_timeout();
                    let mut stream = options.connect_tokio(&path).await.unwrap();
                    stream.write_u8(at as u8).await.unwrap();
                    assert_eq!(stream.read_u8().await.unwrap(), at as u8);
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.await.unwrap();
    });
}

#[test]
fn what_was_written_arrives_though_stream_and_runtime_go_at_once() {
    let _watchdog = watchdog(60);
    let bytes = pattern(3, 200 << 10);
    for runtime in runtimes() {
        let listener = npipe::PipeListener::bind(name("gone")).unwrap();
        let path = listener.local_addr().os_path().to_owned();
        let expected = bytes.clone();
        let peer = thread::spawn(move || {
            let mut all = Vec::new();
            listener.accept().unwrap().read_to_end(&mut all).unwrap();
            assert!(all == expected);
        });
        runtime.block_on(async {
            let mut stream = PipeStream::connect(path).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
        drop(runtime);
        peer.join().unwrap();
    }
}

#[test]
fn a_process_that_ends_after_a_flush_has_said_everything() {
    let _watchdog = watchdog(60);
    let bytes = pattern(4, 200 << 10);
    if let Some(path) = common::role() {
        let [runtime, _] = runtimes();
        runtime.block_on(async {
            let mut stream = PipeStream::connect(path).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.flush().await.unwrap();
            stream.shutdown().await.unwrap();
            std::process::exit(0);
        });
    }
    let listener = npipe::PipeListener::bind(name("exit")).unwrap();
    let path = listener.local_addr().os_path().to_str().unwrap().to_owned();
    let mut child = common::spawn_role(&path);
    let mut stream = listener.accept().unwrap();
    // It ends before anything has been read, if it can.
    thread::sleep(Duration::from_millis(50));
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all == bytes);
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn two_runtimes_in_one_process_talk() {
    let _watchdog = watchdog(60);
    let [one, other] = runtimes();
    let listener = one.block_on(async { PipeListener::bind(name("two")).unwrap() });
    let path = listener.local_addr().os_path().to_owned();
    let server = thread::spawn(move || {
        one.block_on(async {
            let mut stream = listener.accept().await.unwrap();
            let mut line = [0; 5];
            stream.read_exact(&mut line).await.unwrap();
            stream.write_all(&line).await.unwrap();
        });
    });
    other.block_on(async {
        let mut stream = PipeStream::connect(path).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"hello");
    });
    server.join().unwrap();
}

#[cfg(unix)] // on Windows a stream knows no runtime, and goes on in any
#[test]
fn a_stream_outside_its_runtime_is_an_error_and_no_panic() {
    let _watchdog = watchdog(60);
    let [one, other] = runtimes();
    let (listener, server, client) = one.block_on(pair());
    drop(one);
    other.block_on(async {
        let mut server = server;
        server.read_u8().await.unwrap_err();
        assert!(listener.accept().await.is_err());
        drop(client);
    });
}

#[test]
fn the_name_is_free_once_all_is_dropped() {
    let _watchdog = watchdog(60);
    for runtime in runtimes() {
        runtime.block_on(async {
            let (listener, mut server, client) = pair().await;
            let name = listener.local_addr().os_path().to_owned();
            let mut byte = [0];
            assert!(cut(server.read(&mut byte), 2).await.is_none());
            assert!(cut(listener.accept(), 2).await.is_none());
            drop((listener, server, client));
            PipeListener::bind(&name).unwrap();
        });
    }
}

#[test]
fn from_blocking_and_back() {
    let _watchdog = watchdog(60);
    for runtime in runtimes() {
        runtime.block_on(async {
            let listener = npipe::PipeListener::bind(name("carry")).unwrap();
            let path = listener.local_addr().os_path().to_owned();
            let client = npipe::PipeStream::connect(&path).unwrap();
            let first = listener.accept().unwrap();
            (&client).write_all(b"one").unwrap();

            // The listener, with a stream of its own alive.
            let listener = PipeListener::from_blocking(listener).unwrap();
            let (second, third) = tokio::join!(listener.accept(), PipeStream::connect(&path));
            drop((second.unwrap(), third.unwrap()));

            let mut first = PipeStream::from_blocking(first).unwrap();
            let mut three = [0; 3];
            first.read_exact(&mut three).await.unwrap();
            assert_eq!(&three, b"one");
            first.write_all(b"two").await.unwrap();
            first.flush().await.unwrap();
            let first = first.into_blocking().unwrap();
            (&client).read_exact(&mut three).unwrap();
            assert_eq!(&three, b"two");

            let listener = listener.into_blocking().unwrap();
            let again = npipe::PipeStream::connect(&path).unwrap();
            listener.accept().unwrap();
            drop((again, first));

            // Nobody may block in what tasks wait for.
            let clone = client.try_clone().unwrap();
            let error = PipeStream::from_blocking(client).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            drop(clone);
            let clone = listener.try_clone().unwrap();
            let error = PipeListener::from_blocking(listener).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            drop(clone);
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn out_of_descriptors_incoming_does_not_spin() {
    let _watchdog = watchdog(60);
    if common::role().is_none() {
        // The limit is a process's.
        let mut child = common::spawn_role("short");
        assert!(child.0.wait().unwrap().success());
        return;
    }
    let [runtime, _] = runtimes();
    runtime.block_on(async {
        let listener = PipeListener::bind(name("short")).unwrap();
        let mut incoming = listener.incoming();
        let path = listener.local_addr().os_path().to_owned();
        let _client = PipeStream::connect(path).await.unwrap();
        let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current = Some(64);
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        let mut fill = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            fill.push(file);
        }
        incoming.next().await.unwrap().unwrap_err();
        let start = Instant::now();
        incoming.next().await.unwrap().unwrap_err();
        let again = start.elapsed();
        assert!(again >= Duration::from_millis(40), "{again:?}");
        drop(fill);
        incoming.next().await.unwrap().unwrap();
    });
}

#[test]
fn max_instances_makes_accept_wait_for_a_slot() {
    let _watchdog = watchdog(60);
    for runtime in runtimes() {
        runtime.block_on(async {
            let options = ListenOptions::new().max_instances(1);
            let (listener, server, client) = pair_of(&options).await;
            let path = listener.local_addr().os_path().to_owned();
            let second = tokio::spawn(async move { PipeStream::connect(path).await });
            // In a task of its own, which nothing but the slot wakes.
            let accept = tokio::spawn(async move { listener.accept().await });
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(!accept.is_finished());
            drop((server, client));
            accept.await.unwrap().unwrap();
            second.await.unwrap().unwrap();
        });
    }
}

#[test]
fn waiting_for_readiness_takes_nothing() {
    let _watchdog = watchdog(60);
    for runtime in runtimes() {
        runtime.block_on(async {
            let (_listener, server, client) = message_pair().await;
            assert!(cut(server.readable(), 5).await.is_none());
            let mut buffer = [0; 16];
            let error = server.try_read(&mut buffer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            client.send(b"data").await.unwrap();
            // Any number of tasks may wait.
            let (one, other) = tokio::join!(server.readable(), server.readable());
            one.unwrap();
            other.unwrap();
            assert_eq!(server.try_read(&mut buffer).unwrap(), 4);
            assert!(cut(server.readable(), 5).await.is_none());
            drop(client);
            server.readable().await.unwrap();
            assert_eq!(server.try_read(&mut buffer).unwrap(), 0);
        });
    }
}

#[test]
fn a_stream_that_is_full_is_writable_again_once_the_peer_reads() {
    let _watchdog = watchdog(60);
    for runtime in runtimes() {
        runtime.block_on(async {
            let (_listener, server, mut client) = pair().await;
            let block = [7; 4096];
            let mut written = 0;
            let error = loop {
                match server.try_write(&block) {
                    Ok(length) => written += length,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert!(cut(server.writable(), 5).await.is_none());
            let mut all = vec![0; written];
            let (writable, read) = tokio::join!(server.writable(), client.read_exact(&mut all));
            writable.unwrap();
            read.unwrap();
            assert!(server.try_write(&block).unwrap() > 0);
        });
    }
}

#[test]
fn a_half_that_is_dropped_is_a_half_close() {
    let _watchdog = watchdog(60);
    for runtime in runtimes() {
        runtime.block_on(async {
            let (_listener, server, mut client) = message_pair().await;
            let (mut read, write) = server.into_split();
            let done = Arc::new(AtomicBool::new(false));
            write.send(b"last").await.unwrap();
            drop(write);
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, b"last");
            client.write_all(b"answer").await.unwrap();
            let mut answer = [0; 6];
            read.read_exact(&mut answer).await.unwrap();
            done.store(true, Ordering::SeqCst);

            let (_listener, server, client) = message_pair().await;
            let (read, write) = server.into_split();
            let (other_read, other_write) = client.into_split();
            let error = read.reunite(other_write).unwrap_err();
            assert!(error.to_string().contains("not of one stream"));
            let npipe::tokio::ReuniteError(read, other_write) = error;
            let server = read.reunite(write).unwrap();
            let client = other_write.reunite(other_read).unwrap();
            server.send(b"still").await.unwrap();
            let mut message = Vec::new();
            client.recv(&mut message).await.unwrap();
            assert_eq!(message, b"still");
        });
    }
}
