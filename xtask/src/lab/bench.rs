//! The programs of `bench/` that are not in Rust: built for the system that they are to run on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::steps::Lab;
use super::{csharp, dotnet, packages, wheel};

/// `bench/csharp/Bench.cs`, for any .NET.
pub fn programs(lab: &Lab) -> Result<PathBuf> {
    let source = lab.place.root.join("bench/csharp/Bench.cs");
    let references = dotnet::assemblies(&wheel::fetch(lab, &dotnet::NET_CORE_3)?)?;
    let recipe = format!("1 {}", read(&source)?);
    let made = lab.step("bench-csharp", &recipe, |dir| {
        csharp::compile(lab, "exe", &[source], &dir.join("Bench.dll"), &references)?;
        csharp::configure(dir, "Bench", csharp::OLDEST)
    })?;
    Ok(made.join("Bench.dll"))
}

/// `bench/go`, with Go's own Unix sockets, or with go-winio for Windows.
pub fn go(lab: &Lab, windows: bool) -> Result<PathBuf> {
    let source = lab.place.root.join("bench/go");
    let mut recipe = String::from("1 ");
    for file in [
        "go.mod",
        "go.sum",
        "bench.go",
        "pipes_unix.go",
        "pipes_windows.go",
    ] {
        recipe += &read(&source.join(file))?;
    }
    let (name, program) = if windows {
        ("bench-go-windows", "bench.exe")
    } else {
        ("bench-go", "bench")
    };
    let made = lab.step(name, &recipe, |dir| {
        let mut build = Command::new(packages::program(lab, "go", "golang-go")?);
        build
            .args(["build", "-trimpath", "-mod=readonly", "-o"])
            .arg(dir.join(program))
            .arg(".")
            .current_dir(&source)
            .env("CGO_ENABLED", "0")
            // The one that is there, instead of a newer one that is to be fetched.
            .env("GOTOOLCHAIN", "local");
        if windows {
            build.env("GOOS", "windows").env("GOARCH", "amd64");
        }
        lab.fetched(&mut build, "building Go's half of the benchmark", "go")
    })?;
    Ok(made.join(program))
}

fn read(path: &std::path::Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
