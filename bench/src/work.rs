//! Both halves of a subject whose calls block.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::protocol::{self, Command, REQUEST, Request};

/// Pipes of some kind. On a message pipe a write is a message, and a read is one or a part of one.
pub trait Pipes: Clone + Send + Sync + 'static {
    type Listener: Send + 'static;
    type Stream: Read + Write + Send + 'static;

    fn bind(&self, address: &str) -> io::Result<Self::Listener>;
    fn accept(&self, listener: &mut Self::Listener) -> io::Result<Self::Stream>;
    fn connect(&self, address: &str) -> io::Result<Self::Stream>;
}

/// A thousand of them are to fit.
const STACK: usize = 128 * 1024;

/// Serves every client from a thread: one that is idle, or one more.
pub fn serve<P: Pipes>(pipes: &P, address: &str) -> io::Result<()> {
    let mut listener = pipes.bind(address)?;
    protocol::end_with_input();
    protocol::say("ready")?;
    let (sender, receiver) = mpsc::channel::<P::Stream>();
    let receiver = Arc::new(Mutex::new(receiver));
    // How many threads wait for a client, less the clients that wait for a thread.
    let idle = Arc::new(AtomicUsize::new(0));
    loop {
        let stream = pipes.accept(&mut listener)?;
        let took = idle.fetch_update(Ordering::AcqRel, Ordering::Acquire, |idle| {
            idle.checked_sub(1)
        });
        if took.is_err() {
            let (receiver, idle) = (receiver.clone(), idle.clone());
            thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || serve_one_after_the_other(&receiver, &idle))?;
        }
        let _ = sender.send(stream);
    }
}

fn serve_one_after_the_other<S: Read + Write>(clients: &Mutex<Receiver<S>>, idle: &AtomicUsize) {
    loop {
        let client = clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(mut client) = client else { return };
        // A client that goes away in the middle is the harness's to tell of.
        let _ = answer(&mut client);
        drop(client);
        idle.fetch_add(1, Ordering::AcqRel);
    }
}

fn answer(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut request = [0; REQUEST];
    let mut piece = Vec::new();
    while stream.read_exact(&mut request).is_ok() {
        match Request::decode(&request)? {
            Request::Echo { size, count } => {
                piece.resize(size, 0);
                for _ in 0..count {
                    stream.read_exact(&mut piece)?;
                    stream.write_all(&piece)?;
                }
            }
            Request::Sink { size, count } => {
                piece.resize(size, 0);
                let mut left = size as u64 * count;
                while left > 0 {
                    match stream.read(&mut piece)? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        length => left = left.saturating_sub(length as u64),
                    }
                }
                stream.write_all(&[0])?;
            }
            Request::Ping => stream.write_all(&[0])?,
        }
    }
    Ok(())
}

pub fn work<P: Pipes>(pipes: &P, address: &str) -> io::Result<()> {
    let mut stream = pipes.connect(address)?;
    let mut idle = Vec::new();
    protocol::obey(|command| match command {
        Command::Trip { size, count } => Ok(vec![trips(&mut stream, size, count)?]),
        Command::Write { size, count } => Ok(vec![writes(&mut stream, size, count)?]),
        Command::Connect { count } => {
            let began = Instant::now();
            for _ in 0..count {
                ping(&mut pipes.connect(address)?)?;
            }
            Ok(vec![nanos(began, Instant::now())])
        }
        Command::Storm { clients, rounds } => storm(pipes, address, clients, rounds),
        Command::Idle { count } => {
            idle.clear();
            for _ in 0..count {
                let mut stream = pipes.connect(address)?;
                ping(&mut stream)?;
                idle.push(stream);
            }
            Ok(vec![0])
        }
    })
}

fn trips(stream: &mut (impl Read + Write), size: usize, count: u64) -> io::Result<u64> {
    let mut piece = vec![b'x'; size];
    stream.write_all(&Request::Echo { size, count }.encode())?;
    let began = Instant::now();
    for _ in 0..count {
        stream.write_all(&piece)?;
        stream.read_exact(&mut piece)?;
    }
    Ok(nanos(began, Instant::now()))
}

fn writes(stream: &mut (impl Read + Write), size: usize, count: u64) -> io::Result<u64> {
    let piece = vec![b'x'; size];
    stream.write_all(&Request::Sink { size, count }.encode())?;
    let began = Instant::now();
    for _ in 0..count {
        stream.write_all(&piece)?;
    }
    stream.read_exact(&mut [0])?;
    Ok(nanos(began, Instant::now()))
}

fn ping(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&Request::Ping.encode())?;
    stream.read_exact(&mut [0])
}

fn storm<P: Pipes>(
    pipes: &P,
    address: &str,
    clients: usize,
    rounds: usize,
) -> io::Result<Vec<u64>> {
    let barrier = Barrier::new(clients);
    // Per round when a client began, when it was connected, when it had its answer.
    let client = || -> io::Result<Vec<[Instant; 3]>> {
        let mut times = Vec::with_capacity(rounds);
        let mut failed = None;
        for _ in 0..rounds {
            barrier.wait();
            let began = Instant::now();
            let once = || {
                let mut stream = pipes.connect(address)?;
                let connected = Instant::now();
                ping(&mut stream)?;
                Ok([began, connected, Instant::now()])
            };
            match once() {
                Ok(time) => times.push(time),
                Err(error) => failed = Some(error),
            }
            // Nobody begins the next round before all have ended this one.
            barrier.wait();
        }
        failed.map_or(Ok(times), Err)
    };
    let all = thread::scope(|scope| {
        let mut threads = Vec::with_capacity(clients);
        for _ in 0..clients {
            threads.push(
                thread::Builder::new()
                    .stack_size(STACK)
                    .spawn_scoped(scope, client)?,
            );
        }
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a client panicked")))
            })
            .collect::<io::Result<Vec<_>>>()
    })?;
    Ok(summary(&all, rounds))
}

/// What a storm answers, of the times of each client in each round.
pub fn summary(all: &[Vec<[Instant; 3]>], rounds: usize) -> Vec<u64> {
    let mut total = 0;
    for round in 0..rounds {
        let began = all.iter().map(|client| client[round][0]).min();
        let ended = all.iter().map(|client| client[round][2]).max();
        if let (Some(began), Some(ended)) = (began, ended) {
            total += nanos(began, ended);
        }
    }
    let connects = all
        .iter()
        .flatten()
        .map(|[began, connected, _]| nanos(*began, *connected))
        .collect();
    protocol::storm_answer(total, connects)
}

pub fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}
