//! A Windows on this machine: Debian's Rust with its source to build for it, and Debian 13's Wine to run it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::packages;
use super::steps::{Lab, remove};
use crate::place::{is_root, os_release};
use crate::process::output;
use crate::toolchain::{Toolchain, WINDOWS};

const LINKER: [&str; 3] = [
    "gcc-mingw-w64-x86-64-win32",
    "mingw-w64-x86-64-dev",
    // For the one program of 32 bits that `cargo xtask check` links.
    "gcc-mingw-w64-i686-win32",
];
const RUST: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"];

pub fn set_up(lab: &Lab) -> Result<Toolchain> {
    if cfg!(not(target_os = "linux")) {
        bail!("Wine and what builds for it are set up on Debian only");
    }
    if !is_root() {
        bail!("Wine runs in a chroot and in namespaces of its own: run this as root");
    }
    let toolchain = toolchain(lab)?;
    if output("unshare", &["--mount", "--pid", "--fork", "true"]).is_none() {
        bail!(
            "this machine (a container?) does not allow mount and pid namespaces, which Wine is run in"
        );
    }
    wine(lab)?;
    Ok(toolchain)
}

/// What builds for Windows, and type-checks for the other systems.
pub fn toolchain(lab: &Lab) -> Result<Toolchain> {
    // The std of rustup's target is all that is needed beside the linker, where somebody has added it.
    if Toolchain::for_target(lab.place, WINDOWS).is_some_and(|found| !found.is_from_source()) {
        packages::install(lab, &LINKER)?;
    } else {
        packages::install(lab, &[&RUST[..], &LINKER[..]].concat())?;
    }
    Toolchain::for_target(lab.place, WINDOWS).context("nothing here builds for Windows")
}

/// Debian 12's own Wine is version 8, which lacks a library that Rust's std imports; Debian 13's is version 10.
fn wine(lab: &Lab) -> Result<()> {
    lab.step("wine", "trixie: wine64; 2", |root| {
        packages::install(lab, &["debootstrap"])?;
        let mirror = mirror()?;
        // In a namespace of its own, since debootstrap mounts things and an interrupted one would leave them.
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            .args([
                "debootstrap",
                "--variant=minbase",
                "--include=wine64",
                "trixie",
            ])
            .arg(root)
            .arg(mirror);
        lab.fetched(&mut command, "fetching a Debian 13 with Wine 10", "wine")?;
        // Half a gigabyte that nobody will read.
        for dir in [
            "var/cache/apt/archives",
            "var/lib/apt/lists",
            "usr/share/doc",
            "usr/share/locale",
        ] {
            let dir = root.join(dir);
            remove(&dir)?;
            fs::create_dir_all(&dir)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Where this machine's own packages come from: its configuration knows, and nobody else needs to.
fn mirror() -> Result<String> {
    let codename = os_release("VERSION_CODENAME").context("/etc/os-release names no release")?;
    let targets = output(
        "apt-get",
        &[
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
            &format!("Codename: {codename}"),
        ],
    );
    targets
        .as_deref()
        .and_then(|targets| targets.lines().next())
        .map(str::to_owned)
        .context(
            "apt knows no mirror of Debian's packages: run apt-get update and look at what it says",
        )
}
