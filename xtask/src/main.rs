//! The project's chores, one file each: `cargo xtask lab`, `demo`, `test`, `check`, `soak`, `bench`, `dist`.

mod bench;
mod check;
mod demo;
mod dist;
mod docs;
mod dotnet;
mod features;
mod house;
mod lab;
mod linked;
mod package;
mod place;
mod process;
mod soak;
mod test;
mod toolchain;
mod ui;
mod wine;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use place::Place;

const USAGE: &str = "\
usage: cargo xtask CHORE

  lab              set up what the others need: .NET, a C# compiler, a Windows build, Wine
  lab PEER...      these peers alone, on any system that has their compilers: c, java
  demo             Rust and C# talk over one pipe, in all four pairings
  demo --windows   the same on Windows: Wine, with .NET for Windows
  test             all tests, here and on Windows under Wine, with .NET at the other end
  house            the rules of the house that no compiler knows: imports, length of files, unsafe
  check            those; formatting, lints, docs, and a type check for the other systems
  soak [N]         a million clients that write and leave, and the like, or N: what goes wrong once in a million
  soak --windows   the same on Windows, a fiftieth of it: Wine
  bench            npipe beside others, measured: --list shows the rows, --quick only tries
  bench --windows  the same on Windows: Wine
  bench draw       FILE.svg FILE.json...: a picture of what was measured
  dist [TARGET]    the command as a release has it: an archive with its manual and completions, in target/dist

Everything is kept under target/, and set up once: the first run takes minutes, the next ones do not.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    process::end_children_on_signals();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            ui::fail(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let place = Place::find()?;
    match arguments.as_slice() {
        ["lab"] => lab::run(&place),
        ["lab", peers @ ..] => lab::run_some(&place, peers),
        ["demo"] => demo::run(&place),
        ["demo", "--windows"] => demo::run_windows(&place),
        ["test"] => test::run(&place),
        ["house"] => check::house(&place),
        ["check"] => check::run(&place),
        ["soak", "--windows", count @ ..] => soak::run_windows(&place, times(count)?),
        ["soak", count @ ..] => soak::run(&place, times(count)?),
        ["dist"] => dist::run(&place, None),
        ["dist", target] => dist::run(&place, Some(target)),
        ["bench", "draw", rest @ ..] => bench::draw(&place, rest),
        ["bench", "--windows", rest @ ..] => bench::run_windows(&place, rest),
        ["bench", rest @ ..] => bench::run(&place, rest),
        [] | ["help" | "-h" | "--help"] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("there is no such chore: {}\n\n{USAGE}", arguments.join(" ")),
    }
}

/// How often something is done: a million times unless said.
fn times(said: &[&str]) -> Result<u64> {
    match said {
        [] => Ok(1_000_000),
        [count] => count.parse().with_context(|| format!("no number: {count}")),
        _ => bail!("one number, or none"),
    }
}
