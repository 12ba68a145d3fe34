//! `npipe relay FROM TO`: listens at one place, and for every client goes to the other and copies both ways.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use npipe::Direction;

use crate::address::{Address, Errand};
use crate::background;
use crate::couple::{Outcome, Terms, Watch, Way, couple};
use crate::door::{Door, meet};
use crate::end::End;
use crate::failure::{self, Failure};
use crate::options::{Carry, Dial, Patience, Serve, Ways};
use crate::progress::{Progress, stdin_size};
use crate::say;

const EXAMPLES: &str = r#"Addresses: pipe:NAME unix:PATH tcp:HOST:PORT exec:COMMAND LINE mux:COMMAND LINE
stdio assuan:FILE (GnuPG on Windows). A bare NAME is a pipe. A line is split at
blanks, with quotes, no shell. exec runs it for each client, mux once for all
(see npipe mux -h). --message makes FROM a message pipe,
and is how stdio shows messages; other places have none.

Examples:
  npipe relay tcp:127.0.0.1:2375 pipe:docker_engine
  npipe relay mypipe unix:/run/app.sock
  npipe relay mypipe exec:"ssh host npipe connect mypipe"
  npipe relay unix:/tmp/agent.sock mux:"npipe.exe mux openssh-ssh-agent"

Whoever can reach FROM can use TO: give tcp an address of this machine alone."#;

/// Copy between a pipe, a socket, TCP, a program or stdio
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Relay {
    /// Where clients come from; exec and stdio are one client
    #[arg(value_parser = Address::parser())]
    from: Address,

    /// Where each of them is connected to
    #[arg(value_parser = Address::parser())]
    to: Address,

    #[command(flatten)]
    carry: Carry,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    serve: Serve,

    #[command(flatten)]
    background: Background,
}

/// How whoever starts it learns that it listens.
#[derive(Debug, Default, Args)]
struct Background {
    /// Go on in the background once it listens
    #[arg(long)]
    detach: bool,

    /// Write where it listens to a file, once it does
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// The descriptors of a client and of the server that it wants: a socket each and what wakes it, and what one is waited for
/// with; or a program, as it starts, while it runs, until its end has been seen.
const SOCKETS: usize = 6;
const PROGRAM: usize = 10;

/// Whoever wants to see what passes, connection by connection.
pub trait Watches: Send + Sync {
    fn open(&self, connection: u64) -> Arc<dyn Watch>;
}

/// Two that see the same.
struct Both(Arc<dyn Watch>, Arc<dyn Watch>);

impl Watch for Both {
    fn data(&self, way: Way, bytes: &[u8], message: bool) {
        self.0.data(way, bytes, message);
        self.1.data(way, bytes, message);
    }

    fn end(&self, way: Way) {
        self.0.end(way);
        self.1.end(way);
    }

    fn close(&self) {
        self.0.close();
        self.1.close();
    }
}

/// What copies each connection of a run.
struct Copier {
    relay: Relay,
    progress: Option<Arc<dyn Watch>>,
    watches: Option<Arc<dyn Watches>>,
}

impl Relay {
    pub fn new(from: Address, to: Address, carry: Carry, dial: Dial, serve: Serve) -> Relay {
        Relay {
            from,
            to,
            carry,
            dial,
            serve,
            background: Background::default(),
        }
    }

    pub fn run(self) -> failure::Result {
        if self.background.detach {
            return background::detach();
        }
        self.relay(None)
    }

    pub fn run_watched(self, watches: Arc<dyn Watches>) -> failure::Result {
        self.relay(Some(watches))
    }

    fn relay(self, watches: Option<Arc<dyn Watches>>) -> failure::Result {
        if self.from.is_same_place(&self.to) {
            return Err(self.leads_back());
        }
        let total = (self.from == Address::Stdio).then(stdin_size).flatten();
        let progress = self.carry.progress.then(|| Progress::start(total));
        let copier = Copier {
            relay: self,
            progress: progress.as_ref().map(Progress::watch),
            watches,
        };
        copier.run()
    }

