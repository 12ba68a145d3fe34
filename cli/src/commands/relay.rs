//! `npipe relay FROM TO`: listens at one place, and for every client goes to the other and copies both ways.

use std::sync::Arc;

use clap::Args;

use crate::address::Address;
use crate::args::{Dial, Patience, Serve};
use crate::couple::{Terms, Watch, couple};
use crate::door::Door;
use crate::end::End;
use crate::failure::{self, Failure};
use crate::say;

const EXAMPLES: &str = r#"Addresses: pipe:NAME unix:PATH tcp:HOST:PORT exec:COMMAND LINE stdio
assuan:FILE (GnuPG on Windows). A bare NAME is a pipe. exec splits its
line at blanks, with quotes, no shell.

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

    /// Make a message pipe; boundaries are kept
    #[arg(long)]
    message: bool,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    serve: Serve,
}

/// Whoever wants to see what passes, connection by connection.
pub trait Watches: Send + Sync {
    fn open(&self, connection: u64) -> Arc<dyn Watch>;
}

impl Relay {
    pub fn new(from: Address, to: Address, message: bool, dial: Dial, serve: Serve) -> Relay {
        Relay {
            from,
            to,
            message,
            dial,
            serve,
        }
    }

    pub fn run(self) -> failure::Result {
        self.relay(None)
    }

    pub fn run_watched(self, watches: Arc<dyn Watches>) -> failure::Result {
        self.relay(Some(watches))
    }

    fn relay(self, watches: Option<Arc<dyn Watches>>) -> failure::Result {
        let door = match &self.from {
            Address::Pipe(name) | Address::Unix(name) => {
                Door::pipe(name, &self.serve.options(self.message))?
            }
            Address::Tcp(place) => Door::tcp(place)?,
            // These are their own one client.
            Address::Exec(_) | Address::Stdio => {
                return self.once(self.from.dial(&self.dial)?, watches);
            }
            Address::Assuan(_) => {
                return Err(Failure::usage(format!(
                    "{}: clients cannot come from there; give it as TO",
                    self.from
                )));
            }
        };
        if self.to == Address::Stdio {
            let client = door.accept().map_err(|e| door.failure(&e))?;
            // There is one stdio, and it has its client.
            drop(door);
            return self.once(client, watches);
        }
        door.serve(Patience(None), move |client, number| {
            self.client(client, number, watches.as_deref());
        })
    }

    fn once(&self, near: End, watches: Option<Arc<dyn Watches>>) -> failure::Result {
        let far = self.to.dial(&self.dial)?;
        let watch = watches.map(|watches| watches.open(1));
        couple(near, far, Terms::default(), watch)?.into_result()
    }

    fn client(&self, near: End, number: u64, watches: Option<&dyn Watches>) {
        say::detail(format_args!("client {number} is here"));
        let run = || {
            let far = self.to.dial(&self.dial)?;
            couple(
                near,
                far,
                Terms::default(),
                watches.map(|watches| watches.open(number)),
            )
        };
        match run() {
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
