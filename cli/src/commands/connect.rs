//! `npipe connect NAME`: stdin to the pipe, the pipe to stdout.

use std::ffi::OsString;

use clap::Args;
use npipe::PipeMode;

use crate::args::{Dial, Transfer};
use crate::end::End;
use crate::failure::{self, Failure};

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
    /// The pipe
    name: OsString,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    transfer: Transfer,
}

impl Connect {
    pub fn run(self) -> failure::Result {
        let options = self
            .dial
            .options()
            .access(self.transfer.carry.access.into());
        let stream = options.connect(&self.name).map_err(|e| Failure::pipe(&e))?;
        if self.transfer.carry.message.is_some() && stream.mode() == PipeMode::Byte {
            return Err(Failure::usage(format!(
                "connect {}: this is a byte pipe, which has no messages; leave --message out",
                stream.peer_addr()
            )));
        }
        self.transfer
            .run(End::stdio(self.transfer.carry.message)?, End::Pipe(stream))
    }
}
