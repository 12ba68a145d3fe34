//! What a test's other half costs in system calls.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// How often the test `role` of this program makes each system call, and "total", with `value` in the environment as
/// `variable`.
pub fn system_calls(variable: &str, value: &str) -> BTreeMap<String, u64> {
    let counted = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o", "/dev/stdout", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "role", "--include-ignored", "--quiet"])
        .env(variable, value)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(counted.status.success(), "{counted:?}");
    let text = String::from_utf8(counted.stdout).unwrap();
    let calls = text.lines().filter_map(|line| {
        let (calls, name) = line.trim().split_once(char::is_whitespace)?;
        Some((name.trim().to_owned(), calls.parse().ok()?))
    });
    calls.collect()
}
