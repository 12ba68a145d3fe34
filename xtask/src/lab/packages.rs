//! Debian packages: installed when they are missing, and only then.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use super::steps::Lab;
use crate::place::{find_program, is_debian, is_root};
use crate::process::output;
use crate::ui;

/// Makes sure that `packages` are installed.
pub fn install(lab: &Lab, packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_debian() {
        bail!("this needs Debian's packages {list}, and the machine is not a Debian on x86-64");
    }
    if !is_root() {
        bail!("the packages {list} are missing: run this as root, or install them yourself first");
    }
    // Once is enough. A list of somebody else's packages that cannot be fetched does no harm; the installation decides.
    static UPDATED: AtomicBool = AtomicBool::new(false);
    if !UPDATED.swap(true, Ordering::Relaxed) {
        let mut update = apt_get();
        let what = "fetching Debian's package lists";
        if let Err(error) = lab.logged(update.arg("update"), what, "apt") {
            ui::note(&format!("{error:#}"));
        }
    }
    let mut install = apt_get();
    // What is on the machine stays: where a package is in the way of these, the user is to decide.
    install
        .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
        .args(&missing);
    lab.fetched(&mut install, &format!("installing {list}"), "apt")
}

/// The path of a program, which `package` has where it is missing.
pub fn program(lab: &Lab, program: &str, package: &str) -> Result<PathBuf> {
    if find_program(program).is_none() {
        install(lab, &[package]).with_context(|| format!("there is no {program} here"))?;
    }
    find_program(program).with_context(|| format!("{package} has brought no {program}"))
}

fn installed(package: &str) -> bool {
    output("dpkg-query", &["-W", "-f", "${db:Status-Status}", package])
        .is_some_and(|status| status == "installed")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}
