//! What reads workflow files: actionlint, built from the module proxy, which keeps its hash.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::packages;
use super::steps::Lab;

const MODULE: &str = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12";

pub fn program(lab: &Lab) -> Result<PathBuf> {
    let made = lab.step("actionlint", MODULE, |dir| {
        let mut install = Command::new(packages::program(lab, "go", "golang-go")?);
        install
            .args(["install", "-trimpath", MODULE])
            .env("GOBIN", dir)
            .env("CGO_ENABLED", "0")
            .env("GOTOOLCHAIN", "local");
        lab.fetched(&mut install, "building actionlint", "actionlint")
    })?;
    Ok(made.join(format!("actionlint{}", std::env::consts::EXE_SUFFIX)))
}