    fn leads_back(&self) -> Failure {
        Failure::usage(format!(
            "relay {} {}: TO leads back to FROM; give the place where the server itself is",
            self.from, self.to
        ))
    }

    fn door(&self) -> failure::Result<Option<Door>> {
        match &self.from {
            Address::Pipe(name) | Address::Unix(name) => {
                let options = self.serve.options(self.carry.message.is_some());
                // The ways are those of TO.
                let options = options.direction(match self.carry.access {
                    Ways::Rw => Direction::Duplex,
                    Ways::R => Direction::Outbound,
                    Ways::W => Direction::Inbound,
                });
                Door::pipe(name, &options).map(Some)
            }
            Address::Tcp(place) => Door::tcp(place).map(Some),
            Address::Mux(keeper) => Door::mux(keeper.clone()).map(Some),
            // These are their own one client.
            Address::Exec(_) | Address::Stdio => Ok(None),
            Address::Assuan(_) => Err(Failure::usage(format!(
                "{}: clients cannot come from there; give it as TO",
                self.from
            ))),
        }
    }

    fn dial(&self, there: &Address, client: Option<&End>) -> failure::Result<End> {
        let errand = Errand {
            client,
            grace: self.serve.grace.0,
        };
        there.dial(&self.dial, &self.carry, &errand)
    }
}

impl Copier {
    fn run(self) -> failure::Result {
        let Some(door) = self.relay.door()? else {
            // The server first: a program is run only if there is somebody for it to talk to.
            let far = self.relay.dial(&self.relay.to, None)?;
            let near = self.relay.dial(&self.relay.from, None)?;
            return self.copy(near, far, 1)?.into_result();
        };
        background::ready(&door.place(), self.relay.background.ready_file.as_deref())?;
        if let Address::Mux(keeper) = &self.relay.to {
            keeper.prepare();
        }
        if self.relay.to == Address::Stdio {
            let client = door.accept().map_err(|e| door.failure(&e))?;
            // There is one stdio, and it has its client.
            drop(door);
            let stdio = self.relay.dial(&self.relay.to, None)?;
            return self.copy(client, stdio, 1)?.into_result();
        }
        let descriptors = match self.relay.to {
            Address::Exec(_) => PROGRAM,
            _ => SOCKETS,
        };
        door.serve(Patience(None), descriptors, move |client, number| {
            self.client(client, number);
        })
    }

    fn copy(&self, near: End, far: End, number: u64) -> failure::Result<Outcome> {
        for (stdio, other) in [(&near, &far), (&far, &near)] {
            if self.relay.carry.message.is_some() && stdio.is_own() && !other.has_messages() {
                return Err(Failure::usage(format!(
                    "relay to {}: there are no messages; leave --message out",
                    other.name()
                )));
            }
        }
        let terms = Terms {
            ways: self.relay.carry.access,
            linger: self.relay.carry.linger,
            ..Terms::default()
        };
        let watch = self.watches.as_ref().map(|watches| watches.open(number));
        let watch = match (watch, self.progress.clone()) {
            (Some(one), Some(other)) => Some(Arc::new(Both(one, other)) as Arc<dyn Watch>),
            (watch, progress) => watch.or(progress),
        };
        couple(near, far, terms, watch)
    }

    fn client(&self, near: End, number: u64) {
        say::detail(format_args!("client {number} is here"));
        let run = || {
            // By a link, for example. Seen from both sides, so that it does not go round.
            if near.leads_to_this_process() {
                return Err(self.relay.leads_back());
            }
            let (near, far) = meet(near, |near| {
                let far = self.relay.dial(&self.relay.to, Some(near))?;
                if far.leads_to_this_process() {
                    return Err(self.relay.leads_back());
                }
                Ok(far)
            })?;
            self.copy(near, far, number)
        };
        match run() {
            Ok(outcome) => outcome.tell(number, "there", "back"),
            Err(failure) if failure.line().is_empty() => {
                say::detail(format_args!(
                    "client {number} has left, and is dialled for no more"
                ));
            }
            Err(failure) => say::error(format_args!("client {number}: {}", failure.line())),
        }
    }
}
