//! Where the peers are: where `cargo xtask test` says, else what an earlier `cargo xtask lab` left for this machine.
//!
//! * `NPIPE_DOTNET`: what runs a .NET program by `NPIPE_DOTNET PROGRAM.dll ARGUMENTS`.
//! * `NPIPE_DOTNET_PROGRAMS`: the directory of the programs of `interop/csharp`, compiled.
//! * `NPIPE_DOTNET_OTHERS`: further ones that run the same programs, with `|` between them; they hold the conversation of
//!   the examples.
//! * `NPIPE_GO`: the directory of the programs of `interop/go`, built. `peer` is for Windows alone, as go-winio is.
//! * `NPIPE_C`: the directory of the program of `interop/c` and of those of the guide, built. They are for Windows alone.
//! * `NPIPE_JAVA`: what runs the class of `interop/java`; `NPIPE_JAVA_CLASSES`: the directory with it.
//! * `NPIPE_NODE`, `NPIPE_PYTHON`: what runs the scripts of `interop/node` and `interop/python`.
//! * `NPIPE_NODE_MODULES`: the directory of the packages of `interop/node/package.json`.
//! * `NPIPE_CURL`, `NPIPE_NEOVIM`, `NPIPE_MPV`, `NPIPE_SSH_AGENT`, `NPIPE_GPG_AGENT`: these programs. (Those that come with the
//!   agents are on the PATH.)

use std::env;
use std::path::{Path, PathBuf};

pub const DOTNET: [&str; 3] = [
    "NPIPE_DOTNET",
    "NPIPE_DOTNET_PROGRAMS",
    "NPIPE_DOTNET_OTHERS",
];
pub const GO: &str = "NPIPE_GO";
pub const C: &str = "NPIPE_C";
pub const JAVA: [&str; 2] = ["NPIPE_JAVA", "NPIPE_JAVA_CLASSES"];
pub const NODE: &str = "NPIPE_NODE";
pub const NODE_MODULES: &str = "NPIPE_NODE_MODULES";
pub const PYTHON: &str = "NPIPE_PYTHON";
pub const CURL: &str = "NPIPE_CURL";
pub const NEOVIM: &str = "NPIPE_NEOVIM";
pub const MPV: &str = "NPIPE_MPV";
pub const SSH_AGENT: &str = "NPIPE_SSH_AGENT";
pub const GPG_AGENT: &str = "NPIPE_GPG_AGENT";

/// What runs the programs, and where they are.
pub fn dotnet() -> Option<(Vec<PathBuf>, PathBuf)> {
    let [first, programs, others] = DOTNET.map(env::var);
    if let (Ok(first), Ok(programs)) = (first, programs) {
        let others = others.unwrap_or_default();
        let others = others.split('|').filter(|other| !other.is_empty());
        let all = std::iter::once(first.as_str()).chain(others);
        return Some((all.map(PathBuf::from).collect(), programs.into()));
    }
    let lab = lab();
    let fetched = lab.join("dotnet-8/dnv/net/runtime/.net/dotnet");
    [
        ("programs-sdk", installed()),
        ("programs", installed()),
        (
            "programs",
            Some(fetched).filter(|fetched| fetched.is_file()),
        ),
    ]
    .into_iter()
    .find_map(|(programs, dotnet)| {
        let programs = lab.join(programs);
        let complete = [
            "Peer.dll",
            "JsonRpc.dll",
            "Progress.dll",
            "Exceptions.dll",
            "../readme/Server.dll",
        ]
        .iter()
        .all(|program| programs.join(program).is_file());
        complete.then_some((vec![dotnet?], programs))
    })
}

pub fn go() -> Option<PathBuf> {
    said(GO).or_else(|| {
        let built = lab().join(if cfg!(windows) { "go-windows" } else { "go" });
        let program = format!("http{}", env::consts::EXE_SUFFIX);
        built.join(program).is_file().then_some(built)
    })
}

pub fn c() -> Option<PathBuf> {
    said(C).or_else(|| {
        let built = lab().join("c");
        (cfg!(windows) && built.join("peer.exe").is_file()).then_some(built)
    })
}

/// What runs the class, and where it is.
pub fn java() -> Option<(PathBuf, PathBuf)> {
    let [java, classes] = JAVA.map(said);
    let classes = classes.or_else(|| {
        let built = lab().join("java");
        built.join("Peer.class").is_file().then_some(built)
    });
    java.or_else(|| program("java")).zip(classes)
}

pub fn node() -> Option<PathBuf> {
    said(NODE).or_else(|| program("node"))
}

pub fn node_modules() -> Option<PathBuf> {
    said(NODE_MODULES).or_else(|| {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/node_modules");
        [lab().join("node-modules/node_modules"), beside]
            .into_iter()
            .find(|modules| modules.join("vscode-jsonrpc").is_dir())
    })
}

/// On Windows curl speaks to no pipe.
pub fn curl() -> Option<PathBuf> {
    said(CURL).or_else(|| program("curl").filter(|_| cfg!(unix)))
}

pub fn neovim() -> Option<PathBuf> {
    said(NEOVIM).or_else(|| program("nvim"))
}

pub fn mpv() -> Option<PathBuf> {
    said(MPV).or_else(|| program("mpv"))
}

/// On Windows it is a service of the system's.
pub fn ssh_agent() -> Option<PathBuf> {
    said(SSH_AGENT).or_else(|| program("ssh-agent").filter(|_| cfg!(unix)))
}

pub fn gpg_agent() -> Option<PathBuf> {
    said(GPG_AGENT).or_else(|| program("gpg-agent").filter(|_| cfg!(unix)))
}

pub fn python() -> Option<PathBuf> {
    said(PYTHON).or_else(|| program("python3"))
}

/// Tells cargo which peers are here: a build script's part, so that a test which needs one that is not is marked as ignored.
pub fn mark() {
    println!(
        "cargo::rustc-check-cfg=cfg(dotnet, go, c, java, node, node_modules, python, curl, neovim, mpv, ssh_agent, gpg_agent)"
    );
    // What is found here by looking at this machine says nothing about another one.
    let same_machine = std::env::var("HOST") == std::env::var("TARGET");
    for (peer, variables, is_here) in [
        ("dotnet", &DOTNET[..], dotnet().is_some()),
        ("go", &[GO], go().is_some()),
        ("c", &[C], c().is_some()),
        ("java", &JAVA, java().is_some()),
        ("node", &[NODE], node().is_some()),
        (
            "node_modules",
            &[NODE_MODULES],
            node().is_some() && node_modules().is_some(),
        ),
        ("python", &[PYTHON], python().is_some()),
        ("curl", &[CURL], curl().is_some()),
        ("neovim", &[NEOVIM], neovim().is_some()),
        ("mpv", &[MPV], mpv().is_some()),
        ("ssh_agent", &[SSH_AGENT], ssh_agent().is_some()),
        ("gpg_agent", &[GPG_AGENT], gpg_agent().is_some()),
    ] {
        for name in variables {
            println!("cargo::rerun-if-env-changed={name}");
        }
        if std::env::var_os(variables[0]).is_some() || same_machine && is_here {
            println!("cargo::rustc-cfg={peer}");
        }
    }
}

fn said(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}

fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lab")
}

fn installed() -> Option<PathBuf> {
    program("dotnet")
}

/// A program that is installed here.
pub fn program(name: &str) -> Option<PathBuf> {
    let program = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(&program))
        .find(|path| path.is_file())
}
