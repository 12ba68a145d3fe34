//! `npipe relay FROM TO`: listens at one place, and for every client goes to the other and copies both ways.

use clap::Args;

use crate::address::Address;
use crate::args::{Dial, Serve};
use crate::couple::{Terms, couple};
use crate::door::Door;
use crate::end::End;
use crate::failure;
use crate::say;

const EXAMPLES: &str = r#"Addresses: pipe:NAME  unix:PATH  tcp:HOST:PORT  exec:COMMAND LINE  stdio
A bare NAME is a pipe. exec splits its line at blanks, with quotes, no shell.

Examples:
  npipe relay tcp:127.0.0.1:2375 pipe:docker_engine
  npipe relay mypipe unix:/run/app.sock
  npipe relay mypipe exec:"ssh host npipe connect mypipe"
  npipe relay unix:/tmp/agent.sock exec:"npipe.exe connect openssh-ssh-agent"

Whoever can reach FROM can use TO: give tcp an address of this machine alone."#;

/// Copy between a pipe, a socket, TCP, a program or stdio
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Relay {
    /// Where clients come from; exec and stdio are one client
    from: Address,

    /// Where each of them is connected to
    to: Address,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    serve: Serve,
}

impl Relay {
    pub fn run(self) -> failure::Result {
        let Some(door) = open_door(&self.from, &self.serve)? else {
            let near = self.from.dial(&self.dial)?;
            return self.once(near);
        };
        if self.to == Address::Stdio {
            let client = door.accept().map_err(|e| door.failure(&e))?;
            // There is one stdio, and it has its client.
            drop(door);
            return self.once(client);
        }
        door.serve(move |client, number| self.client(client, number))
    }

    fn once(&self, near: End) -> failure::Result {
        let far = self.to.dial(&self.dial)?;
        couple(near, far, Terms::default(), None)?.into_result()
    }

    fn client(&self, near: End, number: u64) {
        say::detail(format_args!("client {number} is here"));
        let far = match self.to.dial(&self.dial) {
            Ok(far) => far,
            Err(failure) => {
                say::error(format_args!("client {number}: {}", failure.line()));
                return;
            }
        };
        match couple(near, far, Terms::default(), None) {
            Ok(outcome) => {
                for failure in [&outcome.up.failure, &outcome.down.failure]
                    .into_iter()
                    .flatten()
                {
                    say::detail(format_args!("client {number}: {}", failure.line()));
                }
                say::detail(format_args!(
                    "client {number} is done: {} bytes there, {} back",
                    outcome.up.bytes, outcome.down.bytes
                ));
            }
            Err(failure) => say::error(format_args!("client {number}: {}", failure.line())),
        }
    }
}

/// Opens the place that clients come to. None: it is its own one client.
pub fn open_door(from: &Address, how: &Serve) -> failure::Result<Option<Door>> {
    match from {
        Address::Pipe(name) | Address::Unix(name) => Door::pipe(name, how).map(Some),
        Address::Tcp(place) => Door::tcp(place).map(Some),
        Address::Exec(_) | Address::Stdio => Ok(None),
    }
}
