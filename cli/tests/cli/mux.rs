//! `mux:` and `npipe mux`: many clients over one program.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Command;
use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

#[cfg(any(windows, target_os = "linux"))]
use npipe::ListenOptions;
use npipe::PipeStream;

use crate::harness::*;

const NPIPE: &str = env!("CARGO_BIN_EXE_npipe");

fn mux_of(name: &str) -> String {
    format!("mux:\"{NPIPE}\" mux {name}")
}

/// A relay to `behind` over one program, and that program's id.
fn relay(front: &str, behind: &str, options: &[&str]) -> (Running, u32) {
    let to = mux_of(behind);
    let args: Vec<_> = ["relay", "-v", front, &to]
        .into_iter()
        .chain(options.iter().copied())
        .collect();
    let mut relay = start(&args);
    let id = relay.wait_said("mux: process ");
    let id = id.split("process ").nth(1).unwrap();
    let id = id.split(' ').next().unwrap().parse().unwrap();
    (relay, id)
}

fn say_and_hear(client: &PipeStream, line: &str) {
    { client }
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    BufReader::new(client).read_line(&mut answer).unwrap();
    assert_eq!(answer.trim_end(), line);
}

/// Ends a process as nothing can be done against.
fn kill(id: u32) {
    let id = id.to_string();
    let status = if cfg!(windows) {
        Command::new("taskkill").args(["/F", "/PID", &id]).output()
    } else {
        Command::new("sh")
            .args(["-c", &format!("kill -9 {id}")])
            .output()
    };
    assert!(status.unwrap().status.success());
}

