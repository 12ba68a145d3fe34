//! `npipe`: the command for named pipes, the same on Windows and Unix.
//!
//! Each subcommand is a file in `commands/`. What they share: `args` reads what was typed, `address` and `door` say
//! where clients come from and go to, `end` is one end of a connection, `couple` copies between two of them,
//! `failure` is how a run that failed says so.

#![forbid(unsafe_code)]

mod address;
mod args;
mod commands;
mod couple;
mod door;
mod end;
mod failure;
mod look;
mod program;
mod progress;
mod say;
mod sibling;
mod signals;
mod stdin;

use std::process::ExitCode;

use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as MISSING;
use clap::{CommandFactory, Parser};

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        // No command at all is answered with all of them.
        Err(error) if error.use_stderr() && error.kind() != MISSING => {
            return failure::Failure::typed(&error).report();
        }
        Err(error) if error.use_stderr() => {
            // Where stderr is gone there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(failure::USAGE);
        }
        // Help and the version.
        Err(shown) => {
            return match shown.print() {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failure::Failure::stdout(error).report(),
            };
        }
    };
    say::set_level(cli.quiet, cli.verbose);
    match commands::run(cli.command, args::Cli::command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
