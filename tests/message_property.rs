//! Any sequence of sends, received with any sequence of buffers, gives the same messages; through `Read`, the same bytes.

#![cfg(any(windows, target_os = "linux"))] // elsewhere there are no messages

mod common;

use std::io::Read;
use std::thread;

use common::{name, pair_on, pattern, watchdog};
use npipe::{ListenOptions, PipeStream};
use proptest::collection::vec;
use proptest::prelude::*;

/// The size of the pipe's buffers here: messages are of up to three of them.
const BUFFER: usize = 2048;

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let length = prop_oneof![Just(0), Just(1), Just(BUFFER), 0..=3 * BUFFER];
    vec((any::<u8>(), length), 0..12).prop_map(|messages| {
        messages
            .into_iter()
            .map(|(seed, length)| pattern(seed, length))
            .collect()
    })
}

fn buffers() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..=16usize, 1..=4 * BUFFER], 1..8)
}

/// Sends all of `messages` from one thread while `receive` has the other end.
fn through<T>(messages: &[Vec<u8>], receive: impl FnOnce(&PipeStream) -> T) -> T {
    let listener = ListenOptions::new()
        .message_mode(true)
        .input_buffer_size(BUFFER as u32)
        .output_buffer_size(BUFFER as u32)
        .bind(name("property"))
        .unwrap();
    let (server, client) = pair_on(&listener);
    thread::scope(|scope| {
        scope.spawn(move || {
            for message in messages {
                client.send(message).unwrap();
            }
        });
        receive(&server)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        // A file of failures would be written beside the sources.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whole_messages_come_as_they_were_sent(messages in messages()) {
        let _watchdog = watchdog(120);
        let got = through(&messages, |server| {
            let mut got = Vec::new();
            let mut message = Vec::new();
            while server.recv(&mut message).unwrap().is_some() {
                got.push(std::mem::take(&mut message));
            }
            got
        });
        prop_assert_eq!(got, messages);
    }

    #[test]
    fn parts_make_up_the_messages_that_were_sent(messages in messages(), buffers in buffers()) {
        let _watchdog = watchdog(120);
        let got = through(&messages, |server| {
            let mut got = Vec::new();
            let mut message = Vec::new();
            for size in buffers.iter().cycle() {
                let mut buffer = vec![0; *size];
                let Ok(part) = server.recv_part(&mut buffer) else {
                    break;
                };
                message.extend_from_slice(&buffer[..part.len]);
                if part.complete {
                    got.push(std::mem::take(&mut message));
                }
            }
            got
        });
        prop_assert_eq!(got, messages);
    }

    #[test]
    fn read_gives_the_bytes_that_were_sent(messages in messages(), buffers in buffers()) {
        let _watchdog = watchdog(120);
        // An empty message is the end for who reads bytes.
        let messages: Vec<_> = messages.into_iter().filter(|message| !message.is_empty()).collect();
        let got = through(&messages, |mut server| {
            let mut got = Vec::new();
            for size in buffers.iter().cycle() {
                let mut buffer = vec![0; *size];
                match server.read(&mut buffer).unwrap() {
                    0 => break,
                    length => got.extend_from_slice(&buffer[..length]),
                }
            }
            got
        });
        prop_assert_eq!(got, messages.concat());
    }
}
