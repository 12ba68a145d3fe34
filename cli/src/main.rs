//! `npipe`: the command for named pipes, the same on Windows and Unix.
//!
//! `cli` reads what was typed; each subcommand is a file in `commands/`. What they share stands below them: `options` has
//! the groups of options, `address` and `door` say where clients come from and go to, `end` is one end of a connection,
//! `couple` copies between two of them, `failure` is how a run that failed says so. No two files import each other.

#![forbid(unsafe_code)]

#[cfg(unix)]
mod accounts;
mod address;
mod background;
mod cli;
mod commands;
mod couple;
mod door;
mod end;
mod failure;
mod look;
mod manual;
mod mux;
mod options;
mod program;
mod progress;
mod ready;
mod room;
mod say;
mod sibling;
mod signals;
mod stdin;
mod stdout;
mod tcp;
mod terminal;
mod threads;
mod transfer;

use std::process::ExitCode;

use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as MISSING;

fn main() -> ExitCode {
    // A shell asks what a word may become: then this answers, and ends.
    clap_complete::CompleteEnv::with_factory(cli::command_line).complete();
    let typed = match cli::Cli::typed() {
        Ok(typed) => typed,
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
            return match stdout::print_styled(&shown.render().ansi().to_string()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failure.report(),
            };
        }
    };
    say::set_level(typed.quiet, typed.verbose);
    match typed.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
