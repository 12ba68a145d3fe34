//! Futures that are dropped at every point: nothing is lost, doubled or out of order by it.

#![cfg(feature = "tokio")]

mod common;

use std::io::ErrorKind;
use std::sync::{Arc, LazyLock};

use common::tasks::{Dice, cut, pair_of, runtimes};
use common::{name, pattern, watchdog};
use npipe::ListenOptions;
use npipe::tokio::{PipeListener, PipeStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How many calls each side makes. On Windows's emulation a call takes much longer.
const CALLS: usize = if cfg!(windows) { 25_000 } else { 100_000 };

/// What stands at each place of a stream: of a length that no buffer has.
const PERIOD: usize = 65_521;

/// `length` bytes of what repeats itself, from a place on.
fn bytes_at(at: usize, length: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(7, PERIOD).repeat(2));
    &BYTES[at % PERIOD..][..length]
}

#[test]
fn reads_and_writes_that_are_dropped_move_nothing() {
    let _watchdog = watchdog(300);
    for runtime in runtimes() {
        runtime.block_on(async {
            let options = ListenOptions::new()
                .input_buffer_size(4096)
                .output_buffer_size(4096);
            let (_listener, server, client) = pair_of(&options).await;
            let (mut read, _keep) = client.into_split();
            let (keep_too, mut write) = server.into_split();
            let writer = tokio::spawn(async move {
                // Where there is no half close, the end is the end of both.
                let _keep_too = keep_too;
                let mut dice = Dice::new(1);
                let mut at = 0;
                for _ in 0..CALLS {
                    let length = 1 + dice.roll(3000);
                    let bytes = bytes_at(at, length);
                    let polls = dice.roll(3) as u32;
                    match dice.roll(8) {
                        0 => drop(cut(write.flush(), polls).await),
                        _ => {
                            if let Some(written) = cut(write.write(bytes), polls).await {
                                at += written.unwrap();
                            }
                        }
                    }
                }
                write.shutdown().await.unwrap();
                at
            });
            let reader = tokio::spawn(async move {
                let mut dice = Dice::new(2);
                let mut buffer = vec![0; 4000];
                let mut at = 0;
                loop {
                    let room = 1 + dice.roll(4000);
                    let polls = dice.roll(3) as u32;
                    let Some(read) = cut(read.read(&mut buffer[..room]), polls).await else {
                        continue;
                    };
                    let length = read.unwrap();
                    if length == 0 {
                        return at;
                    }
                    assert!(&buffer[..length] == bytes_at(at, length), "at {at}");
                    at += length;
                }
            });
            let (written, read) = tokio::join!(writer, reader);
            assert_eq!(written.unwrap(), read.unwrap());
        });
    }
}

/// A message that knows its number, of a length that depends on it: some of several packets.
fn message(number: u32) -> Vec<u8> {
    let length = match number % 50 {
        0 => 40_000,
        1 => 0,
        _ => number as usize * 37 % 3000,
    };
    [&number.to_le_bytes(), bytes_at(number as usize, length)].concat()
}

#[test]
fn messages_that_are_given_up_arrive_whole_or_not_at_all() {
    let _watchdog = watchdog(300);
    for runtime in runtimes() {
        runtime.block_on(async {
            let options = ListenOptions::new()
                .message_mode(true)
                .input_buffer_size(8192)
                .output_buffer_size(8192);
            let (_listener, server, client) = pair_of(&options).await;
            let sender = tokio::spawn(async move {
                let mut dice = Dice::new(3);
                let mut arrives = Vec::new();
                for number in 0..CALLS as u32 {
                    let message = message(number);
                    if let Some(sent) = cut(server.send(&message), dice.roll(4) as u32).await {
                        sent.unwrap();
                        arrives.push(number);
                    }
                }
                // The last one says that there are no more.
                server.send(&u32::MAX.to_le_bytes()).await.unwrap();
                server.wait_drained().await.unwrap();
                arrives
            });
            let receiver = tokio::spawn(async move {
                let mut dice = Dice::new(4);
                let mut received = Vec::new();
                let mut one = Vec::new();
                let mut part = [0; 1000];
                loop {
                    let polls = dice.roll(4) as u32;
                    let whole = match dice.roll(4) {
                        // A message whose parts have been taken is gone on with by parts.
                        0 => match cut(client.recv_part(&mut part), polls).await {
                            None => continue,
                            Some(taken) => {
                                let mut taken = taken.unwrap();
                                one.extend_from_slice(&part[..taken.len]);
                                while !taken.complete {
                                    let room = 1 + dice.roll(1000);
                                    let next = client.recv_part(&mut part[..room]);
                                    if let Some(next) = cut(next, dice.roll(4) as u32).await {
                                        taken = next.unwrap();
                                        one.extend_from_slice(&part[..taken.len]);
                                    }
                                }
                                std::mem::take(&mut one)
                            }
                        },
                        _ => {
                            let mut whole = b"before".to_vec();
                            match cut(client.recv(&mut whole), polls).await {
                                None => {
                                    assert_eq!(whole, b"before");
                                    continue;
                                }
                                Some(length) => {
                                    assert_eq!(length.unwrap(), Some(whole.len() - 6));
                                    whole.split_off(6)
                                }
                            }
                        }
                    };
                    let number = u32::from_le_bytes(whole[..4].try_into().unwrap());
                    if number == u32::MAX {
                        return received;
                    }
                    assert!(whole == message(number), "message {number}");
                    received.push(number);
                }
            });
            let (arrives, received) = tokio::join!(sender, receiver);
            let (arrives, received) = (arrives.unwrap(), received.unwrap());
            assert!(received.is_sorted_by(|a, b| a < b));
            assert!(arrives.iter().all(|it| received.binary_search(it).is_ok()));
        });
    }
}

