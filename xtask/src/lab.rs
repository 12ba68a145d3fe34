//! `cargo xtask lab`: what the other chores need and a machine with Rust does not have, set up once under `target/lab`.
//!
//! It is made of steps (`lab/`), each of which leaves a stamp when it has succeeded, with the recipe that it followed:
//! a step is done again when its recipe changes, and begun again when it was interrupted.

mod dotnet;
mod go;
mod npm;
mod packages;
mod peers;
mod windows;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::dotnet::Dotnet;
use crate::place::Place;
use crate::process;
use crate::toolchain::Toolchain;
use crate::ui;

/// No single step takes longer on a slow line.
const STEP_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Sets everything up, and says what could not be.
pub fn run(place: &Place) -> Result<ExitCode> {
    let lab = Lab::open(place)?;
    let mut missing = Vec::new();
    let dotnet = lab.dotnet().map(|found| describe(&found));
    let windows = lab.windows().map(|toolchain| toolchain.describe());
    let dotnet_windows = lab.dotnet_windows().map(|found| describe(&found));
    for (what, found) in [
        (".NET", dotnet),
        ("Windows", windows),
        (".NET for Windows", dotnet_windows),
    ] {
        match found {
            Ok(found) => ui::say(&format!("{what}: {found}")),
            Err(error) => missing.push(format!("{what}: {error:#}")),
        }
    }
    for (what, found) in [
        ("Node", lab.node()),
        ("Python", lab.python()),
        ("Go peer for Windows", lab.go_peer_windows()),
        ("Node for Windows", lab.node_windows()),
    ] {
        match found {
            Ok(path) => ui::say(&format!("{what}: {}", path.display())),
            Err(error) => missing.push(format!("{what}: {error:#}")),
        }
    }
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for missing in &missing {
        ui::fail(missing);
    }
    Ok(ExitCode::FAILURE)
}

fn describe(found: &[Dotnet]) -> String {
    let names: Vec<&str> = found.iter().map(|dotnet| dotnet.name.as_str()).collect();
    names.join(", ")
}

/// The lab, held so that no other chore changes it at the same time.
#[derive(Debug)]
pub struct Lab<'a> {
    pub place: &'a Place,
    _lock: File,
}

impl<'a> Lab<'a> {
    pub fn open(place: &'a Place) -> Result<Lab<'a>> {
        fs::create_dir_all(place.lab.join("stamps"))
            .with_context(|| format!("cannot create {}", place.lab.display()))?;
        let lock = File::create(place.lab.join("lock"))?;
        #[cfg(unix)]
        {
            use rustix::fs::{FlockOperation, flock};
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                ui::say("another chore is setting up this checkout: waiting for it");
                flock(&lock, FlockOperation::LockExclusive)?;
            }
        }
        Ok(Lab { place, _lock: lock })
    }

    /// .NET for this machine with the C# programs, the one to prefer first.
    pub fn dotnet(&self) -> Result<Vec<Dotnet>> {
        peers::native(self)
    }

    /// What counts system calls.
    pub fn strace(&self) -> Result<()> {
        packages::install(self, &["strace"])
    }

    /// The machine's own Node.
    pub fn node(&self) -> Result<PathBuf> {
        packages::program(self, "node", "nodejs")
    }

    /// The machine's own Python.
    pub fn python(&self) -> Result<PathBuf> {
        packages::program(self, "python3", "python3")
    }

    /// A Windows: what builds for it, and the Wine that runs it.
    pub fn windows(&self) -> Result<Toolchain> {
        windows::set_up(self)
    }

    /// .NET for that Windows with the C# programs, the one to prefer first.
    pub fn dotnet_windows(&self) -> Result<Vec<Dotnet>> {
        peers::windows(self)
    }

    /// Node for Windows, which runs under Wine.
    pub fn node_windows(&self) -> Result<PathBuf> {
        npm::node_windows(self)
    }

    /// The go-winio peer of `interop/go`, built for Windows.
    pub fn go_peer_windows(&self) -> Result<PathBuf> {
        go::peer_windows(self)
    }

    /// A Rust that can build and check for the systems that the one in use cannot.
    pub fn other_targets(&self) -> Result<()> {
        windows::toolchain(self).map(|_| ())
    }

    /// Does `work` unless it was done by the same recipe before. `work` is given a directory that is empty; once it has
    /// succeeded, that becomes `target/lab/NAME`, which is returned.
    fn step(
        &self,
        name: &str,
        recipe: &str,
        work: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let made = self.place.lab.join(name);
        let stamp = self.place.lab.join("stamps").join(name);
        if made.exists() && fs::read_to_string(&stamp).is_ok_and(|done| done == recipe) {
            return Ok(made);
        }
        let partial = self.place.lab.join(format!("{name}.partial"));
        for path in [&stamp, &partial, &made] {
            remove(path)?;
        }
        fs::create_dir(&partial)?;
        work(&partial)?;
        fs::rename(&partial, &made)?;
        // Written beside and renamed: a stamp that exists is complete.
        let fresh = stamp.with_extension("new");
        fs::write(&fresh, recipe)?;
        fs::rename(&fresh, &stamp)?;
        Ok(made)
    }

    /// Runs a program of the step `name`, its output in `target/lab/log`.
    fn logged(&self, command: &mut Command, what: &str, name: &str) -> Result<()> {
        let log = self.place.lab.join("log").join(format!("{name}.log"));
        process::run_logged(command, what, &log, STEP_LIMIT)
    }

    /// The same for a program that fetches something, where a failure is mostly the network's.
    fn fetched(&self, command: &mut Command, what: &str, name: &str) -> Result<()> {
        self.logged(command, what, name)
            .map_err(|error| anyhow::anyhow!("{error:#} (is there a network?)"))
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else if path.exists() {
        fs::remove_file(path)
    } else {
        return Ok(());
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}
