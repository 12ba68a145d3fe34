//! What Windows's list of pipes tells.

use std::ffi::OsStr;
use std::process::Command;

use npipe::PipeName;

use super::facts::Look;

pub fn look_closer(name: &PipeName, look: &mut Look) {
    // Where they cannot be listed (Wine), the state has to do.
    let entries = npipe::list().unwrap_or_default();
    let same = |other: &OsStr| other.eq_ignore_ascii_case(name.os_path().as_os_str());
    if let Some(entry) = entries.iter().find(|entry| same(entry.path().as_os_str())) {
        look.instances = entry.instances();
        look.max_instances = entry.max_instances();
    }
}

/// `tasklist` knows the name; no call that is safe does.
pub fn program(id: u32) -> Option<String> {
    let output = Command::new("tasklist")
        .args(["/NH", "/FO", "CSV", "/FI", &format!("PID eq {id}")])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "npipe.exe","1234",...; where there is no such process it says so in a sentence.
    text.trim()
        .strip_prefix('"')?
        .split('"')
        .next()
        .map(str::to_owned)
}
