//! `cargo xtask bench`: npipe beside others, here or on Windows under Wine. What it runs is in `bench/`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::dotnet;
use crate::lab::Lab;
use crate::place::{Place, find_program, is_root};
use crate::process::{self, output};
use crate::toolchain::cargo;
use crate::ui;
use crate::wine;

const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);
/// All rows in all places take a quarter of an hour where little else runs.
const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// Measures on this machine. The arguments are those of `npipe-bench measure`.
pub fn run(place: &Place, arguments: &[&str]) -> Result<ExitCode> {
    let program = build(
        place,
        cargo().env("CARGO_TARGET_DIR", &place.target).arg("build"),
    )?;
    let program = place.target.join(program);
    if arguments.contains(&"--list") {
        return ended(Command::new(program).arg("measure").args(arguments));
    }
    let lab = Lab::open(place)?;
    let mut peers = Vec::new();
    let mut peer = |name: &str, command: Result<Vec<PathBuf>>| match command {
        Ok(command) => peers.extend(peer_argument(name, &command, |path| {
            path.display().to_string()
        })),
        Err(error) => ui::note(&format!("without {name}: {error:#}")),
    };
    peer("go", lab.bench_go(false).map(|program| vec![program]));
    peer("dotnet", dotnet_8(&lab, false));
    peer(
        "node",
        lab.node()
            .map(|node| vec![node, place.root.join("bench/node/bench.js")]),
    );
    drop(lab);

    let mut measure = ahead_of_others();
    measure.arg(program).arg("measure").args(peers);
    measure
        .args(said("cargo xtask bench", arguments))
        .args(arguments);
    if is_root() && find_program("chrt").is_some() {
        measure.arg("--real-time");
    }
    dotnet::settings(&mut measure);
    ended(&mut measure)
}

