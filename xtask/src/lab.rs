//! `cargo xtask lab`: what the other chores need and a machine with Rust does not have, set up once under `target/lab`.
//!
//! It is made of steps (`lab/`), each of which leaves a stamp when it has succeeded, with the recipe that it followed:
//! a step is done again when its recipe changes, and begun again when it was interrupted.

mod actionlint;
mod bench;
mod c;
mod csharp;
mod deny;
mod dotnet;
mod go;
mod java;
mod npm;
mod packages;
mod peers;
mod steps;
mod wheel;
mod windows;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::dotnet::Dotnet;
use crate::place::Place;
use crate::toolchain::Toolchain;
use crate::ui;

pub use steps::Lab;

/// Sets everything up, and says what could not be.
pub fn run(place: &Place) -> Result<ExitCode> {
    let lab = Lab::open(place)?;
    let mut missing = Vec::new();
    let dotnet = lab.dotnet().map(|found| describe(&found));
    let windows = lab.windows().map(|toolchain| toolchain.describe());
    let dotnet_windows = lab.dotnet_windows().map(|found| describe(&found));
    for (what, found) in [
        (".NET", dotnet),
        ("Windows", windows),
        (".NET for Windows", dotnet_windows),
    ] {
        match found {
            Ok(found) => ui::say(&format!("{what}: {found}")),
            Err(error) => missing.push(format!("{what}: {error:#}")),
        }
    }
    for (what, found) in [
        ("Node", lab.node()),
        ("Python", lab.python()),
        ("curl", lab.curl()),
        ("Neovim", lab.neovim()),
        ("mpv", lab.mpv()),
        ("ssh-agent", lab.ssh_agent()),
        ("gpg-agent", lab.gpg_agent()),
        ("Packages for Node", lab.node_modules()),
        ("Go peers", lab.go()),
        ("Go peers for Windows", lab.go_windows()),
        ("Node for Windows", lab.node_windows()),
        ("C peers for Windows", lab.c_windows()),
        ("Java", lab.java()),
        ("the Java peer", lab.java_classes()),
        ("Java for Windows", lab.java_windows()),
    ] {
        match found {
            Ok(path) => ui::say(&format!("{what}: {}", path.display())),
            Err(error) => missing.push(format!("{what}: {error:#}")),
        }
    }
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for missing in &missing {
        ui::fail(missing);
    }
    Ok(ExitCode::FAILURE)
}

/// Sets up what is named, on a machine that the rest is not for.
pub fn run_some(place: &Place, peers: &[&str]) -> Result<ExitCode> {
    let lab = Lab::open(place)?;
    for peer in peers {
        let made = match *peer {
            "c" => lab.c_windows()?,
            "java" => lab.java_classes()?,
            _ => bail!("there is no such peer: {peer}"),
        };
        ui::say(&format!("{peer}: {}", made.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(found: &[Dotnet]) -> String {
    let names: Vec<&str> = found.iter().map(|dotnet| dotnet.name.as_str()).collect();
    names.join(", ")
}

/// What the lab has: set up when it is first asked for.
impl Lab<'_> {
    /// .NET for this machine with the C# programs, the one to prefer first.
    pub fn dotnet(&self) -> Result<Vec<Dotnet>> {
        peers::native(self)
    }

    /// What counts system calls.
    pub fn strace(&self) -> Result<()> {
        packages::install(self, &["strace"])
    }

    /// The machine's own Node.
    pub fn node(&self) -> Result<PathBuf> {
        packages::program(self, "node", "nodejs")
    }

    /// The machine's own Python.
    pub fn python(&self) -> Result<PathBuf> {
        packages::program(self, "python3", "python3")
    }

    /// A Windows: what builds for it, and the Wine that runs it.
    pub fn windows(&self) -> Result<Toolchain> {
        windows::set_up(self)
    }

    /// .NET for that Windows with the C# programs, the one to prefer first.
    pub fn dotnet_windows(&self) -> Result<Vec<Dotnet>> {
        peers::windows(self)
    }

    /// Node for Windows, which runs under Wine.
    pub fn node_windows(&self) -> Result<PathBuf> {
        npm::node_windows(self)
    }

    /// The packages of the Node peers, for either system.
    pub fn node_modules(&self) -> Result<PathBuf> {
        npm::modules(self)
    }

    /// The directory of the Go peers, built for this system.
    pub fn go(&self) -> Result<PathBuf> {
        go::peers(self)
    }

    /// The same for Windows, with go-winio.
    pub fn go_windows(&self) -> Result<PathBuf> {
        go::peers_windows(self)
    }

    /// The directory of the plain Win32 peer and the guide's C++ programs, built.
    pub fn c_windows(&self) -> Result<PathBuf> {
        c::programs(self)
    }

    /// The machine's own Java.
    pub fn java(&self) -> Result<PathBuf> {
        java::program(self)
    }

    /// Java for Windows, which runs under Wine.
    pub fn java_windows(&self) -> Result<PathBuf> {
        java::program_windows(self)
    }

    /// The directory with the class of the Java peer, for either system.
    pub fn java_classes(&self) -> Result<PathBuf> {
        java::classes(self)
    }

    pub fn actionlint(&self) -> Result<PathBuf> {
        actionlint::program(self)
    }

    /// What reads licences and sources of dependencies.
    pub fn cargo_deny(&self) -> Result<PathBuf> {
        deny::program(self)
    }

    pub fn curl(&self) -> Result<PathBuf> {
        packages::program(self, "curl", "curl")
    }

    pub fn neovim(&self) -> Result<PathBuf> {
        packages::program(self, "nvim", "neovim")
    }

    pub fn mpv(&self) -> Result<PathBuf> {
        packages::program(self, "mpv", "mpv")
    }

    pub fn ssh_agent(&self) -> Result<PathBuf> {
        packages::program(self, "ssh-agent", "openssh-client")
    }

    pub fn gpg_agent(&self) -> Result<PathBuf> {
        packages::program(self, "gpg-agent", "gnupg")
    }

    /// The C# half of the benchmark, for any .NET.
    pub fn bench_csharp(&self) -> Result<PathBuf> {
        bench::programs(self)
    }

    /// The Go half of the benchmark, for this system or for Windows.
    pub fn bench_go(&self, windows: bool) -> Result<PathBuf> {
        bench::go(self, windows)
    }

    /// A Rust that can build and check for the systems that the one in use cannot.
    pub fn other_targets(&self) -> Result<()> {
        windows::toolchain(self).map(|_| ())
    }
}
