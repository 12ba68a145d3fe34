//! `npipe listen NAME`: a server whose clients get stdin and stdout, an echo, or a program.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use clap::Args;

use crate::args::{Patience, Serve, Transfer};
use crate::couple::{Terms, couple};
use crate::door::Door;
use crate::end::{End, Output};
use crate::failure::{self, Failure};
use crate::program::Program;
use crate::say;

const EXAMPLES: &str = r"Examples:
  npipe listen mypipe > received.bin
  npipe listen --keep mypipe             one client after another
  npipe listen --echo mypipe             as many at once as come
  npipe listen mypipe --exec bc -q       a program for each client

A program gets its client as stdin and stdout; --exec takes all that follows it.";

/// Serve a pipe: to stdio, an echo, or a program per client
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Listen {
    /// The pipe
    name: String,

    /// Serve one client after another, until Ctrl-C
    #[arg(long, conflicts_with_all = ["echo", "exec", "exit_on_eof"])]
    keep: bool,

    /// Send back what comes, to any number of clients at once
    #[arg(long, conflicts_with_all = ["exec", "exit_on_eof", "progress"])]
    echo: bool,

    /// Run a command for each client, any number at once
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["exit_on_eof", "progress"])]
    exec: Option<Vec<String>>,

    /// How long to wait for a client: 500ms, 5s, 2m, none
    #[arg(
        long,
        value_name = "TIME",
        default_value = "none",
        hide_default_value = true
    )]
    timeout: Patience,

    #[command(flatten)]
    serve: Serve,

    #[command(flatten)]
    transfer: Transfer,
}

impl Listen {
    pub fn run(self) -> failure::Result {
        let door = Door::pipe(&self.name, &self.serve)?;
        if self.echo {
            return door.serve(echo);
        }
        if let Some(words) = self.exec {
            let program = Program::new(words);
            return door.serve(move |client, number| run_program(&program, client, number));
        }
        if self.keep {
            return self.keep(&door);
        }
        let client = self.accept(&door)?;
        // Whoever comes now is told that there is no server, rather than left in a queue that nobody serves.
        drop(door);
        self.transfer.run(End::stdio()?, client)
    }

    fn accept(&self, door: &Door) -> failure::Result<End> {
        if let (Door::Pipe(listener), Some(time)) = (door, self.timeout.0) {
            let until = Instant::now().checked_add(time);
            listener
                .set_deadline(until)
                .map_err(|e| Failure::pipe(&e))?;
        }
        door.accept().map_err(|e| match e.kind() {
            io::ErrorKind::TimedOut => Failure::new(
                failure::TIMED_OUT,
                format!(
                    "listen on {}: no client came within {}",
                    self.name, self.timeout
                ),
            ),
            _ => Failure::pipe(&e),
        })
    }

    fn keep(&self, door: &Door) -> failure::Result {
        let feed = Feed::start().map_err(|e| Failure::io("start a thread", &e))?;
        loop {
            let client = self.accept(door)?;
            feed.enter();
            let near = End::Shared(feed.clone(), Output::stdout()?);
            if let Err(failure) = self.transfer.run(near, client) {
                if failure.is_stdout() {
                    return Err(failure);
                }
                failure.report();
            }
        }
    }
}

fn echo(client: End, number: u64) {
    say::detail(format_args!("client {number} is here"));
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    let ended = loop {
        match client.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(length) => {
                bytes += length;
                if let Err(error) = client.write_all(&buffer[..length]) {
                    client.discard(&mut buffer);
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    match ended {
        Ok(()) => say::detail(format_args!("client {number} is done: {bytes} bytes")),
        Err(error) => say::detail(format_args!("client {number}: {error}")),
    }
}

fn run_program(program: &Program, client: End, number: u64) {
    let run = || {
        let running = program.start()?;
        say::detail(format_args!("client {number} has process {}", running.id()));
        couple(client, End::Program(running), Terms::default(), None)
    };
    match run() {
        Ok(outcome) => say::detail(format_args!(
            "client {number} is done: {} bytes to the program, {} from it",
            outcome.up.bytes, outcome.down.bytes
        )),
        Err(failure) => {
            failure.report();
        }
    }
}

/// Our stdin, for one client after another: what is read while nobody is there waits for the next.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct State {
    chunk: Vec<u8>,
    taken: usize,
    /// Somebody waits for input. Nothing is read ahead of that, so that a terminal stays with whoever uses it.
    wanted: bool,
    ended: bool,
    /// The present client has left.
    left: bool,
}

impl Feed {
    fn start() -> io::Result<Arc<Feed>> {
        let feed = Arc::new(Feed {
            state: Mutex::default(),
            change: Condvar::new(),
        });
        let fill = feed.clone();
        thread::Builder::new().spawn(move || fill.fill())?;
        Ok(feed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.change
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads stdin to its end, a chunk at a time.
    fn fill(&self) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let mut state = self.state();
            while !(state.wanted && state.taken == state.chunk.len()) {
                state = self.wait(state);
            }
            drop(state);
            let read = io::stdin().lock().read(&mut buffer);
            let mut state = self.state();
            state.wanted = false;
            state.taken = 0;
            state.chunk.clear();
            match read {
                Ok(length) => state.chunk.extend_from_slice(&buffer[..length]),
                Err(error) => say::error(format_args!("read from stdin: {error}")),
            }
            state.ended = state.chunk.is_empty();
            let ended = state.ended;
            drop(state);
            self.change.notify_all();
            if ended {
                return;
            }
        }
    }

    /// A new client is here.
    fn enter(&self) {
        self.state().left = false;
    }

    /// The present client has left: a read that waits for it ends.
    pub fn leave(&self) {
        self.state().left = true;
        self.change.notify_all();
    }

    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        loop {
            if state.left {
                return Ok(0);
            }
            let waiting = &state.chunk[state.taken..];
            if !waiting.is_empty() {
                let length = waiting.len().min(buffer.len());
                buffer[..length].copy_from_slice(&waiting[..length]);
                state.taken += length;
                return Ok(length);
            }
            if state.ended {
                return Ok(0);
            }
            state.wanted = true;
            self.change.notify_all();
            state = self.wait(state);
        }
    }
}
