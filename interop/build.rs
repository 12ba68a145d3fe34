//! Marks the tests that need a peer as ignored where there is none, so that none passes without testing.

#[path = "src/find.rs"]
mod find;

fn main() {
    println!(
        "cargo::rustc-check-cfg=cfg(dotnet, go, node, node_modules, python, curl, neovim, mpv, ssh_agent, gpg_agent, root, strace, userns)"
    );
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/find.rs");
    // What is found here by looking at this machine says nothing about another one.
    let same_machine = std::env::var("HOST") == std::env::var("TARGET");
    for (peer, variables, is_here) in [
        ("dotnet", &find::DOTNET[..], find::dotnet().is_some()),
        ("go", &[find::GO], find::go().is_some()),
        ("node", &[find::NODE], find::node().is_some()),
        (
            "node_modules",
            &[find::NODE_MODULES],
            find::node().is_some() && find::node_modules().is_some(),
        ),
        ("python", &[find::PYTHON], find::python().is_some()),
        ("curl", &[find::CURL], find::curl().is_some()),
        ("neovim", &[find::NEOVIM], find::neovim().is_some()),
        ("mpv", &[find::MPV], find::mpv().is_some()),
        ("ssh_agent", &[find::SSH_AGENT], find::ssh_agent().is_some()),
        ("gpg_agent", &[find::GPG_AGENT], find::gpg_agent().is_some()),
    ] {
        for name in variables {
            println!("cargo::rerun-if-env-changed={name}");
        }
        if std::env::var_os(variables[0]).is_some() || same_machine && is_here {
            println!("cargo::rustc-cfg={peer}");
        }
    }
    if is_root() {
        println!("cargo::rustc-cfg=root");
    }
    if find::program("strace").is_some() {
        println!("cargo::rustc-cfg=strace");
    }
    if is_root() && makes_user_namespaces() {
        println!("cargo::rustc-cfg=userns");
    }
}

/// Whether a user of no rights may make a user namespace here.
fn makes_user_namespaces() -> bool {
    let words =
        "setpriv --reuid=54321 --regid=54321 --clear-groups unshare --user --map-root-user true";
    let mut words = words.split(' ');
    words.next().is_some_and(|program| {
        let status = std::process::Command::new(program).args(words).status();
        status.is_ok_and(|status| status.success())
    })
}

/// Whether the tests can be somebody else.
#[cfg(target_os = "linux")]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(not(target_os = "linux"))]
fn is_root() -> bool {
    false
}
