//! Where things are: the checkout, its build directory, the lab, and what kind of machine this is.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The checkout and what belongs to it.
#[derive(Debug)]
pub struct Place {
    /// The root of the repository.
    pub root: PathBuf,
    /// Where cargo builds: `target`, or what `CARGO_TARGET_DIR` says.
    pub target: PathBuf,
    /// Where everything is kept that was fetched or set up: `target/lab`.
    pub lab: PathBuf,
    /// Whether anything left out is a failure: `CI=true`.
    pub ci: bool,
}

impl Place {
    pub fn find() -> Result<Place> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask is not inside the repository")?
            .to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Ok(Place {
            lab: root.join("target/lab"),
            ci: env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1"),
            root,
            target,
        })
    }
}

/// Looks a program up in PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(&file))
        .find(|path| path.is_file())
}

pub fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    return false;
}

/// Whether this is a Debian-like machine for which the lab's package names are right.
pub fn is_debian() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64"))
        && os_release("ID").as_deref() == Some("debian")
}

/// One value of `/etc/os-release`, such as `VERSION_CODENAME`.
pub fn os_release(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    text.lines().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix('=')?;
        Some(value.trim_matches('"').to_owned())
    })
}
