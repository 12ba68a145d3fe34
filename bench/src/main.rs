//! npipe beside others, measured between two processes on one machine.
//!
//! `npipe-bench measure` is the harness: it starts a server and a client for every subject, in whatever language that is
//! written, and has the clients work in small blocks, one after the other, on connections that stay open.
//! `npipe-bench serve|work SUBJECT ADDRESS` is either half of a subject in Rust. `cargo xtask bench` builds and runs it.

#[path = "../../cli/src/commands/bench/figures.rs"]
mod figures;
mod measure;
mod protocol;
mod subjects;
mod work;
mod work_async;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("npipe-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["measure", rest @ ..] => measure::run(rest),
        ["draw", rest @ ..] => measure::draw(rest),
        ["join", rest @ ..] => measure::join(rest),
        ["serve", subject, address] => subjects::run(subject, protocol::Half::Serve, address),
        ["work", subject, address] => subjects::run(subject, protocol::Half::Work, address),
        _ => bail!(
            "measure, draw, join, or serve|work SUBJECT ADDRESS: {}",
            measure::USAGE
        ),
    }
}
