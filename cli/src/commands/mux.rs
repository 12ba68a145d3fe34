//! `npipe mux NAME`: the other end of `mux:COMMAND LINE`, on stdin and stdout.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use npipe::Direction;

use crate::address::{Address, Errand};
use crate::couple::{Outcome, Terms, couple};
use crate::door::{Door, meet};
use crate::end::End;
use crate::failure::{self, Failure};
use crate::mux::frame::Role;
use crate::mux::session::Session;
use crate::options::{Carry, Dial, Patience, Serve, Ways};
use crate::say;
use crate::signals;
use crate::threads::STACK;

const EXAMPLES: &str = r#"It is not run by hand, but by a relay, which keeps it for all its clients:
  npipe relay unix:/tmp/docker.sock mux:"npipe.exe mux docker_engine"
  npipe relay mypipe mux:"ssh host npipe mux mypipe"

With --listen it has the clients, and the relay goes to their server:
  npipe relay mux:"ssh host npipe mux --listen mypipe" mypipe

Both ends must be of versions that speak the same; they say so if not."#;

/// Carry many clients over one program: the far end of mux:
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Mux {
    /// Where each client is connected to, an address as in relay
    #[arg(value_parser = Address::parser())]
    to: Address,

    /// Have the clients here, the server at the relay
    #[arg(long)]
    listen: bool,

    /// With --listen: make a message pipe
    #[arg(long, requires = "listen")]
    message: bool,

    /// Read, write or both, seen from here: r, w, rw
    #[arg(
        long,
        value_name = "WAYS",
        default_value = "rw",
        hide_default_value = true,
        hide_possible_values = true
    )]
    access: Ways,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    serve: Serve,
}

/// Of a client: a socket and what wakes it.
const DESCRIPTORS: usize = 2;

/// How long what is under way may take once the relay has gone.
const LAST: Duration = Duration::from_secs(2);

impl Mux {
    pub fn run(self) -> failure::Result {
        if io::stdin().is_terminal() || io::stdout().is_terminal() {
            return Err(Failure::usage(format!(
                "mux {}: its stdin and stdout are for a relay; give mux:\"npipe mux {0}\" to npipe relay",
                self.to
            )));
        }
        if self.listen {
            self.listen()
        } else {
            self.dial()
        }
    }

    fn carry(&self) -> Carry {
        Carry {
            progress: false,
            access: self.access,
            message: None,
            linger: None,
        }
    }

    fn dial(self) -> failure::Result {
        let session = Session::start(End::stdio(None)?, Role::Dials)?;
        let terms = Terms {
            ways: self.access,
            ..Terms::default()
        };
        let mux = Arc::new(self);
        let busy = Arc::new(());
        while let Some(channel) = session.accept() {
            let (mux, busy) = (mux.clone(), busy.clone());
            let client = move || {
                let run = || {
                    let (near, far) = meet(End::Mux(Box::new(channel)), |client| {
                        let errand = Errand {
                            client: Some(client),
                            grace: mux.serve.grace.0,
                        };
                        mux.to.dial(&mux.dial, &mux.carry(), &errand)
                    })?;
                    couple(near, far, terms, None)
                };
                match run() {
                    Ok(outcome) => told("a client", &outcome),
                    Err(failure) => say::detail(failure.line()),
                }
                drop(busy);
            };
            // One for whom there is no thread is dropped, and so cut off.
            if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(client) {
                say::error(format_args!(
                    "a client is turned away: start a thread: {error}"
                ));
            }
        }
        let until = std::time::Instant::now() + LAST;
        while Arc::strong_count(&busy) > 1 && std::time::Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn listen(self) -> failure::Result {
        let door = match &self.to {
            Address::Pipe(name) | Address::Unix(name) => {
                let options = self.serve.options(self.message);
                let options = options.direction(match self.access {
                    Ways::Rw => Direction::Duplex,
                    Ways::R => Direction::Outbound,
                    Ways::W => Direction::Inbound,
                });
                Door::pipe(name, &options)?
            }
            Address::Tcp(place) => Door::tcp(place)?,
            _ => {
                return Err(Failure::usage(format!(
                    "mux --listen {}: clients cannot come from there; give a pipe or tcp:HOST:PORT",
                    self.to
                )));
            }
        };
        let session = Arc::new(Session::start(End::stdio(None)?, Role::Listens)?);
        let terms = Terms {
            ways: self.access,
            ..Terms::default()
        };
        let over = session.clone();
        thread::Builder::new()
            .spawn(move || {
                over.wait_end();
                signals::exit(0);
            })
            .map_err(|e| Failure::io("start a thread", &e))?;
        door.serve(Patience(None), DESCRIPTORS, move |client, number| {
            let run = || {
                let far = session.open(client.has_messages(), || client.has_left())?;
                couple(client, End::Mux(Box::new(far)), terms, None)
            };
            match run() {
                Ok(outcome) => told(&format!("client {number}"), &outcome),
                Err(failure) => say::error(format_args!("client {number}: {}", failure.line())),
            }
        })
    }
}

fn told(who: &str, outcome: &Outcome) {
    for failure in [&outcome.up.failure, &outcome.down.failure]
        .into_iter()
        .flatten()
    {
        failure.tell_of(who);
    }
    say::detail(format_args!(
        "{who} is done: {} bytes there, {} back",
        outcome.up.bytes, outcome.down.bytes
    ));
}
