//! `cargo xtask check`: formatting, lints and docs, here and for every other system that the library claims.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::docs;
use crate::features;
use crate::house;
use crate::lab::Lab;
use crate::linked;
use crate::package;
use crate::place::Place;
use crate::process;
use crate::toolchain::{Toolchain, WINDOWS, cargo};
use crate::ui;

const LIMIT: Duration = Duration::from_secs(20 * 60);

const EVERYTHING: &[&str] = &["--workspace", "--all-targets", "--all-features"];

/// What differs from system to system. (The features for frameworks are the same thin files everywhere.)
const OURS: &[&str] = &[
    "--package",
    "npipe",
    "--package",
    "npipe-cli",
    "--features",
    "npipe/serde,npipe/tokio",
];

/// The systems that are claimed and not run here, so that they compile at least, and how much is read for each: every
/// one compiles a standard library and all dependencies once more. Windows with the GNU linker is first: it is what the
/// tests run on.
const OTHERS: [(&str, &[&str], &[&str]); 4] = [
    (WINDOWS, EVERYTHING, &[]),
    ("x86_64-pc-windows-msvc", OURS, &[]),
    // Its tests are run by the workflow alone.
    ("aarch64-apple-darwin", OURS, &["--all-targets"]),
    ("x86_64-unknown-freebsd", OURS, &[]),
];

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
    report.decide(
        "what the library depends on",
        features::bindings_alone(place),
    );
    report.decide("what each feature brings", features::counted(place));
    let mut doc = here(
        place,
        &[
            "doc",
            "--quiet",
            "--workspace",
            "--all-features",
            "--no-deps",
        ],
    );
    docs::labelled(place, &mut doc, false)?;
    report.check("docs", &mut doc);
    report.decide(
        "docs show what Windows alone has",
        docs::show_what_windows_has(&place.target.join("doc")),
    );
    report.decide("what is published", package::check(place));

    // Clippy is a type check and more. Debian's Rust has one of the same version, which a clippy of rustup's could not
    // replace: it refuses what another compiler has built.
    let lab = Lab::open(place)?;
    let set_up = lab.other_targets();
    let actionlint = lab.actionlint();
    let deny = lab.cargo_deny();
    drop(lab);
    for (target, what, targets) in OTHERS {
        let Some(toolchain) = Toolchain::for_target(place, target) else {
            let why = match &set_up {
                Ok(()) => "nothing here builds for it".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            report.left_out.push(format!("{target}: {why}"));
            continue;
        };
        let mut clippy = toolchain.cargo(place, "clippy");
        clippy.arg("--quiet").args(what).args(targets).args(DENY);
        report.check(&format!("clippy for {}", toolchain.describe()), &mut clippy);
        if target == WINDOWS {
            let mut doc = toolchain.cargo(place, "doc");
            doc.args([
                "--quiet",
                "--package",
                "npipe",
                "--all-features",
                "--no-deps",
            ]);
            docs::labelled(place, &mut doc, toolchain.is_from_source())?;
            report.check("docs for Windows", &mut doc);
        }
    }
    match &set_up {
        Ok(()) => report.decide("a 32-bit program for Windows", linked::check(place)),
        Err(error) => report
            .left_out
            .push(format!("a 32-bit program for Windows: {error:#}")),
    }
    match actionlint {
        Ok(actionlint) => report.check("workflows", &mut workflows(place, &actionlint)?),
        Err(error) => report.left_out.push(format!("workflows: {error:#}")),
    }
    match deny {
        Ok(deny) => report.check("licences and sources", &mut denied(place, &deny)),
        Err(error) => report
            .left_out
            .push(format!("licences and sources: {error:#}")),
    }
    Ok(report.end(place))
}

/// What `deny.toml` says, but for advisories, whose list is fetched: they are the workflow's.
fn denied(place: &Place, deny: &Path) -> Command {
    let mut command = Command::new(deny);
    command
        .args(["--workspace", "--log-level", "error", "check"])
        .args(["licenses", "bans", "sources"])
        .current_dir(&place.root);
    command
}

/// All of them, by name.
fn workflows(place: &Place, actionlint: &Path) -> Result<Command> {
    let mut command = Command::new(actionlint);
    for entry in std::fs::read_dir(place.root.join(".github/workflows"))? {
        command.arg(entry?.path());
    }
    command.current_dir(&place.root);
    Ok(command)
}

fn here(place: &Place, arguments: &[&str]) -> Command {
    let mut command = cargo();
    command
        .args(arguments)
        .env("CARGO_TARGET_DIR", &place.target)
        .current_dir(&place.root);
    command
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
