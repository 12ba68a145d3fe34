//! `cargo xtask check`: formatting, lints and docs, here and for every other system that the library claims.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::house;
use crate::lab::Lab;
use crate::place::Place;
use crate::process;
use crate::toolchain::{Toolchain, WINDOWS, cargo};
use crate::ui;

const LIMIT: Duration = Duration::from_secs(20 * 60);

/// The systems that are claimed and not run here, so that they compile at least. Windows with the GNU linker is first: it is
/// what the tests run on.
const OTHERS: [&str; 4] = [
    WINDOWS,
    "x86_64-pc-windows-msvc",
    "aarch64-apple-darwin",
    "x86_64-unknown-freebsd",
];

const EVERYTHING: [&str; 3] = ["--workspace", "--all-targets", "--all-features"];
const DENY: [&str; 3] = ["--", "-D", "warnings"];

/// What is read and not compiled: done in a second.
pub fn house(place: &Place) -> Result<ExitCode> {
    let mut report = Report::default();
    report.rules(place);
    Ok(report.end(place))
}

pub fn run(place: &Place) -> Result<ExitCode> {
    let mut report = Report::default();
    report.rules(place);
    report.check("formatting", &mut here(place, &["fmt", "--all", "--check"]));
    report.check(
        "clippy",
        here(place, &["clippy", "--quiet"])
            .args(EVERYTHING)
            .args(DENY),
    );
    report.check(
        "clippy, the library without features",
        here(place, &["clippy", "--quiet", "--no-default-features"]).args(DENY),
    );
    report.decide("what the library depends on", dependencies(place));
    report.check(
        "docs",
        here(
            place,
            &[
                "doc",
                "--quiet",
                "--workspace",
                "--all-features",
                "--no-deps",
            ],
        )
        .env("RUSTDOCFLAGS", "-D warnings"),
    );

    // Clippy is a type check and more. Debian's Rust has one of the same version, which a clippy of rustup's could not
    // replace: it refuses what another compiler has built.
    let set_up = Lab::open(place)?.other_targets();
    for target in OTHERS {
        let Some(toolchain) = Toolchain::for_target(place, target) else {
            let why = match &set_up {
                Ok(()) => "nothing here builds for it".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            report.left_out.push(format!("{target}: {why}"));
            continue;
        };
        let mut clippy = toolchain.cargo(place, "clippy");
        clippy.arg("--quiet").args(EVERYTHING).args(DENY);
        report.check(&format!("clippy for {}", toolchain.describe()), &mut clippy);
        if target == WINDOWS {
            let mut doc = toolchain.cargo(place, "doc");
            doc.args([
                "--quiet",
                "--package",
                "npipe",
                "--all-features",
                "--no-deps",
            ])
            .env("RUSTDOCFLAGS", "-D warnings");
            report.check("docs for Windows", &mut doc);
        }
    }
    Ok(report.end(place))
}

fn here(place: &Place, arguments: &[&str]) -> Command {
    let mut command = cargo();
    command
        .args(arguments)
        .env("CARGO_TARGET_DIR", &place.target)
        .current_dir(&place.root);
    command
}

/// The bindings of the system, and what they are made of: all that the library without features may depend on, anywhere.
const BINDINGS: [&str; 7] = [
    "rustix",
    "bitflags",
    "errno",
    "linux-raw-sys",
    "libc",
    "windows-sys",
    "windows-link",
];

fn dependencies(place: &Place) -> Result<()> {
    let mut tree = here(
        place,
        &[
            "tree",
            "--package",
            "npipe",
            "--no-default-features",
            "--edges",
            "normal",
        ],
    );
    tree.args(["--target", "all", "--prefix", "none", "--format", "{p}"]);
    let output = tree.output()?;
    ensure!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let name = line.split(' ').next().unwrap_or_default();
        ensure!(
            name.is_empty() || name == "npipe" || BINDINGS.contains(&name),
            "{name} is no binding of a system"
        );
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Report {
    failed: Vec<String>,
    left_out: Vec<String>,
}

impl Report {
    fn check(&mut self, what: &str, command: &mut Command) {
        ui::say(what);
        let began = Instant::now();
        match process::run_shown(command, LIMIT) {
            Ok(status) if status.success() => {
                println!("    right ({} s)", began.elapsed().as_secs());
            }
            Ok(_) => self.failed.push(what.to_owned()),
            Err(error) => {
                ui::fail(&format!("{error:#}"));
                self.failed.push(what.to_owned());
            }
        }
    }

    fn decide(&mut self, what: &str, result: Result<()>) {
        ui::say(what);
        match result {
            Ok(()) => println!("    right"),
            Err(error) => {
                ui::fail(&format!("{error:#}"));
                self.failed.push(what.to_owned());
            }
        }
    }

    fn rules(&mut self, place: &Place) {
        for (what, result) in house::rules(place) {
            self.decide(what, result);
        }
    }

    fn end(self, place: &Place) -> ExitCode {
        for left_out in &self.left_out {
            ui::note(&format!("left out: {left_out}"));
        }
        for failed in &self.failed {
            ui::fail(failed);
        }
        if !self.failed.is_empty() || place.ci && !self.left_out.is_empty() {
            return ExitCode::FAILURE;
        }
        ui::say("all is well");
        ExitCode::SUCCESS
    }
}
