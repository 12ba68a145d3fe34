//! `cargo xtask test`: everything that can be tested on this machine, on both systems, and a word on what was left out.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::dist;
use crate::dotnet::Dotnet;
use crate::lab::Lab;
use crate::place::Place;
use crate::process::Running;
use crate::toolchain::{Toolchain, cargo};
use crate::ui;
use crate::wine;

/// For the build and the tests of one system. A test that hangs is to end in a failure, not in a log without an end.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// Tests that found something missing on this machine are marked `ignored, left out: what is missing`.
const LEFT_OUT: &str = "left out: ";

/// What Wine cannot show is no gap of this machine.
fn is_gap(why: &str) -> bool {
    why.starts_with(LEFT_OUT) && !why.contains("Wine")
}

pub fn run(place: &Place) -> Result<ExitCode> {
    let mut left_out = Vec::new();
    let mut found = |what: &str, error: anyhow::Error| {
        left_out.push(format!("{what}: {error:#}"));
    };
    let lab = Lab::open(place)?;
    let dotnet = lab.dotnet().unwrap_or_else(|error| {
        found("the tests with .NET", error);
        Vec::new()
    });
    // How the tests of `interop` are told of them: see `interop/src/find.rs`.
    let mut peers = Vec::new();
    for (variable, what, peer) in [
        ("NPIPE_NODE", "the tests with Node", lab.node()),
        (
            "NPIPE_NODE_MODULES",
            "the tests with npm's packages",
            lab.node_modules(),
        ),
        ("NPIPE_PYTHON", "the tests with Python", lab.python()),
        ("NPIPE_JAVA", "the tests with Java", lab.java()),
        (
            "NPIPE_JAVA_CLASSES",
            "the tests with the Java peer",
            lab.java_classes(),
        ),
        ("NPIPE_GO", "the tests with Go", lab.go()),
        ("NPIPE_CURL", "the tests with curl", lab.curl()),
        ("NPIPE_NEOVIM", "the tests with Neovim", lab.neovim()),
        ("NPIPE_MPV", "the tests with mpv", lab.mpv()),
        (
            "NPIPE_SSH_AGENT",
            "the tests with ssh-agent",
            lab.ssh_agent(),
        ),
        (
            "NPIPE_GPG_AGENT",
            "the tests with gpg-agent",
            lab.gpg_agent(),
        ),
    ] {
        match peer {
            Ok(peer) => peers.push((variable, peer)),
            Err(error) => found(what, error),
        }
    }
    if cfg!(target_os = "linux") {
        lab.strace()
            .unwrap_or_else(|error| found("the counts of system calls", error));
    }
    let windows = lab
        .windows()
        .map_err(|error| found("the tests on Windows (Wine)", error))
        .ok();
    let mut dotnet_windows = Vec::new();
    let mut peers_windows = Vec::new();
    if windows.is_some() {
        dotnet_windows = lab.dotnet_windows().unwrap_or_else(|error| {
            found("the tests with .NET for Windows", error);
            Vec::new()
        });
        for (variable, what, peer) in [
            (
                "NPIPE_NODE",
                "the tests with Node for Windows",
                lab.node_windows(),
            ),
            (
                "NPIPE_NODE_MODULES",
                "the tests with npm's packages on Windows",
                lab.node_modules(),
            ),
            ("NPIPE_GO", "the tests with go-winio", lab.go_windows()),
            ("NPIPE_C", "the tests with C", lab.c_windows()),
            (
                "NPIPE_JAVA",
                "the tests with Java for Windows",
                lab.java_windows(),
            ),
            (
                "NPIPE_JAVA_CLASSES",
                "the tests with the Java peer on Windows",
                lab.java_classes(),
            ),
        ] {
            match peer {
                Ok(peer) => peers_windows.push((variable, peer)),
                Err(error) => found(what, error),
            }
        }
    }
    drop(lab);

    let mut all = Vec::new();
    let here = std::env::consts::OS;
    ui::say(&format!("testing on {here}"));
    let mut native = cargo();
    native
        .arg("test")
        .args(["--workspace", "--all-features", "--no-fail-fast"])
        .env("CARGO_TARGET_DIR", &place.target)
        .current_dir(&place.root);
    Dotnet::tell_tests(&dotnet, &mut native, |path| path.display().to_string());
    native.envs(peers);
    let mut counts = Counts::of(&mut native)?;
    ui::say("packing the command as a release does");
    if let Err(error) = dist::try_out(place) {
        counts.broke(format!("{error:#}"));
    }
    all.push((here.to_owned(), counts));

    if let Some(toolchain) = windows {
        ui::say(&format!(
            "testing on Windows (Wine): {}",
            toolchain.describe()
        ));
        let mut tests = toolchain.cargo(place, "test");
        // The chores themselves are not for Wine.
        tests
            .args(["--workspace", "--exclude", "xtask", "--tests"])
            .args(["--all-features", "--no-fail-fast"]);
        Dotnet::tell_tests(&dotnet_windows, &mut tests, wine::windows_path);
        for (variable, peer) in &peers_windows {
            tests.env(variable, wine::windows_path(peer));
        }
        let counts = Counts::of(&mut wine::session(place, &tests))?;
        all.push(("windows (Wine)".to_owned(), counts));

        ui::say("the documentation's examples on Windows (Wine)");
        let examples = documentation(place, &toolchain)?;
        let counts = Counts::of(&mut wine::session(place, &examples))?;
        all.push(("windows (Wine), documentation".to_owned(), counts));
    }
    summary(place, &all, &mut left_out)
}

