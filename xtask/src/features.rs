//! What each feature of the library costs in dependencies, and whether the documents say so.
//!
//! The documents have a table with a row for each feature, whose first cells are its name in backticks, the crates that it
//! brings on Linux, and those on Windows; the row of "`default-features = false`" is the library by itself. Other cells may
//! follow.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::place::Place;
use crate::toolchain::cargo;
use crate::ui;

/// Where the table is; in Japanese too.
const DOCUMENTS: [&str; 2] = ["docs/frameworks.md", "docs/frameworks.ja.md"];

const SYSTEMS: [&str; 2] = ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc"];

/// The bindings of the system, and what they are made of: all that the library without features may depend on, anywhere.
const BINDINGS: [&str; 7] = [
    "rustix",
    "bitflags",
    "errno",
    "linux-raw-sys",
    "libc",
    "windows-sys",
    "windows-link",
];

/// Without features, the library depends on the system's bindings alone.
pub fn bindings_alone(place: &Place) -> Result<()> {
    for name in dependencies(place, None, "all")? {
        ensure!(
            BINDINGS.contains(&name.as_str()),
            "{name} is no binding of a system"
        );
    }
    Ok(())
}

/// The table of the documents has what cargo counts.
pub fn counted(place: &Place) -> Result<()> {
    let mut rows = vec![row(place, None)?];
    for feature in features(place)? {
        rows.push(row(place, Some(&feature))?);
    }
    for row in &rows {
        println!("    {row}");
    }
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let path = place.root.join(document);
        // Once there are features that need it.
        if !path.exists() {
            ui::note(&format!("there is no {document} to compare this with"));
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| document.to_owned())?;
        let wrong = rows.iter().filter(|row| !says(&text, row));
        missing.extend(wrong.map(|row| format!("\n    {document} does not say {row}")));
    }
    ensure!(missing.is_empty(), "{}", missing.concat());
    Ok(())
}

/// Whether some line begins as the row does, whatever it has between its cells.
fn says(text: &str, row: &str) -> bool {
    let tight = |line: &str| line.split_whitespace().collect::<String>();
    let row = tight(row);
    text.lines().any(|line| tight(line).starts_with(&row))
}

fn row(place: &Place, feature: Option<&str>) -> Result<String> {
    let mut row = format!("| `{}` |", feature.unwrap_or("default-features = false"));
    for system in SYSTEMS {
        row += &format!(" {} |", dependencies(place, feature, system)?.len());
    }
    Ok(row)
}

/// The features that are for users: what begins with an underscore is the project's own.
fn features(place: &Place) -> Result<Vec<String>> {
    let manifest = fs::read_to_string(place.root.join("Cargo.toml"))?;
    let names = manifest
        .lines()
        .skip_while(|line| line.trim() != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once(" = ")?.0.trim()))
        .filter(|name| !name.starts_with(['#', '_']) && *name != "default");
    Ok(names.map(str::to_owned).collect())
}

/// The names of all that the library is compiled with, but for itself.
fn dependencies(place: &Place, feature: Option<&str>, system: &str) -> Result<BTreeSet<String>> {
    let mut tree: Command = cargo();
    tree.args(["tree", "--package", "npipe", "--no-default-features"])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--target", system])
        .current_dir(&place.root);
    if let Some(feature) = feature {
        tree.args(["--features", feature]);
    }
    let output = tree.output()?;
    ensure!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8_lossy(&output.stdout);
    let packages = lines.lines().filter(|line| !line.is_empty());
    // Two versions of one crate are two.
    let packages: BTreeSet<String> = packages
        .map(|line| {
            line.trim_end_matches(" (*)")
                .trim_end_matches(" (proc-macro)")
                .to_owned()
        })
        .filter(|package| !package.starts_with("npipe "))
        .collect();
    if system == "all" {
        let name = |package: &String| package.split(' ').next().unwrap_or_default().to_owned();
        return Ok(packages.iter().map(name).collect());
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_may_be_padded_and_go_on() {
        let text = "| feature | a | b |\n|---|---|---|\n| `tokio`  |  12 | 3 | 4 s |\n";
        assert!(says(text, "| `tokio` | 12 | 3 |"));
        assert!(!says(text, "| `tokio` | 12 | 4 |"));
        assert!(!says(text, "| `tonic` | 12 | 3 |"));
    }
}
