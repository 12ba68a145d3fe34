//! Marks the tests that need a peer as ignored where there is none, so that none passes without testing.

#[path = "src/find.rs"]
mod find;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(root, strace, userns)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/find.rs");
    find::mark();
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
