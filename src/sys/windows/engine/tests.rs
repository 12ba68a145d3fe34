//! The engine against the system, with no runtime: a task is a thread that parks.

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::core::engine;
use super::{AsyncStream, Sending, Who};
use crate::kinds::Part;
use crate::sys::windows::os::Key;
use crate::sys::windows::os::calls::COUNT;
use crate::{ListenOptions, PipeListener, PipeStream};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker: Waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let began = Instant::now();
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        thread::park_timeout(Duration::from_secs(30));
        assert!(began.elapsed() < Duration::from_secs(30), "it hangs");
    }
}

fn name(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("npipe-engine-{what}-{}-{count}", std::process::id())
}

fn listen(what: &str, options: &ListenOptions) -> PipeListener {
    options.bind(name(what)).unwrap()
}

/// A client's end that is polled: its handle is bound to the engine's port.
fn polled(stream: PipeStream) -> AsyncStream {
    let (_, io) = stream.into_io().unwrap();
    AsyncStream::new(io).unwrap()
}

/// The client's end, polled, and the server's end, which blocks.
fn pair(what: &str, options: &ListenOptions) -> (AsyncStream, PipeStream) {
    let listener = listen(what, options);
    let client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
    let server = listener.accept().unwrap();
    server
        .set_deadline(Some(Instant::now() + Duration::from_secs(30)))
        .unwrap();
    (polled(client), server)
}

async fn read(stream: &AsyncStream, buffer: &mut [u8]) -> io::Result<Part> {
    stream
        .wait(|who, cx| stream.poll_read(who, cx, buffer))
        .await
}

async fn read_exact(stream: &AsyncStream, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        let part = read(stream, buffer).await?;
        buffer = &mut buffer[part.len..];
    }
    Ok(())
}

async fn write_all(stream: &AsyncStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let len = stream
            .wait(|who, cx| stream.poll_write(who, cx, bytes))
            .await?;
        bytes = &bytes[len..];
    }
    Ok(())
}

async fn flush(stream: &AsyncStream) -> io::Result<()> {
    stream.wait(|who, cx| stream.poll_flush(who, cx)).await
}

async fn send(stream: &AsyncStream, message: &[u8]) -> io::Result<()> {
    let mut sending = Sending::default();
    stream
        .wait(|who, cx| stream.poll_send(who, cx, message, &mut sending))
        .await
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

const MESSAGES: fn() -> ListenOptions = || ListenOptions::new().message_mode(true);

#[test]
fn words_go_back_and_forth() {
    let (client, mut server) = pair("words", &ListenOptions::new());
    let echo = thread::spawn(move || {
        let mut word = [0; 64];
        while server.read_exact(&mut word).is_ok() {
            server.write_all(&word).unwrap();
        }
    });
    block_on(async {
        for round in 0..500_u32 {
            let word = [round as u8; 64];
            let mut answer = [0; 64];
            write_all(&client, &word).await.unwrap();
            read_exact(&client, &mut answer).await.unwrap();
            assert_eq!(word, answer);
        }
    });
    drop(client);
    echo.join().unwrap();
}

#[test]
fn a_round_trip_takes_one_call_to_write_and_one_to_read() {
    // Reads grow with what comes, in two steps at the most: a word, an HTTP request, a large piece.
    for len in [64, 1200, 60_000] {
        let (client, mut server) = pair("calls", &ListenOptions::new());
        let mut word = vec![0; len];
        const ROUNDS: usize = 100;
        let mut calls = 0;
        block_on(async {
            for round in 0..ROUNDS {
                let before = COUNT.get();
                write_all(&client, &word).await.unwrap();
                let wrote = COUNT.get();
                // Here already, so that it has to be waited for never.
                server.read_exact(&mut word).unwrap();
                server.write_all(&word).unwrap();
                COUNT.set(wrote);
                read_exact(&client, &mut word).await.unwrap();
                if round > 2 {
                    calls += COUNT.get() - before;
                }
            }
        });
        assert_eq!(calls, 2 * (ROUNDS - 3), "{len} bytes");
    }
}

#[test]
fn large_things_come_whole_and_in_order() {
    let (client, server) = pair("large", &ListenOptions::new());
    let bytes = pattern(5_000_000);
    thread::scope(|scope| {
        scope.spawn(|| (&server).write_all(&bytes).unwrap());
        scope.spawn(|| {
            let mut got = vec![0; bytes.len()];
            (&server).read_exact(&mut got).unwrap();
            assert_eq!(got, bytes);
        });
        scope.spawn(|| {
            block_on(async {
                write_all(&client, &bytes).await.unwrap();
                flush(&client).await.unwrap();
            });
        });
        block_on(async {
            let mut got = vec![0; bytes.len()];
            read_exact(&client, &mut got).await.unwrap();
            assert_eq!(got, bytes);
        });
    });
}

#[test]
fn what_was_written_arrives_though_the_stream_is_dropped() {
    let (client, mut server) = pair("dropped", &ListenOptions::new());
    let bytes = pattern(200 * 1024);
    let copy = bytes.clone();
    let reader = thread::spawn(move || {
        let mut got: Vec<u8> = Vec::new();
        server.read_to_end(&mut got).unwrap();
        assert_eq!(got, copy);
    });
    block_on(write_all(&client, &bytes)).unwrap();
    drop(client);
    reader.join().unwrap();
}

#[test]
fn a_dropped_read_takes_nothing() {
    let (client, server) = pair("given-up", &ListenOptions::new());
    let bytes = pattern(20_000);
    thread::scope(|scope| {
        scope.spawn(|| {
            for piece in bytes.chunks(7) {
                (&server).write_all(piece).unwrap();
            }
        });
        let mut got: Vec<u8> = Vec::new();
        let mut polls = 0_usize;
        while got.len() < bytes.len() {
            polls += 1;
            let mut buffer = [0; 11];
            if polls % 3 == 0 {
                let part = block_on(read(&client, &mut buffer)).unwrap();
                got.extend(&buffer[..part.len]);
                continue;
            }
            // Polled once, and dropped.
            let polled = {
                let mut once = pin!(read(&client, &mut buffer));
                once.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            };
            if let Poll::Ready(part) = polled {
                let len = part.unwrap().len;
                got.extend(&buffer[..len]);
            }
        }
        assert_eq!(got, bytes);
    });
}

#[test]
fn messages_keep_their_boundaries_and_parts() {
    let (client, server) = pair("messages", &MESSAGES());
    block_on(async {
        for len in [1, 0, 511, 512, 513, 70_000, 3] {
            let message = pattern(len);
            thread::scope(|scope| {
                scope.spawn(|| server.send(&message).unwrap());
                let mut got: Vec<u8> = Vec::new();
                block_on(async {
                    loop {
                        let mut buffer = [0; 3000];
                        let part = read(&client, &mut buffer).await.unwrap();
                        got.extend(&buffer[..part.len]);
                        if part.complete {
                            break;
                        }
                    }
                });
                assert_eq!(got, message);
            });
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut got: Vec<u8> = Vec::new();
                    assert_eq!(server.recv(&mut got).unwrap(), Some(len));
                    assert_eq!(got, message);
                });
                block_on(send(&client, &message)).unwrap();
            });
        }
    });
}