#[test]
fn five_hundred_at_once_while_one_carries_64_mib_each_way() {
    let _watchdog = watchdog();
    const CLIENTS: usize = 500;
    const LENGTH: u64 = 64 << 20;
    let (front, behind) = (name("mux"), name("behind-mux"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let (_relay, _) = relay(&front, &behind, &[]);

    // One that never reads what it has asked for holds up nobody.
    let deaf = connect(&front);
    deaf.set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let full = std::io::copy(&mut noise(9, LENGTH), &mut &deaf);
    assert!(full.is_err(), "somewhere there is an end of the room");

    let big = connect(&front);
    let feeding = feed(big.try_clone().unwrap(), noise(1, LENGTH));
    let reading = std::thread::spawn(move || {
        assert_eq!(assert_starts_with(&big, noise(1, LENGTH)), 0);
    });
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(&front)).collect();
    for (number, client) in clients.iter().enumerate() {
        say_and_hear(client, &format!("first of {number}"));
    }
    // All of them are there still.
    for (number, client) in clients.iter().enumerate().rev() {
        say_and_hear(client, &format!("second of {number}"));
    }
    feeding.join().unwrap();
    reading.join().unwrap();
}

#[test]
fn the_next_is_served_while_the_others_say_nothing() {
    let _watchdog = watchdog();
    let (front, behind) = (name("mux-idle"), name("behind-mux-idle"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let (_relay, _) = relay(&front, &behind, &[]);
    let mut idle = Vec::new();
    for _ in 0..20 {
        let client = connect(&front);
        // Nothing else happens that could wake anybody.
        client
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        say_and_hear(&client, "here");
        idle.push(client);
    }
}

#[test]
fn a_killed_program_ends_every_client_and_the_next_one_is_served() {
    let _watchdog = watchdog();
    let (front, behind) = (name("mux-killed"), name("behind-mux-killed"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let (mut relay, id) = relay(&front, &behind, &[]);
    let clients: Vec<_> = (0..20).map(|_| connect(&front)).collect();
    for client in &clients {
        say_and_hear(client, "before");
    }
    kill(id);
    for client in clients {
        // Whether it is the end, or a broken connection.
        assert_eq!((&client).read(&mut [0; 1]).unwrap_or(0), 0);
    }
    relay.wait_said("the program has ended");
    let next = connect(&front);
    say_and_hear(&next, "after");
}

#[cfg(unix)]
#[test]
fn a_half_close_is_carried_and_the_answer_comes_back() {
    let _watchdog = watchdog();
    let (front, behind) = (name("mux-half"), name("behind-mux-half"));
    let served = server(&behind, 2, |stream| {
        let mut all = Vec::new();
        (&stream).read_to_end(&mut all).unwrap();
        (&stream).write_all(&all).unwrap();
        all.len()
    });
    let (_relay, _) = relay(&front, &behind, &[]);
    for length in [0, 100_000] {
        let client = connect(&front);
        let writing = feed(client.try_clone().unwrap(), noise(2, length));
        writing.join().unwrap();
        client.close_write().unwrap();
        assert_is(&client, noise(2, length));
    }
    assert_eq!(served.join().unwrap(), [0, 100_000]);
}

#[test]
fn one_end_that_goes_is_told_at_the_other() {
    let _watchdog = watchdog();
    let (front, behind) = (name("mux-gone"), name("behind-mux-gone"));
    let served = server(&behind, 2, |stream| {
        let mut byte = [0; 1];
        (&stream).read_exact(&mut byte).unwrap();
        if byte == *b"g" {
            return true;
        }
        // Until the client has gone.
        matches!((&stream).read(&mut byte), Ok(0) | Err(_))
    });
    let (_relay, _) = relay(&front, &behind, &[]);
    let client = connect(&front);
    (&client).write_all(b"g").unwrap();
    assert_eq!((&client).read(&mut [0; 1]).unwrap_or(0), 0);
    drop(client);
    let client = connect(&front);
    (&client).write_all(b"s").unwrap();
    drop(client);
    assert_eq!(served.join().unwrap(), [true, true]);
}

// Wherever there are message pipes.
#[cfg(any(windows, target_os = "linux"))]
#[test]
fn messages_keep_their_boundaries() {
    let _watchdog = watchdog();
    let (front, behind) = (name("mux-messages"), name("behind-mux-messages"));
    let listener = ListenOptions::new()
        .message_mode(true)
        .bind(&behind)
        .unwrap();
    let serving = std::thread::spawn(move || {
        let stream = listener.accept().unwrap();
        let mut message = Vec::new();
        while stream.recv(&mut message).unwrap().is_some() {
            stream.send(&message).unwrap();
            if message == b"that is all" {
                break;
            }
            message.clear();
        }
        stream.wait_drained().unwrap();
    });
    let (_relay, _) = relay(&front, &behind, &["--message"]);
    let client = connect(&front);
    for length in [1, 10, 65_535, 65_536, 65_537, 3_000_000] {
        let mut sent = Vec::new();
        noise(3, length).read_to_end(&mut sent).unwrap();
        client.send(&sent).unwrap();
        let mut got = Vec::new();
        assert_eq!(client.recv(&mut got).unwrap(), Some(sent.len()));
        assert!(got == sent, "{length}");
    }
    client.send(b"that is all").unwrap();
    let mut got = Vec::new();
    client.recv(&mut got).unwrap();
    assert_eq!(got, b"that is all");
    serving.join().unwrap();
}

#[test]
fn the_other_way_round_the_clients_are_at_the_far_end() {
    let _watchdog = watchdog();
    let (front, behind) = (name("mux-listen"), name("behind-mux-listen"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let from = format!("mux:\"{NPIPE}\" mux --listen {front}");
    let mut relay = start(&["relay", "-v", &from, &behind]);
    let id = relay.wait_said("mux: process ");
    let id = id.split("process ").nth(1).unwrap();
    let id = id.split(' ').next().unwrap().parse().unwrap();
    let clients: Vec<_> = (0..20).map(|_| connect(&front)).collect();
    for client in &clients {
        say_and_hear(client, "hello");
    }
    kill(id);
    relay.wait_said("it is started again");
    for client in clients {
        assert_eq!((&client).read(&mut [0; 1]).unwrap_or(0), 0);
    }
    relay.wait_said("mux: process ");
    say_and_hear(&connect(&front), "again");
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_reason() {
    let _watchdog = watchdog();
    let (front, behind) = (name("mux-nobody"), name("behind-mux-nobody"));
    let (mut relay, _) = relay(&front, &behind, &[]);
    let client = connect(&front);
    assert_eq!((&client).read(&mut [0; 1]).unwrap_or(0), 0);
    let line = relay.wait_said("client 1: ");
    assert!(line.contains("no such pipe"), "{line}");
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    say_and_hear(&connect(&front), "now");
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_is_dialled_for_who_has_left() {
    let _watchdog = watchdog();
    let (front, behind) = (name("mux-left"), name("behind-mux-left"));
    let to = format!("mux:\"{NPIPE}\" mux --wait {behind}");
    let mut relay = start(&["relay", "-v", &front, &to]);
    let id = relay.wait_said("mux: process ");
    let id = id.split("process ").nth(1).unwrap();
    let id = id.split(' ').next().unwrap().to_owned();
    let threads = |id: &str| {
        std::fs::read_dir(format!("/proc/{id}/task"))
            .unwrap()
            .count()
    };
    let clients: Vec<_> = (0..10).map(|_| connect(&front)).collect();
    while threads(&id) < clients.len() {
        std::thread::yield_now();
    }
    drop(clients);
    // Four of them are there whether anybody is or not.
    while threads(&id) > 4 || threads(&relay.id().to_string()) >= 10 {
        std::thread::yield_now();
    }
    let served = server(&behind, 1, |stream| {
        let mut byte = [0; 1];
        (&stream).read_exact(&mut byte).unwrap();
        byte
    });
    let client = connect(&front);
    (&client).write_all(b"x").unwrap();
    assert_eq!(served.join().unwrap(), [*b"x"]);
}

#[test]
fn another_version_and_another_program_are_told() {
    let _watchdog = watchdog();
    let mut old = start(&["mux", &name("mux-old")]);
    old.write("npipe-mux 2 listens 9.9.9\n");
    let line = old.wait_said("speaks version 2");
    assert!(line.contains("npipe 9.9.9"), "{line}");
    assert_eq!(old.finish().code, Some(1));

    let mut same = start(&["mux", &name("mux-same")]);
    same.write("npipe-mux 1 dials 0.1.0\n");
    same.wait_said("both ends dial");
    assert_eq!(same.finish().code, Some(1));

    let front = name("mux-other");
    let to = format!("mux:\"{NPIPE}\" demo --csharp server");
    let mut relay = start(&["relay", &front, &to]);
    relay.wait_said("which is not `npipe mux`");
    // And the client is not left alone.
    assert_eq!((&connect(&front)).read(&mut [0; 1]).unwrap_or(0), 0);

    let front = name("mux-mute");
    let to = format!("mux:\"{NPIPE}\" no-such-command");
    let mut relay = start(&["relay", &front, &to]);
    relay.wait_said("it ended before it said anything");
}

#[cfg(unix)]
#[test]
fn a_connection_costs_less_than_a_millisecond() {
    let _watchdog = watchdog();
    let (plain, front, behind) = (name("plain"), name("mux-quick"), name("behind-mux-quick"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let (_plain, _) = serve(&["relay", &plain, &behind]);
    let (_relay, _) = relay(&front, &behind, &[]);
    say_and_hear(&connect(&front), "once");
    let took = |name: &str| {
        let began = Instant::now();
        // Only an answer shows that the other end has connected.
        say_and_hear(&connect(name), "x");
        began.elapsed()
    };
    let (mut best, mut best_of_plain) = (Duration::MAX, Duration::MAX);
    for _ in 0..200 {
        best_of_plain = best_of_plain.min(took(&plain));
        best = best.min(took(&front));
    }
    // A machine with other work to do takes longer for everything: then it is a few times what one relay takes, which
    // has a fraction of the threads to wake.
    assert!(
        best < Duration::from_millis(1).max(best_of_plain * 4),
        "{best:?}, and {best_of_plain:?} without mux"
    );
}
