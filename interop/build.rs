//! Marks the tests that need a peer as ignored where there is none, so that none passes without testing; and takes the
//! Rust out of the README, to be compiled as it stands there.

#[path = "src/find.rs"]
mod find;
#[path = "src/fragments.rs"]
mod fragments;

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(root, strace, userns)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/find.rs");
    find::mark();
    write_programs_of_the_readme();
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

/// What `src/bin/readme-*.rs` include.
fn write_programs_of_the_readme() {
    const README: &str = "../README.md";
    println!("cargo::rerun-if-changed={README}");
    println!("cargo::rerun-if-changed=src/fragments.rs");
    let readme = fs::read_to_string(README).expect("the checkout has a README");
    let rust = |mark| {
        fragments::the(&readme, "rust,no_run", mark)
            .unwrap_or_else(|| panic!("{README} has not exactly one program with {mark}"))
    };
    let server = rust("PipeListener::bind");
    let client = rust("PipeStream::connect(");
    // Its patience alone is another: a busy machine may take 5 seconds to start a server.
    let waits = rust("wait_for_server").replace("from_secs(5)", "from_secs(60)");
    let waiting = client.replace("PipeStream::connect(\"mypipe\")", "waits::to_connect()");
    assert_ne!(waiting, client, "the client connects to another pipe");
    let waiting = format!(
        "{waiting}\nmod waits {{\n{waits}\n\
         pub fn to_connect() -> std::io::Result<PipeStream> {{ connect() }}\n}}\n"
    )
    .replacen("use npipe::PipeStream;", "", 1);
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    for (name, program) in [
        ("server", server),
        ("client", client),
        ("waiting-client", &waiting),
    ] {
        let path = Path::new(&out).join(format!("readme-{name}.rs"));
        fs::write(path, program).expect("OUT_DIR can be written to");
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
