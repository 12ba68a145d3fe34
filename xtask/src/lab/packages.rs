//! Debian packages: installed when they are missing, and only then.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Lab;
use crate::place::{is_debian, is_root, os_release};
use crate::process::output;

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
    let mut update = apt_get();
    // A list of somebody else's packages that cannot be fetched does no harm here; the installation decides.
    let updated = lab.logged(
        update.arg("update"),
        "fetching Debian's package lists",
        "apt",
    );
    let mut install = apt_get();
    // What is on the machine stays: where a package is in the way of these, the user is to decide.
    install
        .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
        .args(&missing);
    lab.logged(&mut install, &format!("installing {list}"), "apt")
        .with_context(|| match updated {
            Ok(()) => format!(
                "cannot install {list} on Debian {}",
                os_release("VERSION_CODENAME").unwrap_or_default()
            ),
            Err(_) => format!("cannot install {list}; is there a network?"),
        })
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