#[test]
fn a_send_that_is_given_up_arrives_whole_or_not_at_all() {
    let (client, server) = pair("sends", &MESSAGES());
    let long = pattern(300_000);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..20_u8 {
                // Begun, and dropped: nobody reads as much as that at once.
                let mut message = long.clone();
                message[0] = number;
                let mut once = pin!(send(&client, &message));
                let mut cx = Context::from_waker(Waker::noop());
                let _ = once.as_mut().poll(&mut cx);
            }
            block_on(send(&client, b"last")).unwrap();
        });
        let mut last = None;
        loop {
            let mut got: Vec<u8> = Vec::new();
            server.recv(&mut got).unwrap();
            if got == b"last" {
                break;
            }
            assert_eq!(got.len(), long.len());
            assert_eq!(got[1..], long[1..]);
            assert!(last < Some(got[0]), "in order");
            last = Some(got[0]);
        }
        assert!(last.is_some(), "the first began at once");
    });
}

#[test]
fn the_end_is_told() {
    let (client, server) = pair("end", &ListenOptions::new());
    let reader = thread::scope(|scope| {
        let reader = scope.spawn(|| block_on(read(&client, &mut [0; 10])));
        thread::sleep(Duration::from_millis(20));
        drop(server);
        reader.join().unwrap()
    });
    let error = reader.unwrap_err();
    assert!(crate::sys::windows::os::is_end(&error), "{error}");
    let error = block_on(write_all(&client, b"x")).unwrap_err();
    assert!(crate::sys::windows::os::is_end(&error), "{error}");
}

#[test]
fn a_handle_that_is_bound_elsewhere_does_as_well() {
    // A blocking listener has a port of its own.
    for message in [false, true] {
        let listener = listen("elsewhere", &ListenOptions::new().message_mode(message));
        let client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
        client
            .set_deadline(Some(Instant::now() + Duration::from_secs(30)))
            .unwrap();
        let server = polled(listener.accept().unwrap());
        let bytes = pattern(300_000);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Threads that end take nothing with them.
                for piece in bytes.chunks(65_536) {
                    thread::scope(|scope| {
                        scope.spawn(|| block_on(write_all(&server, piece)).unwrap());
                    });
                }
            });
            let mut got = vec![0; bytes.len()];
            (&client).read_exact(&mut got).unwrap();
            assert_eq!(got, bytes);
        });
        thread::scope(|scope| {
            scope.spawn(|| (&client).write_all(&bytes).unwrap());
            let mut got = vec![0; bytes.len()];
            block_on(read_exact(&server, &mut got)).unwrap();
            assert_eq!(got, bytes);
        });
        // Whatever ended was reported, and only a limited number of times.
        thread::sleep(Duration::from_millis(50));
        let hints = server.hints();
        thread::sleep(Duration::from_millis(50));
        assert_eq!(server.hints(), hints);
        // A read that waits as its stream goes.
        let mut buffer = [0; 5];
        let mut once = pin!(read(&server, &mut buffer));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(once.as_mut().poll(&mut cx).is_pending());
    }
}

