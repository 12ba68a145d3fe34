//! Our own stdio and a pipe: what `connect` and `listen` do.

use clap::Args;

use crate::couple::{Terms, couple};
use crate::end::End;
use crate::failure;
use crate::options::Carry;
use crate::progress::{Progress, stdin_size};
use crate::say;

/// How to copy between stdio and a pipe.
#[derive(Clone, Debug, Args)]
pub struct Transfer {
    /// End once the peer has read all of stdin
    #[arg(long, conflicts_with = "linger")]
    pub exit_on_eof: bool,

    #[command(flatten)]
    pub carry: Carry,
}

impl Transfer {
    /// Copies until it is over, and says what there is to say.
    pub fn run(&self, near: End, far: End) -> failure::Result {
        let name = far.name();
        say::detail(format_args!("connected to {name}"));
        let progress = self.carry.progress.then(|| Progress::start(stdin_size()));
        let terms = Terms {
            exit_on_eof: self.exit_on_eof,
            ways: self.carry.access,
            linger: self.carry.linger,
        };
        let outcome = couple(near, far, terms, progress.as_ref().map(Progress::watch))?;
        drop(progress);
        say::detail(format_args!(
            "{name} is done: {} bytes sent, {} received",
            outcome.up.bytes, outcome.down.bytes
        ));
        outcome.into_result()
    }
}
