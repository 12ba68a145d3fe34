//! A C# compiler: Mono's, which is a small package of Debian's.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::packages;
use super::steps::Lab;
use crate::place::find_program;

/// What the programs use of .NET, by its assemblies' names.
const REFERENCES: [&str; 5] = [
    "System.Private.CoreLib",
    "System.Runtime",
    "System.Console",
    "System.IO.Pipes",
    "System.Runtime.Extensions",
];

/// Compiles an "exe" or a "library" for .NET with Mono's compiler.
pub fn compile(lab: &Lab, kind: &str, source: &Path, out: &Path, references: &Path) -> Result<()> {
    if find_program("mcs").is_none() {
        packages::install(lab, &["mono-mcs"]).context("there is no C# compiler here")?;
    }
    let mut mcs = Command::new("mcs");
    mcs.args(["-nostdlib", "-noconfig", "-langversion:5", "-warnaserror"])
        // Its surprise at assemblies that forward types to one another.
        .arg("-nowarn:1702");
    mcs.arg(format!("-target:{kind}"));
    output_and_references(&mut mcs, out, references);
    mcs.arg(source);
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    lab.logged(&mut mcs, &format!("compiling {name}"), "programs")
}

/// Where the result goes, and what it may use, as every C# compiler is told.
pub fn output_and_references(compiler: &mut Command, out: &Path, references: &Path) {
    compiler.arg(format!("-out:{}", out.display()));
    for name in REFERENCES {
        let path = references.join(format!("{name}.dll"));
        compiler.arg(format!("-r:{}", path.display()));
    }
}