#[test]
fn connects_and_accepts_that_are_dropped_take_nobody() {
    let _watchdog = watchdog(300);
    for runtime in runtimes() {
        runtime.block_on(async {
            let name = name("cut");
            let listener = ListenOptions::new().backlog(2).bind_tokio(&name).unwrap();
            let clients = tokio::spawn(async move {
                let mut dice = Dice::new(5);
                let mut connected = 0u32;
                for _ in 0..CALLS / 4 {
                    let connect = cut(PipeStream::connect(&name), 1 + dice.roll(3) as u32);
                    if let Some(stream) = connect.await {
                        let mut stream = stream.unwrap();
                        stream.write_all(&connected.to_le_bytes()).await.unwrap();
                        connected += 1;
                    }
                }
                let mut last = PipeStream::connect(&name).await.unwrap();
                last.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
                last.write_all(&connected.to_le_bytes()).await.unwrap();
            });
            let server = tokio::spawn(async move {
                let mut dice = Dice::new(6);
                let mut numbers = Vec::new();
                let mut all = None;
                while all.is_none_or(|all| numbers.len() < all) {
                    let Some(stream) = cut(listener.accept(), dice.roll(3) as u32).await else {
                        continue;
                    };
                    let mut stream = stream.unwrap();
                    match stream.read_u32_le().await {
                        Ok(u32::MAX) => all = Some(stream.read_u32_le().await.unwrap() as usize),
                        Ok(number) => numbers.push(number),
                        // A connect that was dropped after the system had made the connection.
                        Err(e) => {
                            assert!(cfg!(windows) && e.kind() == ErrorKind::UnexpectedEof, "{e}");
                        }
                    }
                }
                if cfg!(windows) {
                    // Wine has the threads that put up instances tell of their clients: two may tell in either order.
                    numbers.sort_unstable();
                }
                assert!((0..).zip(&numbers).all(|(at, &number)| at == number));
            });
            let (clients, server) = tokio::join!(clients, server);
            clients.unwrap();
            server.unwrap();
        });
    }
}

#[test]
fn a_message_that_was_given_up_half_way_follows_by_itself() {
    let _watchdog = watchdog(60);
    for runtime in runtimes() {
        runtime.block_on(async {
            let options = ListenOptions::new().message_mode(true);
            let (_listener, server, client) = pair_of(&options).await;
            let long = message(50).repeat(50);
            let mut sending = Box::pin(server.send(&long));
            while client.peek().unwrap().available == 0 {
                assert!(cut(&mut sending, 1).await.is_none());
            }
            drop(sending);
            // Nothing else is sent, and the stream is even dropped.
            drop(server);
            let mut received = Vec::new();
            client.recv(&mut received).await.unwrap();
            assert!(received == long);
            assert_eq!(client.recv(&mut received).await.unwrap(), None);
        });
    }
}

#[test]
fn a_place_among_those_who_accept_is_passed_on() {
    let _watchdog = watchdog(60);
    for runtime in runtimes() {
        runtime.block_on(async {
            let listener = Arc::new(PipeListener::bind(name("place")).unwrap());
            let path = listener.local_addr().os_path().to_owned();
            for _ in 0..200 {
                let second = listener.clone();
                let mut first = Box::pin(listener.accept());
                assert!(cut(&mut first, 1).await.is_none());
                let second = tokio::spawn(async move { second.accept().await });
                tokio::task::yield_now().await;
                let _client = PipeStream::connect(&path).await.unwrap();
                // It may have been woken, and never looks.
                drop(first);
                second.await.unwrap().unwrap();
            }
        });
    }
}
