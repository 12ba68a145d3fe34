//! The Go peers of `interop/go`, with go-winio and grpc-go from the module proxy, built for this system and for Windows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::packages;
use super::steps::Lab;

/// For this system: sockets in place of go-winio.
pub fn peers(lab: &Lab) -> Result<PathBuf> {
    build(lab, "go", &["./http", "./grpc"], &[])
}

/// For Windows, where they run under Wine.
pub fn peers_windows(lab: &Lab) -> Result<PathBuf> {
    let windows = [("GOOS", "windows"), ("GOARCH", "amd64")];
    build(
        lab,
        "go-windows",
        &[".", "./http", "./grpc", "./guide"],
        &windows,
    )
}

/// The directory with the programs.
fn build(lab: &Lab, step: &str, programs: &[&str], system: &[(&str, &str)]) -> Result<PathBuf> {
    let source = lab.place.root.join("interop/go");
    let mut recipe = format!("2 {programs:?} {system:?} ");
    read_all(&source, &mut recipe)?;
    lab.step(step, &recipe, |dir| {
        let mut build = Command::new(packages::program(lab, "go", "golang-go")?);
        build
            .args(["build", "-trimpath", "-mod=readonly", "-o"])
            // With the end that makes it a directory, even for a single program.
            .arg(dir.join(""))
            .args(programs)
            .current_dir(&source)
            .envs(system.iter().copied())
            .env("CGO_ENABLED", "0")
            // The one that is there, instead of a newer one that is to be fetched.
            .env("GOTOOLCHAIN", "local");
        lab.fetched(&mut build, "building the Go peers", step)
    })
}

/// All that a build depends on.
fn read_all(dir: &Path, text: &mut String) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_all(&path, text)?;
        } else {
            *text += &fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
