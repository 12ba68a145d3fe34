//! Which cargo builds for which system: the one in use where it has the target, else Debian's with std built from source.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::Place;
use crate::process::output;

pub const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// A cargo that can build for a target.
#[derive(Clone, Debug)]
pub struct Toolchain {
    target: String,
    target_dir: PathBuf,
    from_source: bool,
}

impl Toolchain {
    /// The toolchain for `target`, or `None` where this machine has none.
    pub fn for_target(place: &Place, target: &str) -> Option<Toolchain> {
        let libraries = output(rustc(), &["--print", "target-libdir", "--target", target]);
        let installed = libraries.is_some_and(|dir| has_std(Path::new(dir.trim())));
        if !installed && !debian_toolchain() {
            return None;
        }
        // A directory of their own: two compilers in one would rebuild each other's work each time.
        let target_dir = if installed {
            place.target.clone()
        } else {
            place.target.join("from-source")
        };
        Some(Toolchain {
            target: target.to_owned(),
            target_dir,
            from_source: !installed,
        })
    }

    /// `cargo VERB` for the target, to which the caller adds its arguments.
    pub fn cargo(&self, place: &Place, verb: &str) -> Command {
        let mut command = if self.from_source {
            let mut command = Command::new("/usr/bin/cargo");
            // What rustup and the cargo around this chore set would lead Debian's cargo to their compiler.
            for name in [
                "CARGO",
                "RUSTUP_TOOLCHAIN",
                "RUSTUP_HOME",
                "LD_LIBRARY_PATH",
            ] {
                command.env_remove(name);
            }
            command
                .env("RUSTC", "/usr/bin/rustc")
                .env("RUSTDOC", "/usr/bin/rustdoc")
                .env("PATH", debian_first())
                .env("RUSTC_BOOTSTRAP", "1");
            command
        } else {
            cargo()
        };
        command
            .arg(verb)
            .args(["--target", &self.target])
            .env("CARGO_TARGET_DIR", &self.target_dir)
            .current_dir(&place.root);
        if self.from_source {
            command.args(["-Z", "build-std"]);
        }
        command
    }

    /// Where programs for the target are put by a debug build.
    pub fn debug_dir(&self) -> PathBuf {
        self.target_dir.join(&self.target).join("debug")
    }

    pub fn is_from_source(&self) -> bool {
        self.from_source
    }

    /// What to call it in a message.
    pub fn describe(&self) -> String {
        if self.from_source {
            format!("{} (Debian's Rust, std from source)", self.target)
        } else {
            self.target.clone()
        }
    }
}

/// The cargo that runs this chore.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

fn has_std(libraries: &Path) -> bool {
    std::fs::read_dir(libraries).is_ok_and(|files| {
        files
            .flatten()
            .any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

/// Whether Debian's Rust and its source are there.
fn debian_toolchain() -> bool {
    cfg!(target_os = "linux")
        && ["/usr/bin/cargo", "/usr/bin/rustc", "/usr/lib/rustlib/src"]
            .iter()
            .all(|path| Path::new(path).exists())
}

/// PATH with Debian's programs first, so that `cargo clippy` finds the cargo-clippy of its own toolchain.
fn debian_first() -> std::ffi::OsString {
    let mut path = std::ffi::OsString::from("/usr/bin");
    if let Some(rest) = env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}