#[test]
fn two_who_write_first_do_not_wait_for_each_other() {
    // With no buffers each write waits for its reader.
    let options = ListenOptions::new()
        .input_buffer_size(0)
        .output_buffer_size(0);
    let (client, server) = pair("unbuffered", &options);
    thread::scope(|scope| {
        scope.spawn(|| {
            (&server).write_all(b"\xef\xbb\xbf").unwrap();
            (&server).write_all(b"hello\n").unwrap();
            let mut got = [0; 6];
            (&server).read_exact(&mut got).unwrap();
            assert_eq!(&got, b"howdy\n");
        });
        block_on(async {
            write_all(&client, b"howdy\n").await.unwrap();
            flush(&client).await.unwrap();
            let mut got = [0; 9];
            read_exact(&client, &mut got).await.unwrap();
            assert_eq!(&got, b"\xef\xbb\xbfhello\n");
        });
    });
}

#[test]
fn any_number_of_tasks_wait_for_one_stream() {
    let (client, server) = pair("many", &ListenOptions::new());
    thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| block_on(read_exact(&client, &mut [0; 1]))))
            .collect();
        for _ in 0..8 {
            thread::sleep(Duration::from_millis(2));
            (&server).write_all(b"x").unwrap();
        }
        for reader in readers {
            reader.join().unwrap().unwrap();
        }
    });
}

#[test]
fn packets_that_are_nobodys_change_nothing() {
    let (client, server) = pair("foreign", &ListenOptions::new());
    let mut buffer = [0; 5];
    let mut waits = pin!(read(&client, &mut buffer));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    let port = engine().unwrap().port();
    for key in [client.key(), Key::new(), Key::NONE] {
        for address in [8_usize, usize::MAX, port as *const _ as usize] {
            port.post(key, std::ptr::without_provenance_mut(address))
                .unwrap();
        }
    }
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    (&server).write_all(b"hello").unwrap();
    assert_eq!(block_on(waits).unwrap().len, 5);
}

#[test]
fn draining_waits_for_the_peer_to_read() {
    let (client, server) = pair("drained", &ListenOptions::new());
    block_on(write_all(&client, b"hello")).unwrap();
    let drained = |cx: &mut Context<'_>, who| client.poll_drained(who, cx);
    let who = Who::new();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(drained(&mut cx, who).is_pending());
    thread::scope(|scope| {
        let drained = scope.spawn(|| block_on(poll_fn(|cx| drained(cx, who))));
        thread::sleep(Duration::from_millis(20));
        assert!(!drained.is_finished());
        (&server).read_exact(&mut [0; 5]).unwrap();
        drained.join().unwrap().unwrap();
    });
    // Given up, it leaves nothing behind.
    block_on(write_all(&client, b"more")).unwrap();
    assert!(client.poll_drained(who, &mut cx).is_pending());
    client.forget(who);
}

#[test]
fn a_thousand_streams_with_reads_and_writes_that_wait_go_at_once() {
    let listener = listen("thousand", &ListenOptions::new().backlog(64));
    let mut cx = Context::from_waker(Waker::noop());
    let mut streams = Vec::new();
    let mut peers = Vec::new();
    for number in 0..1000 {
        let client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
        peers.push(listener.accept().unwrap());
        let client = polled(client);
        assert!(
            client
                .poll_read(Who::POLLER, &mut cx, &mut [0; 9])
                .is_pending()
        );
        if number % 4 == 0 {
            // More than the pipe takes: the second one waits.
            let bytes = vec![0; 65536];
            while let Poll::Ready(written) = client.poll_write(Who::POLLER, &mut cx, &bytes) {
                written.unwrap();
            }
        }
        streams.push(client);
    }
    let keys: Vec<_> = streams.iter().map(AsyncStream::key).collect();
    let began = Instant::now();
    drop(streams);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    // The peers of those that have nothing left to write see the end.
    for peer in &peers {
        let mut byte = [0; 4096];
        while (&mut &*peer).read(&mut byte).unwrap() > 0 {}
    }
    drop(peers);
    let until = Instant::now() + Duration::from_secs(5);
    let engine = engine().unwrap();
    let held = || keys.iter().filter(|&&key| engine.holds(key)).count();
    while held() > 0 && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(held(), 0);
}
