//! `npipe connect NAME`: stdin to the pipe, the pipe to stdout.

use clap::Args;

use crate::address::{Address, Errand};
use crate::end::End;
use crate::failure::{self, Failure};
use crate::options::Dial;
use crate::transfer::Transfer;

const EXAMPLES: &str = r"Examples:
  npipe connect mypipe
  npipe connect --wait --timeout 10s --exit-on-eof mypipe < commands.txt
  npipe connect docker_engine < request.http
  ssh -o ProxyCommand='npipe connect ssh-over-pipe' host

stdin's end is passed on where the pipe has a half close; the server's end is
the end. Nothing that was sent or received is lost.";

/// Connect stdin and stdout to a pipe
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Connect {
    /// The pipe, or an address as in relay
    #[arg(value_parser = Address::parser())]
    name: Address,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    transfer: Transfer,
}

impl Connect {
    pub fn run(self) -> failure::Result {
        if self.name == Address::Stdio {
            return Err(Failure::usage(
                "connect stdio: that is this end; give the pipe that it is connected to",
            ));
        }
        let carry = &self.transfer.carry;
        let far = self.name.dial(&self.dial, carry, &Errand::default())?;
        if carry.message.is_some() && !far.has_messages() {
            let what = match far {
                End::Pipe(_) => "a byte pipe, which has no messages",
                _ => "a stream of bytes, which has no messages",
            };
            return Err(Failure::usage(format!(
                "connect {}: this is {what}; leave --message out",
                far.name()
            )));
        }
        self.transfer.run(End::stdio(carry.message)?, far)
    }
}
