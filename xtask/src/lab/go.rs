//! The Go peer of `interop/go`: go-winio from the module proxy, built for Windows, where it runs under Wine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::packages;
use super::steps::Lab;

pub fn peer_windows(lab: &Lab) -> Result<PathBuf> {
    let source = lab.place.root.join("interop/go");
    let mut recipe = String::from("1 ");
    for file in ["go.mod", "go.sum", "peer.go"] {
        let path = source.join(file);
        recipe += &fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    }
    let made = lab.step("go-windows", &recipe, |dir| {
        let mut build = Command::new(packages::program(lab, "go", "golang-go")?);
        build
            .args(["build", "-trimpath", "-mod=readonly", "-o"])
            .arg(dir.join("peer.exe"))
            .arg(".")
            .current_dir(&source)
            .env("GOOS", "windows")
            .env("GOARCH", "amd64")
            .env("CGO_ENABLED", "0")
            // The one that is there, instead of a newer one that is to be fetched.
            .env("GOTOOLCHAIN", "local");
        lab.fetched(&mut build, "building the Go peer", "go")
    })?;
    Ok(made.join("peer.exe"))
}
