//! What Windows's list of pipes tells.

use std::ffi::OsStr;
use std::process::Command;

use npipe::PipeName;

use super::{Look, Place};

pub fn look(name: &PipeName) -> Look {
    let Ok(entries) = npipe::list() else {
        return Look::of(Place::Unknown);
    };
    let same = |other: &OsStr| other.eq_ignore_ascii_case(name.os_path().as_os_str());
    let Some(entry) = entries.iter().find(|entry| same(entry.path().as_os_str())) else {
        return Look::of(Place::Absent);
    };
    let mut look = Look::of(Place::Live);
    look.instances = entry.instances();
    look.max_instances = entry.max_instances();
    look
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
