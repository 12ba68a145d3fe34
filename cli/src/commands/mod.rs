//! The subcommands, a file for each.

pub mod bench;
pub mod connect;
pub mod demo;
pub mod doctor;
pub mod info;
pub mod list;
pub mod listen;
pub mod relay;
pub mod shell;
pub mod tap;

use clap::Command as Clap;

use crate::args::Command;
use crate::failure;

/// Runs one. `whole` is the whole command line as clap knows it, for those that print it in some form.
pub fn run(command: Command, whole: fn() -> Clap) -> failure::Result {
    match command {
        Command::Connect(connect) => connect.run(),
        Command::Listen(listen) => listen.run(),
        Command::Relay(relay) => relay.run(),
        Command::Demo(demo) => demo.run(),
        Command::Tap(tap) => tap.run(),
        Command::List(list) => list.run(),
        Command::Info(info) => info.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Bench(bench) => bench.run(),
        Command::BenchServer(server) => server.run(),
        Command::Completions(completions) => completions.run(whole()),
        Command::Man(man) => man.run(whole()),
    }
}
