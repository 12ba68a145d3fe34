//! Round trips, throughput and connects, beside the bare system calls where `std` has them: `cargo bench`.

use std::io::{Read, Write};
use std::thread;

use divan::Bencher;
use divan::counter::BytesCount;
use npipe::{PipeListener, PipeStream};

fn main() {
    divan::main();
}

/// A listener at a name of this process's own.
fn listener(what: &str) -> PipeListener {
    PipeListener::bind(format!("npipe-bench-{what}-{}", std::process::id()))
        .expect("a name of this process's own")
}

fn pair(what: &str) -> (PipeStream, PipeStream) {
    let listener = listener(what);
    let client = PipeStream::connect(listener.local_addr().os_path()).expect("it listens");
    (listener.accept().expect("a client is there"), client)
}

/// Answers words of 64 bytes until its end.
fn echo(mut stream: impl Read + Write) {
    let mut word = [0; 64];
    while stream.read_exact(&mut word).is_ok() && stream.write_all(&word).is_ok() {}
}

fn ask(mut stream: impl Read + Write) {
    let mut word = [1; 64];
    stream.write_all(&word).expect("the echo is there");
    stream.read_exact(&mut word).expect("the echo is there");
}

#[divan::bench]
fn round_trip_64(bencher: Bencher) {
    let (server, client) = pair("trip");
    thread::scope(|scope| {
        scope.spawn(move || echo(&server));
        bencher.bench_local(|| ask(&client));
        drop(client);
    });
}

#[cfg(unix)]
#[divan::bench]
fn round_trip_64_of_std(bencher: Bencher) {
    let (server, client) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
    thread::scope(|scope| {
        scope.spawn(move || echo(&server));
        bencher.bench_local(|| ask(&client));
        drop(client);
    });
}

const CHUNK: usize = 64 << 10;

/// Takes all that comes, until the end.
fn sink(mut stream: impl Read) {
    let mut chunk = vec![0; CHUNK];
    while stream.read(&mut chunk).is_ok_and(|length| length > 0) {}
}

#[divan::bench]
fn write_64_kib(bencher: Bencher) {
    let (server, mut client) = pair("write");
    let chunk = vec![1; CHUNK];
    thread::scope(|scope| {
        scope.spawn(move || sink(&server));
        bencher
            .counter(BytesCount::new(CHUNK))
            .bench_local(|| client.write_all(&chunk).expect("the sink is there"));
        drop(client);
    });
}

#[cfg(unix)]
#[divan::bench]
fn write_64_kib_of_std(bencher: Bencher) {
    let (server, mut client) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
    let chunk = vec![1; CHUNK];
    thread::scope(|scope| {
        scope.spawn(move || sink(&server));
        bencher
            .counter(BytesCount::new(CHUNK))
            .bench_local(|| client.write_all(&chunk).expect("the sink is there"));
        drop(client);
    });
}

#[divan::bench]
fn connect_and_accept(bencher: Bencher) {
    let listener = listener("connect");
    bencher.bench_local(|| {
        let client = PipeStream::connect(listener.local_addr().os_path()).expect("it listens");
        (client, listener.accept().expect("a client is there"))
    });
}
