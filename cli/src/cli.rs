//! What can be typed: the commands, and what is said of all of them. It knows every command, and none knows it.

use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand};
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    ask, bench, connect, demo, doctor, info, list, listen, mux, relay, replay, shell, tap,
};
use crate::failure;
use crate::manual;

const TEMPLATE: &str = "\
{name} {version}: {about}

{usage-heading} npipe COMMAND [OPTIONS]

Commands:
{subcommands}{after-help}
";

const EXAMPLES: &str = r"Try npipe demo; or npipe listen mypipe, and elsewhere npipe connect mypipe.
A NAME is mypipe, \\.\pipe\mypipe or, on Unix, a path. See npipe COMMAND -h.
Exit codes: 1 I/O, 2 usage, 3 no such pipe, 4 timed out, 5 not allowed, 6 taken.";

#[derive(Debug, Parser)]
#[command(name = "npipe", bin_name = "npipe", version, about = "named pipes, the same on Windows and Unix", help_template = TEMPLATE, after_help = EXAMPLES)]
#[command(
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 80
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Say nothing but errors
    #[arg(short, long, global = true, display_order = 90)]
    pub quiet: bool,

    /// Say more: who comes, who goes, how much passed
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "quiet",
        display_order = 91
    )]
    pub verbose: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Demo),
    Connect(connect::Connect),
    Ask(ask::Ask),
    Listen(listen::Listen),
    Relay(relay::Relay),
    Mux(mux::Mux),
    Tap(tap::Tap),
    Replay(replay::Replay),
    List(list::List),
    Info(info::Info),
    Doctor(doctor::Doctor),
    Bench(bench::Bench),
    BenchServer(bench::BenchServer),
    Completions(shell::Completions),
    Man(shell::Man),
    Help(shell::Help),
}

/// All that can be typed, and all that is said of it.
pub fn command_line() -> clap::Command {
    manual::in_full(Cli::command())
}

impl Cli {
    /// What was typed.
    pub fn typed() -> Result<Cli, clap::Error> {
        Cli::try_parse().map_err(|error| match error.kind() {
            // What is said in full is made when it is wanted, which is seldom.
            DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand => command_line()
                .try_get_matches_from(std::env::args_os())
                .err()
                .unwrap_or(error),
            _ => error,
        })
    }
}

impl Command {
    pub fn run(self) -> failure::Result {
        match self {
            Command::Connect(connect) => connect.run(),
            Command::Ask(ask) => ask.run(),
            Command::Listen(listen) => listen.run(),
            Command::Relay(relay) => relay.run(),
            Command::Mux(mux) => mux.run(),
            Command::Demo(demo) => demo.run(),
            Command::Tap(tap) => tap.run(),
            Command::Replay(replay) => replay.run(),
            Command::List(list) => list.run(),
            Command::Info(info) => info.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Bench(bench) => bench.run(),
            Command::BenchServer(server) => server.run(),
            // These print the whole command line in some form.
            Command::Completions(completions) => completions.run(),
            Command::Help(help) => help.run(command_line()),
            Command::Man(man) => man.run(command_line()),
        }
    }
}
