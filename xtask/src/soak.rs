//! `cargo xtask soak`: a million clients that write and leave, and the like, for what goes wrong once in a million.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::place::Place;
use crate::process;
use crate::toolchain::cargo;
use crate::ui;
use crate::wine;

/// A million takes minutes; the program itself ends a hang long before.
const LIMIT: Duration = Duration::from_secs(4 * 3600);

/// Under Wine, everything goes through its one server.
const FEWER_UNDER_WINE: u64 = 50;

const PROGRAM: [&str; 4] = ["--package", "npipe-interop", "--bin", "soak"];

pub fn run(place: &Place, count: u64) -> Result<ExitCode> {
    let mut soak = cargo();
    soak.args(["run", "--quiet"])
        .args(PROGRAM)
        .args(["--", &count.to_string()])
        .env("CARGO_TARGET_DIR", &place.target)
        .current_dir(&place.root);
    ui::say(&format!("{count} on {}", std::env::consts::OS));
    ended(&mut soak)
}

pub fn run_windows(place: &Place, count: u64) -> Result<ExitCode> {
    let toolchain = Lab::open(place)?.windows()?;
    // Built first, so that Wine does not wait for the compiler.
    let mut build = toolchain.cargo(place, "build");
    let status = process::run_shown(build.arg("--quiet").args(PROGRAM), LIMIT)?;
    ensure!(status.success(), "the program was not built");
    let count = count / FEWER_UNDER_WINE;
    let mut soak = Command::new("npipe-wine");
    soak.arg(toolchain.debug_dir().join("soak.exe"))
        .arg(count.to_string())
        .current_dir(&place.root);
    ui::say(&format!("{count} on Windows (Wine)"));
    ended(&mut wine::session(place, &soak))
}

fn ended(soak: &mut Command) -> Result<ExitCode> {
    let status = process::run_shown(soak, LIMIT)?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
