//! What `cargo publish` would send: built, and nothing in it that its users have no use for.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::place::Place;
use crate::toolchain::cargo;

/// A published package.
#[derive(Debug)]
struct Package {
    name: &'static str,
    /// Its directory.
    dir: &'static str,
    /// What may be inside: a name, or a directory and how the names below it end.
    allowed: &'static [(&'static str, &'static [&'static str])],
    /// What has to be.
    needed: &'static [&'static str],
}

/// What cargo itself adds.
const CARGO: [&str; 4] = [
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
];

const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

const PACKAGES: [Package; 2] = [
    Package {
        name: "npipe",
        dir: "",
        allowed: &[
            ("src/", &[".rs"]),
            ("examples/", &[".rs", ".md"]),
            ("docs/", &[".md", ".svg"]),
            ("README.ja.md", &[]),
        ],
        needed: &["README.md", "CHANGELOG.md", "src/lib.rs"],
    },
    Package {
        name: "npipe-cli",
        dir: "cli",
        allowed: &[("src/", &[".rs", ".txt"])],
        needed: &[
            "README.md",
            "src/main.rs",
            // What `npipe demo` shows.
            "csharp/Client.cs",
            "csharp/Server.cs",
        ],
    },
];

pub fn check(place: &Place) -> Result<()> {
    let mut package = Command::new(cargo().get_program());
    package.args(["package", "--quiet", "--no-verify", "--allow-dirty"]);
    for Package { name, .. } in &PACKAGES {
        package.args(["--package", name]);
    }
    package.env("CARGO_TARGET_DIR", &place.target);
    output(place, &mut package)?;
    for package in &PACKAGES {
        let mut list = Command::new(cargo().get_program());
        list.args([
            "package",
            "--list",
            "--allow-dirty",
            "--package",
            package.name,
        ]);
        let listed = output(place, &mut list)?;
        let listed: BTreeSet<String> = listed.lines().map(|line| line.replace('\\', "/")).collect();
        package.look_at(&listed)?;
        package.compare_licences(place)?;
        if package.dir.is_empty() {
            linked(place, &listed)?;
        }
        println!("    {}: {} files", package.name, listed.len());
    }
    Ok(())
}

impl Package {
    fn look_at(&self, listed: &BTreeSet<String>) -> Result<()> {
        let strangers: Vec<&String> = listed.iter().filter(|file| !self.allows(file)).collect();
        ensure!(
            strangers.is_empty(),
            "{} has what is not for its users: {strangers:?}",
            self.name
        );
        for file in self.needed.iter().chain(&LICENCES) {
            ensure!(listed.contains(*file), "{} lacks {file}", self.name);
        }
        Ok(())
    }

    fn allows(&self, file: &str) -> bool {
        let named = CARGO
            .iter()
            .chain(&LICENCES)
            .chain(self.needed)
            .any(|name| *name == file);
        named
            || self.allowed.iter().any(|(start, ends)| {
                file == *start
                    || file.starts_with(start) && ends.iter().any(|end| file.ends_with(end))
            })
    }

    /// Those of a package in a directory are copies, since a link is a file with a path in it on some systems.
    fn compare_licences(&self, place: &Place) -> Result<()> {
        for licence in LICENCES {
            let [here, there] = ["", self.dir].map(|dir| {
                let path = place.root.join(dir).join(licence);
                fs::read(&path).with_context(|| path.display().to_string())
            });
            ensure!(here? == there?, "{}/{licence} is not the root's", self.dir);
        }
        Ok(())
    }
}

/// The documents and pictures that the README links to are there.
fn linked(place: &Place, listed: &BTreeSet<String>) -> Result<()> {
    let readme = fs::read_to_string(place.root.join("README.md"))?;
    let packed = |target: &&str| target.starts_with("docs/") || target.starts_with("examples/");
    for target in links(&readme).filter(packed) {
        ensure!(
            listed.contains(target),
            "README.md links to {target}, which is not packed"
        );
    }
    Ok(())
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    targets.filter_map(|rest| rest.split([')', '#']).next())
}

fn output(place: &Place, command: &mut Command) -> Result<String> {
    let output = command.current_dir(&place.root).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo package: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_no_part_of_a_package() {
        let files = ["README.md", "CHANGELOG.md", "src/lib.rs", "docs/a.md"];
        let mut listed: BTreeSet<String> = files
            .iter()
            .chain(&LICENCES)
            .map(|&file| file.into())
            .collect();
        assert!(PACKAGES[0].look_at(&listed).is_ok());
        listed.insert("tests/stream.rs".into());
        let told = PACKAGES[0].look_at(&listed).unwrap_err().to_string();
        assert!(told.contains("tests/stream.rs"), "{told}");
        listed.remove("tests/stream.rs");
        listed.remove("LICENSE-MIT");
        assert!(PACKAGES[0].look_at(&listed).is_err());
    }

    #[test]
    fn a_link_ends_before_its_anchor() {
        let text = "see [a](docs/a.md#there) and [b](docs/b.md).";
        assert_eq!(links(text).collect::<Vec<_>>(), ["docs/a.md", "docs/b.md"]);
    }
}
