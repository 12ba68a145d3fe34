//! Windows on this machine: a session of Wine around a command, of which nothing is left when it ends.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::place::Place;

/// `command`, wrapped so that `npipe-wine PROGRAM.exe` works inside, and cargo runs Windows programs by itself.
///
/// The session is in mount and pid namespaces of its own. `--kill-child` and `--pdeathsig` pass the end of this process
/// on to the namespace, and the kernel clears it, so that even a kill -9 leaves no mount, prefix or process behind, and two
/// sessions at once do not see each other. What it does inside is in `wine/session.sh`.
pub fn session(place: &Place, command: &Command) -> Command {
    let scripts = place.root.join("xtask/wine");
    let mut path = scripts.clone().into_os_string();
    let inner = command
        .get_envs()
        .find_map(|(name, value)| (name == "PATH").then(|| value.map(OsString::from)))
        .unwrap_or_else(|| std::env::var_os("PATH"));
    if let Some(inner) = inner {
        path.push(":");
        path.push(inner);
    }

    let mut session = Command::new("setpriv");
    session
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--pid",
            "--fork",
        ])
        .args(["--kill-child", "--mount-proc", "--propagation", "private"])
        .arg(scripts.join("session.sh"))
        .arg(root(place));
    session.arg(&place.root);
    if !place.target.starts_with(&place.root) {
        session.arg(&place.target);
    }
    session
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    session
        .env("PATH", path)
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "npipe-wine");
    if let Some(dir) = command.get_current_dir() {
        session.current_dir(dir);
    }
    session
}

/// Where the Debian is that has Wine in it.
pub fn root(place: &Place) -> std::path::PathBuf {
    place.lab.join("wine")
}

/// A path of this machine as a Windows program sees it.
pub fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}
