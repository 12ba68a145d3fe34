//! `npipe connect NAME`: stdin to the pipe, the pipe to stdout.

use clap::Args;

use crate::address::{Address, Errand};
use crate::end::End;
use crate::failure::{self, Failure};
use crate::options::Dial;
use crate::say;
use crate::terminal::{Escape, Raw};
use crate::transfer::Transfer;

const EXAMPLES: &str = r"Examples:
  npipe connect mypipe
  npipe connect --wait --timeout 10s --exit-on-eof mypipe < commands.txt
  npipe connect docker_engine < request.http
  ssh -o ProxyCommand='npipe connect ssh-over-pipe' host
  npipe connect --raw com1             Hyper-V, VMware, QEMU; Ctrl-] leaves

At the end of stdin the write side is closed, if the pipe allows it; npipe exits
when the server closes. Nothing that was sent or received is lost.";

/// Connect stdin and stdout to a pipe
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Connect {
    /// The pipe, or an address as in relay
    #[arg(value_parser = Address::parser())]
    name: Address,

    /// For a serial console: send each key as it is
    #[arg(long, conflicts_with_all = ["message", "exit_on_eof", "linger", "progress"])]
    raw: bool,

    /// The key that leaves --raw: ^A, none [default: ^]]
    #[arg(long, value_name = "KEY", requires = "raw", value_parser = Escape::parse)]
    escape: Option<Escape>,

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
        let _raw = self.raw.then(|| self.start_raw(&far)).transpose()?;
        self.transfer.run(End::stdio(carry.message)?, far)
    }

    fn start_raw(&self, far: &End) -> failure::Result<Raw> {
        let escape = self.escape.unwrap_or(Escape::DEFAULT);
        let raw = Raw::start(escape).map_err(|e| Failure::io("connect --raw", &e))?;
        // A raw terminal wants to be told to go back to the beginning of the line.
        say::note(format_args!(
            "connected to {}; {escape} leaves\r",
            far.name()
        ));
        Ok(raw)
    }
}
