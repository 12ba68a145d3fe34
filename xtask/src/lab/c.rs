//! Plain Win32 programs, compiled for Windows: the peer of `interop/c`, and those in C++ that the guide shows.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::packages;
use super::steps::Lab;
use crate::place::find_program;

/// Its programs begin with a line such as `// client.cpp`.
const GUIDE: &str = "docs/recipes.md";

/// Where the compiler is the machine's own, it may warn of what nobody has seen yet.
const STRICT: &[&str] = if cfg!(windows) {
    &["-O1", "-Wall", "-Wextra"]
} else {
    &["-O1", "-Wall", "-Wextra", "-Werror"]
};

/// The directory with `peer.exe` and the guide's programs.
pub fn programs(lab: &Lab) -> Result<PathBuf> {
    let peer = lab.place.root.join("interop/c/peer.c");
    let [source, guide] = [&peer, &lab.place.root.join(GUIDE)]
        .map(|path| fs::read_to_string(path).with_context(|| path.display().to_string()));
    let (source, guide) = (source?, guide?);
    let shown = shown(&guide);
    ensure!(!shown.is_empty(), "{GUIDE} shows no program");
    lab.step("c", &format!("1 {source} {shown:?}"), |dir| {
        let (gcc, gxx) = compilers(lab)?;
        let mut compile = Command::new(gcc);
        compile.args(STRICT).arg("-o").arg(dir.join("peer.exe"));
        lab.logged(compile.arg(peer), "compiling the C peer", "c")?;
        for (name, text) in shown {
            let source = dir.join(format!("{name}.cpp"));
            fs::write(&source, text)?;
            let mut compile = Command::new(&gxx);
            compile
                .args(STRICT)
                .args(["-municode", "-static", "-o"])
                .arg(dir.join(format!("{name}.exe")))
                .arg(source);
            lab.logged(&mut compile, &format!("compiling {name}.cpp"), "c")?;
        }
        Ok(())
    })
}

/// For C and for C++.
fn compilers(lab: &Lab) -> Result<(PathBuf, PathBuf)> {
    // Where the system is Windows, they have plain names.
    let installed = [find_program("gcc"), find_program("g++")];
    if let ([Some(gcc), Some(gxx)], true) = (installed, cfg!(windows)) {
        return Ok((gcc, gxx));
    }
    packages::install(lab, &["mingw-w64-x86-64-dev"])?;
    Ok((
        packages::program(lab, "x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32")?,
        packages::program(lab, "x86_64-w64-mingw32-g++", "g++-mingw-w64-x86-64-win32")?,
    ))
}

/// The programs of a text, by their names.
fn shown(text: &str) -> Vec<(String, String)> {
    let blocks = text.split("```cpp\n").skip(1);
    let programs = blocks.filter_map(|rest| {
        let program = rest.split("```").next()?;
        let name = program.lines().next()?.strip_prefix("// ")?;
        let name = name.strip_suffix(".cpp")?;
        Some((name.to_owned(), program.to_owned()))
    });
    programs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_fragments() {
        let text =
            "a\n```cpp\n// one.cpp\nint main\n```\nb\n```cpp\nx();\n```\n```c\n// two.c\n```\n";
        let one = ("one".to_owned(), "// one.cpp\nint main\n".to_owned());
        assert_eq!(shown(text), [one]);
    }
}
