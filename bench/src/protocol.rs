//! What the two halves of a subject say to each other, and what the harness says to the client.
//!
//! A server prints `ready`, serves, and ends with its standard input. It reads requests of 17 bytes: what is wanted, the
//! bytes of a piece, and how many pieces there are, both as 64 bits with the lowest byte first.
//!
//! * `e`: it reads so many pieces, each in full, and sends each back;
//! * `s`: it reads so many pieces, and answers with one byte;
//! * `p`: it answers with one byte.
//!
//! A client prints `ready` and takes commands from its standard input, a line each. It answers with a line of numbers, the
//! first of them nanoseconds, or with `error` and a sentence.
//!
//! * `trip SIZE COUNT`, `write SIZE COUNT`: round trips, or writes, on the connection that it keeps open;
//! * `connect COUNT`: connects, one after the other, each with a `p`;
//! * `storm CLIENTS ROUNDS`: so many clients at once, each from a thread (task, goroutine) of its own, which connect, ask
//!   `p` and close. The median and the 99th percentile of how long a connect took follow;
//! * `idle COUNT`: opens so many further connections, asks `p` on each, and keeps them.

use std::io::{self, BufRead, Write};
use std::thread;

/// Which half of a subject a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Serve,
    Work,
}

pub const REQUEST: usize = 17;

/// What a client asks of a server.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    Echo { size: usize, count: u64 },
    Sink { size: usize, count: u64 },
    Ping,
}

impl Request {
    pub fn encode(self) -> [u8; REQUEST] {
        let (kind, size, count) = match self {
            Request::Echo { size, count } => (b'e', size, count),
            Request::Sink { size, count } => (b's', size, count),
            Request::Ping => (b'p', 0, 0),
        };
        let mut bytes = [0; REQUEST];
        bytes[0] = kind;
        bytes[1..9].copy_from_slice(&(size as u64).to_le_bytes());
        bytes[9..].copy_from_slice(&count.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; REQUEST]) -> io::Result<Request> {
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(number)
        };
        let size = usize::try_from(number(1)).unwrap_or(usize::MAX);
        let count = number(9);
        match bytes[0] {
            b'e' => Ok(Request::Echo { size, count }),
            b's' => Ok(Request::Sink { size, count }),
            b'p' => Ok(Request::Ping),
            other => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("no request begins with {other}"),
            )),
        }
    }
}

/// What the harness asks of a client.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    Trip { size: usize, count: u64 },
    Write { size: usize, count: u64 },
    Connect { count: u64 },
    Storm { clients: usize, rounds: usize },
    Idle { count: usize },
}

impl Command {
    fn parse(line: &str) -> Option<Command> {
        let mut words = line.split_whitespace();
        let verb = words.next()?;
        let mut number = || words.next()?.parse::<u64>().ok();
        Some(match verb {
            "trip" => Command::Trip {
                size: number()? as usize,
                count: number()?,
            },
            "write" => Command::Write {
                size: number()? as usize,
                count: number()?,
            },
            "connect" => Command::Connect { count: number()? },
            "storm" => Command::Storm {
                clients: number()? as usize,
                rounds: number()? as usize,
            },
            "idle" => Command::Idle {
                count: number()? as usize,
            },
            _ => return None,
        })
    }
}

/// Takes commands until they end.
pub fn obey(mut work: impl FnMut(Command) -> io::Result<Vec<u64>>) -> io::Result<()> {
    say("ready")?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = match Command::parse(&line) {
            Some(command) => match work(command) {
                Ok(numbers) => {
                    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
                    words.join(" ")
                }
                Err(error) => format!("error {error}"),
            },
            None => format!("error there is no such command: {line}"),
        };
        say(&answer)?;
    }
    Ok(())
}

/// Ends this process with its standard input, so that no server outlives its harness.
pub fn end_with_input() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(0);
    });
}

pub fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// The nanoseconds of a whole, and of the connects in it the median and the 99th percentile.
pub fn storm_answer(total: u64, mut connects: Vec<u64>) -> Vec<u64> {
    connects.sort_unstable();
    let at = |share: f64| crate::figures::percentile(&connects, share);
    vec![total, at(0.5), at(0.99)]
}
