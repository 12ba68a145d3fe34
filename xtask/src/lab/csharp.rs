//! A C# compiler: Mono's, which is a small package of Debian's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::packages;
use super::steps::Lab;
use crate::place::find_program;

/// The .NET that the programs are compiled against.
pub const OLDEST: &str = "3.1.0";

/// What the programs use of .NET, by its assemblies' names.
pub const REFERENCES: [&str; 15] = [
    "System.Private.CoreLib",
    "System.Runtime",
    "System.Console",
    "System.IO.Pipes",
    "System.Runtime.Extensions",
    "System.Collections",
    "System.Collections.Concurrent",
    "System.Linq",
    "System.Memory",
    "System.Net.Http",
    "System.Net.Primitives",
    "System.Private.Uri",
    "System.Security.Principal",
    "System.Text.Json",
    "System.Threading",
];

/// Compiles an "exe" or a "library" for .NET with Mono's compiler.
pub fn compile(
    lab: &Lab,
    kind: &str,
    sources: &[PathBuf],
    out: &Path,
    references: &Path,
) -> Result<()> {
    if find_program("mcs").is_none() {
        packages::install(lab, &["mono-mcs"]).context("there is no C# compiler here")?;
    }
    let mut mcs = Command::new("mcs");
    mcs.args(["-nostdlib", "-noconfig", "-langversion:5", "-warnaserror"])
        // Its surprise at assemblies that forward types to one another.
        .arg("-nowarn:1702");
    mcs.arg(format!("-target:{kind}"));
    output_and_references(&mut mcs, out, references);
    mcs.args(sources);
    let name = out.file_name().unwrap_or_default().to_string_lossy();
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

/// Runs a program on whatever .NET there is from `version` on.
pub fn configuration(version: &str) -> String {
    format!(
        r#"{{
  "runtimeOptions": {{
    "framework": {{ "name": "Microsoft.NETCore.App", "version": "{version}" }},
    "rollForward": "LatestMajor"
  }}
}}
"#
    )
}

/// Puts that beside it.
pub fn configure(dir: &Path, program: &str, version: &str) -> Result<()> {
    let path = dir.join(format!("{program}.runtimeconfig.json"));
    fs::write(&path, configuration(version)).with_context(|| path.display().to_string())
}
