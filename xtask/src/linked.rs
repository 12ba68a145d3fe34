//! A 32-bit Windows program, linked: a type check does not see under which name a function is imported, and a program that
//! imports one by a name that no library has does not start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::place::Place;
use crate::process::{output, run_shown};
use crate::toolchain::Toolchain;

const TARGET: &str = "i686-pc-windows-gnu";
const EXAMPLE: &str = "server";

/// What the example is there to import.
const IMPORT: &str = "NtCreateNamedPipeFile";

/// Std is compiled first, where it comes as source.
const LIMIT: Duration = Duration::from_secs(20 * 60);

pub fn check(place: &Place) -> Result<()> {
    let toolchain = Toolchain::for_target(place, TARGET).context("nothing here builds for it")?;
    let mut rustc = toolchain.cargo(place, "rustc");
    rustc
        .args(["--quiet", "--package", "npipe", "--example", EXAMPLE])
        // Nobody debugs it.
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    if toolchain.is_from_source() {
        let objects = start_and_end(place)?;
        rustc.args(["--", "-L"]);
        rustc.arg(format!("native={}", objects.display()));
    }
    let status = run_shown(&mut rustc, LIMIT)?;
    ensure!(status.success(), "it was not linked");
    let program = toolchain
        .debug_dir()
        .join("examples")
        .join(format!("{EXAMPLE}.exe"));
    let dump = output(
        "i686-w64-mingw32-objdump",
        &["-p", &program.to_string_lossy()],
    )
    .context("objdump cannot read it")?;
    looked_at(&dump)
}

fn looked_at(dump: &str) -> Result<()> {
    let imports = imports(dump);
    let decorated: Vec<&str> = imports
        .iter()
        .copied()
        .filter(|name| name.contains('@'))
        .collect();
    ensure!(
        decorated.is_empty(),
        "imported by names that no library has: {}",
        decorated.join(", ")
    );
    ensure!(imports.contains(&IMPORT), "it does not import {IMPORT}");
    Ok(())
}

/// The names in the import tables of what `objdump -p` prints: "vma:  Hint/Ord Member-Name Bound-To", then a line each.
fn imports(dump: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in dump.lines() {
        if line.contains("Member-Name") {
            inside = true;
        } else if line.trim().is_empty() {
            inside = false;
        } else if inside {
            names.extend(line.split_whitespace().nth(2));
        }
    }
    names
}

/// The objects that begin and end a 32-bit program, which rustup's std has and Debian's source only as source.
fn start_and_end(place: &Place) -> Result<PathBuf> {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/rtstartup");
    let made = place.target.join("from-source").join("rtstartup");
    fs::create_dir_all(&made)?;
    for name in ["rsbegin", "rsend"] {
        let mut rustc = Command::new("/usr/bin/rustc");
        rustc
            .args(["--target", TARGET, "--emit=obj", "-o"])
            .arg(made.join(format!("{name}.o")))
            .arg(source.join(format!("{name}.rs")))
            .env("RUSTC_BOOTSTRAP", "1");
        let status = run_shown(&mut rustc, LIMIT)?;
        ensure!(status.success(), "{name} was not compiled");
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
\tDLL Name: ntdll.dll
\tvma:  Hint/Ord Member-Name Bound-To
\t4a3352\t  297  NtCreateFile
\t4a3362\t  309  NtCreateNamedPipeFile

\tDLL Name: ntdll.dll
\tvma:  Hint/Ord Member-Name Bound-To
\t4a3522\t    1  NtCreateNamedPipeFile@56

The Export Table
";

    #[test]
    fn a_decorated_name_is_found() {
        let told = looked_at(DUMP).unwrap_err().to_string();
        assert!(told.ends_with(": NtCreateNamedPipeFile@56"), "{told}");
        assert!(looked_at(&DUMP.replace("@56", "")).is_ok());
        assert!(looked_at("").is_err());
    }
}
