//! `npipe listen NAME`: a server whose clients get stdin and stdout, an echo, or a program.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use npipe::Direction;

use crate::address::pipe_name;
use crate::couple::{Terms, couple};
use crate::door::Door;
use crate::end::End;
use crate::failure::{self, Failure};
use crate::options::{Patience, Serve, Ways};
use crate::program::Program;
use crate::say;
use crate::stdin::Feed;
use crate::transfer::Transfer;

const EXAMPLES: &str = r"Examples:
  npipe listen mypipe > got    from: npipe connect --exit-on-eof mypipe < file
  npipe listen --keep mypipe             one client after another
  npipe listen --echo mypipe             as many at once as come
  npipe listen mypipe --exec bc -q       a program for each client

A program gets its client as stdin and stdout; --exec takes all that follows it.";

/// The descriptors of a client, and of its program: as it starts, while it runs, until its end has been seen.
const PIPE: usize = 2;
const PROGRAM: usize = 8;

/// Serve a pipe: to stdio, an echo, or a program per client
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Listen {
    /// The pipe
    #[arg(value_parser = pipe_name())]
    name: OsString,

    /// Serve one client after another, until Ctrl-C
    #[arg(long, conflicts_with_all = ["echo", "exec", "exit_on_eof"])]
    keep: bool,

    /// Send back what comes, to any number of clients at once
    #[arg(long, conflicts_with_all = ["exec", "exit_on_eof", "progress", "access", "linger"])]
    echo: bool,

    /// Run a command for each client, any number at once
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["exit_on_eof", "progress", "access", "linger"])]
    exec: Option<Vec<OsString>>,

    /// How long to wait for a client: 500ms, 5s, 2m, none
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
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
        let messages = self.transfer.carry.message.is_some();
        let options = self
            .serve
            .options(messages)
            .direction(match self.transfer.carry.access {
                Ways::Rw => Direction::Duplex,
                Ways::R => Direction::Inbound,
                Ways::W => Direction::Outbound,
            });
        let door = Door::pipe(&self.name, &options)?;
        if self.echo {
            return door.serve(self.timeout, PIPE, echo);
        }
        if let Some(words) = self.exec {
            let program = Program::of_words(words)
                .map_err(|wrong| Failure::usage(format!("listen --exec: {wrong}")))?;
            let grace = self.serve.grace.0;
            let run = move |client, number| run_program(&program, grace, client, number);
            return door.serve(self.timeout, PIPE + PROGRAM, run);
        }
        if self.keep {
            return self.keep(&door);
        }
        let client = door.accept_within(self.timeout)?;
        // Whoever comes now is told that there is no server, rather than left in a queue that nobody serves.
        drop(door);
        self.transfer
            .run(End::stdio(self.transfer.carry.message)?, client)
    }

    fn keep(&self, door: &Door) -> failure::Result {
        let feed = Feed::start(self.transfer.carry.message)
            .map_err(|e| Failure::io("start a thread", &e))?;
        loop {
            let client = door.accept_within(self.timeout)?;
            feed.enter();
            let near = End::shared(feed.clone(), self.transfer.carry.message)?;
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
    let messages = client.has_messages();
    let mut buffer = Vec::new();
    let mut bytes = 0;
    let ended = loop {
        match client.read(messages, &mut buffer) {
            Ok(None) => break Ok(()),
            Ok(Some(length)) => {
                bytes += length;
                if let Err(error) = client.write(messages, &buffer[..length]) {
                    client.discard(&mut buffer);
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    match ended {
        Ok(()) => say::detail(format_args!("client {number} is done: {bytes} bytes")),
        Err(error) => Failure::pipe(&error).tell_of(format_args!("client {number}")),
    }
}

fn run_program(program: &Program, grace: Option<Duration>, client: End, number: u64) {
    let run = || {
        let running = program.start(&client.environment(), grace)?;
        say::detail(format_args!("client {number} has process {}", running.id()));
        couple(client, End::Program(running), Terms::default(), None)
    };
    match run() {
        Ok(outcome) => outcome.tell(number, "to the program", "from it"),
        Err(failure) => {
            failure.report();
        }
    }
}
