//! The subcommands, a file for each.

pub mod connect;
pub mod listen;
pub mod relay;

use clap::Command as Clap;

use crate::args::Command;
use crate::failure;

/// Runs one. `whole` is the whole command line as clap knows it, for those that print it in some form.
pub fn run(command: Command, _whole: fn() -> Clap) -> failure::Result {
    match command {
        Command::Connect(connect) => connect.run(),
        Command::Listen(listen) => listen.run(),
        Command::Relay(relay) => relay.run(),
    }
}
