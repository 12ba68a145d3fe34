//! The rules of the house that no compiler knows: imports point one way, a file is one room, `unsafe` stands in `src/sys`.

mod examples;
mod imports;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use proc_macro2::{TokenStream, TokenTree};

use crate::place::Place;
use imports::Imports;

/// A file that is longer is about two things.
const LINES: usize = 500;

/// The roots of our crates.
const CRATES: [&str; 4] = [
    "src/lib.rs",
    "cli/src/main.rs",
    "bench/src/main.rs",
    "xtask/src/main.rs",
];

/// Tells which rules hold, and what breaks the others.
pub fn rules(place: &Place) -> [(&'static str, Result<()>); 4] {
    [
        ("imports point one way", imports_point_one_way(place)),
        ("no file of the library is two", files_are_rooms(place)),
        ("unsafe stands in src/sys", unsafe_is_the_systems(place)),
        (
            "what can fail has an example",
            what_can_fail_has_an_example(place),
        ),
    ]
}

/// No import cycles between the files of a crate, of any length.
fn imports_point_one_way(place: &Place) -> Result<()> {
    let mut circles = Vec::new();
    for root in CRATES {
        let root = place.root.join(root);
        let imports = Imports::of(&root)?;
        let dir = root.parent().unwrap_or(&place.root);
        let short = |path: &Path| {
            let path = path.strip_prefix(&place.root).unwrap_or(path);
            path.display().to_string()
        };
        for circle in imports.circles() {
            let mut told = String::new();
            for (at, file) in circle.iter().enumerate() {
                let next = circle[(at + 1) % circle.len()];
                let need = &imports.needs[*file][next];
                let to = next.strip_prefix(dir).unwrap_or(next).display();
                told += &format!(
                    "\n    {}:{} needs {} of {to}",
                    short(file),
                    need.line,
                    need.what
                );
            }
            circles.push(format!("\n  a circle of {}:{told}", circle.len()));
        }
    }
    ensure!(circles.is_empty(), "{}", circles.concat());
    Ok(())
}

/// No file of the library is longer than its readers' patience.
fn files_are_rooms(place: &Place) -> Result<()> {
    let mut long = Vec::new();
    for path in rust_files(&place.root.join("src"))? {
        let lines = read(&path)?.lines().count();
        if lines > LINES {
            long.push(format!("\n    {}: {lines} lines", path.display()));
        }
    }
    ensure!(long.is_empty(), "more than {LINES}:{}", long.concat());
    Ok(())
}

/// What is unsafe stands with the system it is about.
fn unsafe_is_the_systems(place: &Place) -> Result<()> {
    let sys = place.root.join("src/sys");
    let mut found = Vec::new();
    for dir in ["src", "cli/src", "examples", "benches"] {
        for path in rust_files(&place.root.join(dir))? {
            if path.starts_with(&sys) {
                continue;
            }
            let tokens: TokenStream = read(&path)?
                .parse()
                .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
            for line in unsafe_lines(tokens) {
                found.push(format!("\n    {}:{line}", path.display()));
            }
        }
    }
    ensure!(found.is_empty(), "outside of src/sys:{}", found.concat());
    Ok(())
}

/// Public calls that need no example, and why.
const WITHOUT_EXAMPLE: [(&str, &str); 8] = [
    ("PipeListener::deadline", GETTER),
    ("PipeListener::nonblocking", GETTER),
    ("PipeStream::read_deadline", GETTER),
    ("PipeStream::write_deadline", GETTER),
    ("PipeStream::read_timeout", GETTER),
    ("PipeStream::write_timeout", GETTER),
    ("PipeStream::nonblocking", GETTER),
    ("PipeStream::busy_poll", GETTER),
];

const GETTER: &str = "it tells what was set, and cannot fail today";

/// A reader sees what to do with an error: every public call that can fail shows itself.
fn what_can_fail_has_an_example(place: &Place) -> Result<()> {
    let files = rust_files(&place.root.join("src"))?;
    let calls = examples::calls(&place.root, &files)?;
    let mut wrong = Vec::new();
    for call in &calls {
        let is_exception = WITHOUT_EXAMPLE.iter().any(|(name, _)| *name == call.name);
        let (file, line, name) = (call.file.display(), call.line, &call.name);
        match (call.has_example, is_exception) {
            (false, false) => wrong.push(format!("\n    {file}:{line}: {name} has none")),
            (true, true) => wrong.push(format!("\n    {name} is an exception and has one")),
            _ => {}
        }
    }
    for (name, _) in WITHOUT_EXAMPLE {
        if !calls.iter().any(|call| call.name == name) {
            wrong.push(format!("\n    {name} is an exception and does not exist"));
        }
    }
    ensure!(wrong.is_empty(), "examples:{}", wrong.concat());
    Ok(())
}

fn unsafe_lines(tokens: TokenStream) -> Vec<usize> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(ident) if ident == "unsafe" => vec![ident.span().start().line],
            TokenTree::Group(group) => unsafe_lines(group.stream()),
            _ => Vec::new(),
        })
        .collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// All below a directory, in order.
fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