/// Measures on Windows under Wine, one session for each placing: on one core everything is, Wine's server too.
pub fn run_windows(place: &Place, arguments: &[&str]) -> Result<ExitCode> {
    let (mut places, mut json, mut svg, mut rest) = (vec!["one", "free"], None, None, Vec::new());
    let mut words = arguments.iter().copied();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("{word} wants a value"))
        };
        match word {
            "--place" => places = value()?.split(',').collect(),
            "--json" => json = Some(place.root.join(value()?)),
            "--svg" => svg = Some(place.root.join(value()?)),
            _ => rest.push(word),
        }
    }
    let lab = Lab::open(place)?;
    let toolchain = lab.windows().context("this needs Wine")?;
    let mut peers = Vec::new();
    let mut peer = |name: &str, command: Result<Vec<PathBuf>>| match command {
        Ok(command) => peers.extend(peer_argument(name, &command, wine::windows_path)),
        Err(error) => ui::note(&format!("without {name}: {error:#}")),
    };
    peer("go", lab.bench_go(true).map(|program| vec![program]));
    peer("dotnet", dotnet_8(&lab, true));
    drop(lab);
    let windows = toolchain.debug_dir().with_file_name("release");
    build(place, &mut toolchain.cargo(place, "build"))?;
    let program = windows.join("npipe-bench.exe");
    let packages = format!("--admindir={}/var/lib/dpkg", wine::root(place).display());
    let version = output(
        "dpkg-query",
        &[&packages, "-W", "-f", "${Version}", "wine64"],
    );
    // "10.0~repack-6" is Debian's.
    let version = version
        .as_deref()
        .and_then(|version| version.split('~').next());
    let system = format!("Windows under Wine {}", version.unwrap_or_default());

    let results = place.target.join("bench");
    std::fs::create_dir_all(&results)?;
    let mut reports = Vec::new();
    for name in places {
        let report = results.join(format!("windows-{name}.json"));
        let mut measure = Command::new("npipe-wine");
        measure.arg(&program).arg("measure").args(&peers);
        measure
            .args(["--system", &system, "--place", name, "--json"])
            .arg(wine::windows_path(&report))
            .args(said("cargo xtask bench --windows", arguments))
            .args(&rest)
            .current_dir(&place.root);
        dotnet::settings(&mut measure);
        let session = wine::session(place, &measure);
        let mut pinned = ahead_of_others();
        if name == "one" {
            pinned.args(["taskset", "-c", "0"]);
        }
        pinned.arg(session.get_program()).args(session.get_args());
        for (name, value) in session.get_envs() {
            match value {
                Some(value) => pinned.env(name, value),
                None => pinned.env_remove(name),
            };
        }
        let status = process::run_shown(pinned.current_dir(&place.root), LIMIT)?;
        ensure!(status.success(), "the measurement ended with {status}");
        reports.push(report);
    }
    if json.is_none() && svg.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    // What was written inside is put together outside.
    let native = build(
        place,
        cargo().env("CARGO_TARGET_DIR", &place.target).arg("build"),
    )?;
    let joined = json.unwrap_or_else(|| results.join("windows.json"));
    let mut join = Command::new(place.target.join(native));
    let status = process::run_shown(join.arg("join").arg(&joined).args(&reports), LIMIT)?;
    ensure!(status.success(), "the reports cannot be put together");
    match svg {
        Some(svg) => ended(
            Command::new(place.target.join(native))
                .arg("draw")
                .arg(svg)
                .arg(joined),
        ),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Draws what was measured before: `draw FILE.svg FILE.json...`.
pub fn draw(place: &Place, arguments: &[&str]) -> Result<ExitCode> {
    let program = build(
        place,
        cargo().env("CARGO_TARGET_DIR", &place.target).arg("build"),
    )?;
    ended(
        Command::new(place.target.join(program))
            .arg("draw")
            .args(arguments),
    )
}

/// Builds the programs in Rust as a release is built, and returns where the one is below cargo's target directory.
fn build(place: &Place, build: &mut Command) -> Result<&'static str> {
    ui::say("building");
    build
        .args(["--quiet", "--release", "--package", "npipe-bench"])
        .current_dir(&place.root);
    let status = process::run_shown(build, BUILD_LIMIT)?;
    ensure!(status.success(), "the programs do not build");
    Ok(if cfg!(windows) {
        "release/npipe-bench.exe"
    } else {
        "release/npipe-bench"
    })
}

fn dotnet_8(lab: &Lab, windows: bool) -> Result<Vec<PathBuf>> {
    let found = if windows {
        lab.dotnet_windows()?
    } else {
        lab.dotnet()?
    };
    let first = found.into_iter().next().context("there is no .NET")?;
    Ok(vec![first.command, lab.bench_csharp()?])
}

fn peer_argument(name: &str, command: &[PathBuf], path: impl Fn(&Path) -> String) -> [String; 2] {
    let words: Vec<String> = command.iter().map(|word| path(word)).collect();
    ["--peer".to_owned(), format!("{name}={}", words.join("|"))]
}

/// What reports say of themselves: the command, without where it wrote, and the day.
fn said(command: &str, arguments: &[&str]) -> Vec<String> {
    let mut text = command.to_owned();
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        if ["--json", "--svg"].contains(word) {
            arguments.next();
        } else {
            text += &format!(" {word}");
        }
    }
    let mut words = vec!["--command".to_owned(), text];
    if let Some(date) = output("date", &["-u", "+%Y-%m-%d"]) {
        words.extend(["--date".to_owned(), date.trim().to_owned()]);
    }
    words
}

/// A command that goes before what else the machine does, where this user may say so.
fn ahead_of_others() -> Command {
    if is_root() && find_program("nice").is_some() {
        let mut command = Command::new("nice");
        command.args(["-n", "-15"]);
        return command;
    }
    Command::new("env")
}

fn ended(command: &mut Command) -> Result<ExitCode> {
    let status = process::run_shown(command, LIMIT)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