/// The examples in the documentation. Those of what only Windows has are compiled nowhere else on this machine.
fn documentation(place: &Place, toolchain: &Toolchain) -> Result<Command> {
    let mut cargo = toolchain.cargo(place, "test");
    cargo.args(["--package", "npipe", "--doc", "--all-features"]);
    // rustdoc puts its programs into the directory for temporary files, and Wine's own is another one. Cargo alone is told
    // so: Wine would look for the directory too.
    let dir = place.target.join("doctests");
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let mut command = Command::new("env");
    command
        .arg(format!("TMPDIR={}", dir.display()))
        .arg(cargo.get_program())
        .args(cargo.get_args());
    for (name, value) in cargo.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(dir) = cargo.get_current_dir() {
        command.current_dir(dir);
    }
    Ok(command)
}

fn summary(
    place: &Place,
    all: &[(String, Counts)],
    left_out: &mut Vec<String>,
) -> Result<ExitCode> {
    println!();
    let (mut passed, mut failed) = (0, 0);
    for (system, counts) in all {
        passed += counts.passed;
        failed += counts.failed;
        ui::say(&format!(
            "{system}: {} passed, {} failed, {} ignored",
            counts.passed,
            counts.failed,
            counts.ignored.values().map(Vec::len).sum::<usize>()
        ));
        for name in &counts.failures {
            println!("    failed: {name}");
        }
        for (why, tests) in &counts.ignored {
            println!("    ignored, {why}: {}", tests.join(", "));
            if is_gap(why) && left_out.is_empty() {
                left_out.push(format!("{} tests on {system}: {why}", tests.len()));
            }
        }
    }
    for left_out in &*left_out {
        ui::note(&format!("left out: {left_out}"));
    }
    let incomplete = place.ci && !left_out.is_empty();
    if incomplete {
        ui::fail("CI=true, and something was left out");
        failed += usize::from(failed == 0);
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the test programs of one cargo run reported.
#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
    /// Why, and which.
    ignored: BTreeMap<String, Vec<String>>,
}

impl Counts {
    /// Runs the tests, shows what they print, and counts.
    fn of(tests: &mut Command) -> Result<Counts> {
        let mut counts = Counts::default();
        let status = Running::start(tests.stdout(Stdio::piped()), LIMIT).and_then(|running| {
            running.finish(|line| {
                if let Some(line) = line {
                    println!("{line}");
                    counts.take(&line);
                }
            })
        });
        match status {
            Ok(status) if status.success() => {}
            // A program that did not build, crashed, or was ended, reported no failure of its own.
            Ok(status) if counts.failed == 0 => {
                counts.broke(format!("cargo test ended with {status}"))
            }
            Ok(_) => {}
            Err(error) => counts.broke(format!("{error:#}")),
        }
        if counts.passed == 0 {
            counts.broke("no test was run".to_owned());
        }
        Ok(counts)
    }

    fn broke(&mut self, what: String) {
        ui::fail(&what);
        self.failed += 1;
        self.failures.push(what);
    }

    fn take(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
            return;
        }
        let Some((name, outcome)) = line
            .strip_prefix("test ")
            .and_then(|test| test.split_once(" ... "))
        else {
            return;
        };
        if let Some(why) = outcome.strip_prefix("ignored") {
            let why = why.trim_start_matches(", ");
            let why = if why.is_empty() {
                "no reason given"
            } else {
                why
            };
            self.ignored
                .entry(why.to_owned())
                .or_default()
                .push(name.to_owned());
        } else if outcome == "FAILED" {
            self.failures.push(name.to_owned());
        }
    }
}

fn number_before(text: &str, word: &str) -> usize {
    text.split_once(word)
        .and_then(|(before, _)| before.rsplit([' ', ';']).next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_cargo_test_prints() {
        let mut counts = Counts::default();
        for line in [
            "running 4 tests",
            "test name::tests::one ... ok",
            "test two ... FAILED",
            "test three ... ignored, needs real Windows",
            "test src/lib.rs - four (line 3) ... ignored",
            "test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            counts.take(line);
        }
        assert_eq!((counts.passed, counts.failed), (13, 1));
        assert_eq!(counts.failures, ["two"]);
        assert_eq!(counts.ignored["needs real Windows"], ["three"]);
        assert_eq!(counts.ignored["no reason given"].len(), 1);
    }
}
